/** What must hold of a disk whatever happened to it, by what the world outside knows. */
import { type KeyObject, verify, X509Certificate } from "node:crypto";
import { digests } from "../../src/custody/algorithm.ts";
import { copySuspensions } from "../../src/issuer/copy-suspensions.ts";
import { readEntry } from "../../src/ledger/entry.ts";
import { type AuthorityRecord, type AuthorityState, isUnder } from "../../src/ledger/state.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { ask } from "./asking.ts";
import type { Book } from "./book.ts";
import { judgeFacts } from "./facts.ts";
import type { Life } from "./life.ts";
import { declaredAs, tenants } from "./mesh.ts";
import { answer } from "./offline.ts";
import { suspend } from "./revoking.ts";
import { renew } from "./roots.ts";
import { edit, minuteMs, type Scene } from "./scene.ts";
import { judgeTrust } from "./trust.ts";

/** The order in which an authority goes through its states; it may skip some and goes back to none. */
const order: Readonly<Record<AuthorityState, number>> = { prepared: 0, active: 1, retiring: 2, retired: 3, revoked: 3 };

/** After every step. */
export async function judgeMade(scene: Scene): Promise<void> {
  const { life, book, clock } = scene;
  await judgeFacts(life.state, book);
  const records = await life.state.authorities();
  judgeAuthorities(records, book);
  judgeTrust(records, book, clock.now());
  book.records = records;
  for (const { authority, number } of await life.state.crls()) {
    const before = book.crls.get(authority) ?? 0;
    if (number < before || number > before + 1000)
      book.faults.push(`CRL ${before} of ${authority} is followed by ${number}`);
    book.crls.set(authority, number);
  }
}

/** Authorities go forward, roots but for a roll-back too, and no owner has two that sign or two that are about to. */
function judgeAuthorities(records: readonly AuthorityRecord[], book: Book): void {
  const alone = new Set<string>();
  for (const { id, kind, owner, state: now } of records) {
    const before = book.records.find((record) => record.id === id)?.state ?? now;
    const back = !isUnder(kind) && before === "retiring" && now === "active";
    if (!back && (order[now] < order[before] || (order[now] === order[before] && now !== before)))
      book.faults.push(`${id} was ${before} and is ${now}`);
    if (now !== "prepared" && now !== "active") continue;
    const place = `${kind} ${owner}, ${now}`;
    if (alone.has(place)) book.faults.push(`there are two of ${place}`);
    alone.add(place);
  }
  for (const { id } of book.records)
    if (!records.some((record) => record.id === id)) book.faults.push(`${id} is not there any more`);
  for (const owner of new Set(records.flatMap((one) => (one.kind === "root" ? [one.owner] : []))))
    if (!alone.has(`root ${owner}, active`)) book.faults.push(`no root of ${owner} is active`);
}

/** At the end, with nothing failing any more: what was promised is there, and it goes on. */
export async function judgeDisk(scene: Scene): Promise<void> {
  const { life, book } = scene;
  await judgeMade(scene);
  await judgeProgress(scene);
  await judgeMade(scene);
  await judgeKeys(life, book);
  await judgeLedger(life, book);
}

/** Whoever asks now is served, and everything gets its place. */
async function judgeProgress(scene: Scene): Promise<void> {
  const { life, book, clock, documents } = scene;
  for (const { kind, name, source } of await life.state.suspensions())
    if (source === "operator") await suspend({ kind, name }, false, scene);
  book.may.push((fact) => fact.startsWith("document suspends "));
  if (documents.edited.forge) await edit(scene, { forge: false });
  if (await copySuspensions(declaredAs(documents.edited), life)) await life.live.refresh();
  await judgeFacts(life.state, book);
  await renew(scene);
  // An authority that waits elsewhere is answered, and proven a while later.
  for (const request of await life.state.authorityRequests()) {
    await answer(request, scene);
    clock.pass(20 * minuteMs);
    await renew(scene);
  }
  const before = book.held.length;
  await ask(
    tenants.map((tenant) => ({ tenant, key: "" })),
    scene,
  );
  if (book.held.length - before !== tenants.length) book.faults.push("not everybody who asks is served in the end");
  await life.sequencer.sequence();
}

/** Each authority that signs or is to sign has its key, and it is the certificate's; so has each that waits. */
async function judgeKeys({ state, custody }: Life, book: Book): Promise<void> {
  for (const { id, keyName, certificate, state: now } of await state.authorities()) {
    if (now === "retired" || now === "revoked" || keyName === "") continue;
    const { spki } = await custody.openKey(keyName);
    if (!same(spki, readCertificate(certificate).spki)) book.faults.push(`the key of ${id} is not its certificate's`);
  }
  const requests = await state.authorityRequests();
  for (const { id } of requests) await custody.openKey(id);
  if (new Set(requests.map(({ tenant }) => tenant)).size < requests.length) book.faults.push("a tenant waits twice");
}

