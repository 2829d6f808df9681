/** What must hold of a disk whatever happened to it, by what the world outside knows. */
import { verify, X509Certificate } from "node:crypto";
import { digests } from "../../src/custody/algorithm.ts";
import { readEntry } from "../../src/ledger/entry.ts";
import type { AuthorityRecord, AuthorityState } from "../../src/ledger/state.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import type { Book } from "./book.ts";
import type { Life } from "./life.ts";
import { tenants } from "./mesh.ts";
import { request, type Scene, setSuspended } from "./steps.ts";

/** The order in which an authority goes through its states; it may skip some and goes back to none. */
const order: Readonly<Record<AuthorityState, number>> = { prepared: 0, active: 1, retiring: 2, retired: 3, revoked: 3 };

/** After every step: authorities go forward, and no owner has two that sign or two that are about to. */
export async function judgeAuthorities({ state }: Life, book: Book): Promise<void> {
  const records = await state.authorities();
  const alone = new Set<string>();
  for (const { id, kind, owner, state: now } of records) {
    const before = book.states.get(id) ?? now;
    if (order[now] < order[before] || (order[now] === order[before] && now !== before))
      book.faults.push(`${id} was ${before} and is ${now}`);
    book.states.set(id, now);
    if (now !== "prepared" && now !== "active") continue;
    const place = `${kind} ${owner}, ${now}`;
    if (alone.has(place)) book.faults.push(`there are two of ${place}`);
    alone.add(place);
  }
  for (const id of book.states.keys())
    if (!records.some((record) => record.id === id)) book.faults.push(`${id} is not there any more`);
}

/** At the end, with nothing failing any more: what was promised is there, and it goes on. */
export async function judgeDisk(scene: Scene): Promise<void> {
  const { life, book } = scene;
  await judgeAuthorities(life, book);
  await judgeProgress(scene);
  await judgeKeys(life, book);
  await judgeLedger(life, book);
}

/** Whoever asks now is served, and everything gets its place. */
async function judgeProgress(scene: Scene): Promise<void> {
  const { life, book, clock } = scene;
  for (const name of tenants) await setSuspended({ kind: "tenant", name }, false, scene);
  const before = book.held.length;
  await request(
    tenants.map((tenant) => ({ tenant, key: "" })),
    scene,
  );
  if (book.held.length - before !== tenants.length) book.faults.push("not everybody who asks is served in the end");
  await life.state.acknowledge({
    cluster: "east",
    agent: "last",
    version: "last",
    inForceSince: clock.now(),
    bundles: [],
  });
  await life.sequencer.sequence();
}

/** Each authority that signs or is to sign has its key, and it is the certificate's. */
async function judgeKeys({ state, custody }: Life, book: Book): Promise<void> {
  for (const { id, keyName, certificate, state: now } of await state.authorities()) {
    if (now === "retired" || now === "revoked") continue;
    const { spki } = await custody.openKey(keyName);
    if (!same(spki, readCertificate(certificate).spki)) book.faults.push(`the key of ${id} is not its certificate's`);
  }
}

async function judgeLedger({ database, state }: Life, book: Book): Promise<void> {
  const records = await state.authorities();
  const check = toCheck(records);
  for await (const { log, faults } of database.ledger.verify(undefined, check))
    for (const fault of faults) book.faults.push(`the log ${log} does not verify: ${fault}`);

  const intended = new Set<string>();
  const reasons = new Map<string, number>();
  const ofKey = new Map<string, number>();
  for await (const { body, position } of database.ledger.entries({ limit: 1e6 })) {
    if (position === undefined) book.faults.push("an entry has no place in the end");
    const entry = readEntry(body);
    if (entry.kind === "intent") {
      intended.add(toHex(entry.draft.tbs));
      const key = entry.draft.idempotency?.key;
      if (key !== undefined) ofKey.set(key, (ofKey.get(key) ?? 0) + 1);
    } else {
      const { tbs } = entry.act.details;
      if (tbs !== undefined) intended.add(toHex(Buffer.from(tbs, "base64")));
      reasons.set(entry.act.reason, (reasons.get(entry.act.reason) ?? 0) + 1);
    }
  }
  for (const tbs of book.signed)
    if (!intended.has(toHex(tbs))) book.faults.push("something was signed that the ledger does not have");
  for (const reason of book.told)
    if (!reasons.has(reason)) book.faults.push("an operator was told of an act that the ledger does not have");
  for (const [key, count] of ofKey)
    if (count > 1) book.faults.push(`the idempotency key ${key} was intended ${count} times`);
  await judgeHeld(database.ledger, book);
}

async function judgeHeld(ledger: Life["ledger"], book: Book): Promise<void> {
  const bySerial = new Map<string, string>();
  const byKey = new Map<string, string>();
  for (const { leaf, idempotencyKey } of book.held) {
    const { serial, tbs, signature } = readCertificate(leaf);
    const text = toHex(tbs);
    const other = bySerial.get(toHex(serial));
    if (other !== undefined && other !== text) book.faults.push(`serial ${toHex(serial)} is of two certificates`);
    bySerial.set(toHex(serial), text);
    const first = byKey.get(idempotencyKey) ?? text;
    if (idempotencyKey !== "" && first !== text) book.faults.push(`${idempotencyKey} was given two certificates`);
    byKey.set(idempotencyKey, first);
    const found = await ledger.findSerial(serial);
    if (found === undefined) book.faults.push(`the ledger does not have ${toHex(serial)}, which a client holds`);
    else if (!same(found.intent.tbs, tbs)) book.faults.push(`${toHex(serial)} is not what was intended`);
    // Of a request that was made twice, either signature is good, and the first one that was recorded stays.
    else if (idempotencyKey === "" && found.signature !== undefined && !same(found.signature, signature))
      book.faults.push(`${toHex(serial)} was recorded with another signature`);
  }
}

function toCheck(records: readonly AuthorityRecord[]) {
  const keys = new Map(
    records.map((record) => [
      record.id,
      { key: new X509Certificate(record.certificate).publicKey, digest: digests[record.algorithm] },
    ]),
  );
  return (authority: string, tbs: Uint8Array, signature: Uint8Array): boolean => {
    const found = keys.get(authority);
    return found !== undefined && verify(found.digest, tbs, found.key, signature);
  };
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