async function judgeLedger({ database, state, now }: Life, book: Book): Promise<void> {
  const records = await state.authorities();
  const check = toCheck(records);
  for await (const { log, faults } of database.ledger.verify(undefined, check))
    for (const fault of faults) book.faults.push(`the log ${log} does not verify: ${fault}`);

  const intended = new Set<string>();
  const pruned = new Set<string>();
  const reasons = new Set<string>();
  const ofKey = new Map<string, number>();
  for await (const { body, position, serial } of database.ledger.entries({ limit: 1e6 })) {
    if (position === undefined) book.faults.push("an entry has no place in the end");
    if (body.length === 0) {
      pruned.add(toHex(serial ?? new Uint8Array()));
      continue;
    }
    const entry = readEntry(body);
    if (entry.kind === "intent") {
      intended.add(toHex(entry.draft.tbs));
      const key = entry.draft.idempotency?.key;
      if (key !== undefined) ofKey.set(key, (ofKey.get(key) ?? 0) + 1);
    } else {
      const { tbs } = entry.act.details;
      if (tbs !== undefined) intended.add(toHex(Buffer.from(tbs, "base64")));
      reasons.add(entry.act.reason);
    }
  }
  for (const bytes of book.signed) {
    const serial = serialOf(bytes);
    // A CRL's act has its digest, and an authority's CSR is no certificate.
    if (serial === undefined || intended.has(toHex(bytes)) || pruned.has(serial)) continue;
    book.faults.push("something was signed that the ledger does not have");
  }
  for (const reason of book.told)
    if (!reasons.has(reason)) book.faults.push("an operator was told of an act that the ledger does not have");
  for (const [key, count] of ofKey)
    if (count > 1) book.faults.push(`the idempotency key ${key} was intended ${count} times`);
  await judgeHeld(database.ledger, pruned, now(), book);
}

/** Of what is to be a certificate (RFC 5280 4.1): it begins with its version, [0], where a CRL and a CSR begin with an INTEGER. */
function serialOf(tbs: Uint8Array): string | undefined {
  const long = tbs[1] ?? 0;
  const begin = long < 0x80 ? 2 : 2 + (long & 0x7f);
  if (tbs[begin] === 0x02) return undefined;
  const at = begin + 5;
  return toHex(tbs.subarray(at + 2, at + 2 + (tbs[at + 1] ?? 0)));
}

async function judgeHeld(ledger: Life["ledger"], pruned: ReadonlySet<string>, now: Date, book: Book): Promise<void> {
  const bySerial = new Map<string, string>();
  const byKey = new Map<string, string>();
  for (const { leaf, idempotencyKey, notAfter } of book.held) {
    const { serial, tbs, signature } = readCertificate(leaf);
    const text = toHex(tbs);
    const other = bySerial.get(toHex(serial));
    if (other !== undefined && other !== text) book.faults.push(`serial ${toHex(serial)} is of two certificates`);
    bySerial.set(toHex(serial), text);
    const first = byKey.get(idempotencyKey) ?? text;
    if (idempotencyKey !== "" && first !== text) book.faults.push(`${idempotencyKey} was given two certificates`);
    byKey.set(idempotencyKey, first);
    if (pruned.has(toHex(serial))) {
      if (notAfter > now) book.faults.push(`the body of ${toHex(serial)} is gone, and a client shows it still`);
      continue;
    }
    const found = await ledger.findSerial(serial);
    if (found === undefined) book.faults.push(`the ledger does not have ${toHex(serial)}, which a client holds`);
    else if (!same(found.intent.tbs, tbs)) book.faults.push(`${toHex(serial)} is not what was intended`);
    // Of a request that was made twice, either signature is good, and the first one that was recorded stays.
    else if (idempotencyKey === "" && found.signature !== undefined && !same(found.signature, signature))
      book.faults.push(`${toHex(serial)} was recorded with another signature`);
  }
}

function toCheck(records: readonly AuthorityRecord[]) {
  const keys = new Map<string, KeyObject>();
  return (authority: string, tbs: Uint8Array, signature: Uint8Array): boolean => {
    const found = records.find(({ id }) => id === authority);
    if (found === undefined) return false;
    const key = keys.get(authority) ?? new X509Certificate(found.certificate).publicKey;
    keys.set(authority, key);
    return verify(digests[found.algorithm], tbs, key, signature);
  };
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
