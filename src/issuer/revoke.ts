/**
 * What an operator takes back: certificates, a workload, a cluster, an authority. First whoever has them gets nothing more, in the
 * same write that every intend reads; then what they hold is revoked. Stopped in between, the same verb does the rest.
 */
import { bringCrl } from "../controller/crl.ts";
import { Refusal } from "../errors.ts";
import { type Act, hubLog, type LiveFilter, type LiveIntent } from "../ledger/ledger.ts";
import { isRevocationReason } from "../ledger/made-revocations.ts";
import { type AuthorityRecord, isUnder, type RevocationReason } from "../ledger/state.ts";
import { readCertificate } from "../pki/certificate.ts";
import { readSerial } from "../pki/serial.ts";
import type { BringCrlRequest__Output } from "../rpc/gen/espalier/v1/BringCrlRequest.ts";
import type { BroughtCrl } from "../rpc/gen/espalier/v1/BroughtCrl.ts";
import type { Revocations } from "../rpc/gen/espalier/v1/Revocations.ts";
import type { RevokeProgress } from "../rpc/gen/espalier/v1/RevokeProgress.ts";
import type { RevokeRequest__Output } from "../rpc/gen/espalier/v1/RevokeRequest.ts";
import { type AdminParts, readBy, readWorkload, setDenied } from "./admin.ts";
import { crlLimits } from "./crl-limits.ts";
import { renewAuthorities } from "./renew.ts";

/** Serials of one write and its act: some 20 KB of the ledger. */
const serialsPerWrite = 500;
const listDefault = 100;
const listMax = 10_000;

interface Order {
  readonly by: Pick<Act, "operator" | "reason">;
  readonly reason: RevocationReason;
  readonly dryRun: boolean;
}

/** How far it has come; `limits` says what it does not do. */
type Done = Required<Pick<RevokeProgress, "looked" | "revoked" | "already" | "ended">>;

/** @throws Refusal: `malformed`, `not-found`, and what the database says. */
export async function* revoke(request: RevokeRequest__Output, parts: AdminParts): AsyncGenerator<RevokeProgress> {
  const order: Order = { by: readBy(request.act), reason: readReason(request), dryRun: request.dryRun };
  try {
    switch (request.target) {
      case "serials":
        return yield await revokeSerials(request.serials?.serials ?? [], order, parts);
      case "workload":
        return yield* revokeWorkload(request.workload, order, parts);
      case "cluster":
        return yield* revokeCluster(request.cluster ?? "", order, parts);
      case "authority":
        return yield await revokeAuthority(request.authority ?? "", order, parts);
      default:
        throw new Refusal("malformed", "name serials, a workload, a cluster or an authority");
    }
  } finally {
    // CRLs, and whoever is not let in any more.
    const later = request.target === "authority" || request.serials?.more === true;
    if (!order.dryRun && !later) await settle(parts);
  }
}

async function settle(parts: AdminParts): Promise<void> {
  const { live, log } = parts;
  await renewAuthorities(live.world().declared, parts).catch((error: unknown) =>
    log.error("authorities not made", {}, error),
  );
  await live.refresh();
}

/** All of them or none: one that the ledger does not have is a slip of the finger, or a certificate that is not ours. */
async function revokeSerials(texts: readonly string[], order: Order, parts: AdminParts): Promise<RevokeProgress> {
  if (texts.length === 0 || texts.length > serialsPerWrite)
    throw new Refusal("malformed", `name 1 to ${serialsPerWrite} serial numbers at once, not ${texts.length}`);
  const serials = new Map(texts.map((text) => [toOctets(text), text]));
  const done: Done = { looked: serials.size, revoked: 0, already: 0, ended: 0 };
  const now = parts.now();
  const wanted: Wanted[] = [];
  const logs = new Set<string>();
  for (const [hex, text] of serials) {
    const serial = Buffer.from(hex, "hex");
    const found = await parts.ledger.findSerial(serial);
    if (found === undefined)
      throw new Refusal(
        "not-found",
        `the ledger has no certificate with the serial number "${text.slice(0, 80)}": nothing was revoked`,
      );
    logs.add(found.intent.log);
    if (found.revocation !== undefined) done.already += 1;
    else if (found.intent.notAfter < now) done.ended += 1;
    else wanted.push({ serial, log: found.intent.log });
  }
  done.revoked = await write(wanted, "by serial number", order, parts);
  return { ...done, changed: false, limits: crlLimits([...logs], parts.live.world()), done: true };
}

async function* revokeWorkload(
  workload: RevokeRequest__Output["workload"],
  order: Order,
  parts: AdminParts,
): AsyncGenerator<RevokeProgress> {
  const { tenant = "", namespace = "", serviceAccount = "" } = workload ?? {};
  const denied = readWorkload(`${tenant}/${namespace}/${serviceAccount}`, parts.live.world().declared);
  const { identity } = denied;
  const changed = order.dryRun
    ? !parts.live.world().isSuspended("workload", `${tenant}/${identity}`)
    : await setDenied(denied, true, order.by, parts);
  // From here on it gets nothing, so what is found now is all there is.
  const done = yield* revokeLive({ log: tenant, identity }, `workload ${identity}`, order, parts);
  yield { ...done, changed, limits: crlLimits([tenant], parts.live.world()), done: true };
}

async function* revokeCluster(name: string, order: Order, parts: AdminParts): AsyncGenerator<RevokeProgress> {
  const { live, state, log } = parts;
  // Without a name it would be the hub's own.
  if (name === "") throw new Refusal("malformed", "name a cluster");
  const declared = live.world().findCluster(name) !== undefined;
  const key = { kind: "cluster", name } as const;
  let changed = declared && !live.world().isSuspended("cluster", name);
  if (declared && !order.dryRun) {
    const act = { log: hubLog, verb: "suspend-cluster", ...order.by, details: { name } };
    // From this write on every intend refuses it, on every replica.
    changed = await state.setSuspended(key, true, act);
    await live.refresh();
    if (changed) log.info("suspend-cluster", { name, operator: order.by.operator });
  }
  const logs = new Set<string>();
  const done = yield* revokeLive({ cluster: name }, `cluster ${name}`, order, parts, logs);
  if (!declared && done.revoked + done.already === 0)
    throw new Refusal("not-found", `no cluster "${name}" is declared, and nothing of one is live`);
  const limits = [
    ...crlLimits([...logs], live.world()),
    `its token keys are as they were: change them before \`espalier cluster resume ${name}\`, after which its agents join again by themselves`,
  ];
  yield { ...done, changed, limits, done: true };
}

async function revokeAuthority(id: string, order: Order, parts: AdminParts): Promise<RevokeProgress> {
  const { live, state, log } = parts;
  const record = live.world().authorities.records.find((one) => one.id === id);
  if (record === undefined)
    throw new Refusal("not-found", `there is no authority "${id}": \`espalier tenant show\` has their names`);
  if (!isUnder(record.kind) || record.parent === undefined)
    throw new Refusal("not-ready", `${id} is a root: what trusts it has to be given another, nobody can revoke it`);
  let changed = record.state !== "revoked";
  if (!order.dryRun && changed) {
    const { serial } = readCertificate(record.certificate);
    const { owner, parent, notAfter } = record;
    // From this write on nothing is intended for it, nor given out again, on every replica; and no replica signs a thing with it
    // that has read this.
    changed = await state.revokeAuthority(
      id,
      { serial, log: owner, authority: parent, notAfter, reason: order.reason },
      { log: owner, verb: "revoke-authority", ...order.by, details: { id, crlReason: order.reason } },
    );
    if (changed) log.info("authority revoked", { tenant: owner, authority: id, operator: order.by.operator });
    await settle(parts);
  }
  const none = { looked: 0, revoked: 0, already: 0, ended: 0 };
  const successor = live.world().authorities.active(record.kind, record.owner)?.record.id ?? "";
  return {
    ...none,
    changed,
    successor: successor === id ? "" : successor,
    limits: authorityLimits(record, parts),
    done: true,
  };
}

/** Said where it is typed: what is revoked is our own signing, and not what others believe. */
function authorityLimits({ owner, parent }: AuthorityRecord, { live }: AdminParts): string[] {
  const { authorities } = live.world();
  const root = authorities.records.find(({ id }) => id === parent)?.owner ?? "";
  return [
    `certificates under it that are out stay as they are until they end; pods get others at half of their life, VMs have to show a token again`,
    `peers trust whatever a thief signs with its key until TrustRoot "${root}" is replaced, for every tenant under it: \`espalier blast-radius root ${root}\` says what that reaches, \`espalier root rotate ${root}\` mends it`,
    ...crlLimits([owner], live.world()),
  ];
}

/** Finds what is live and revokes it as it goes. */
async function* revokeLive(
  filter: LiveFilter,
  of: string,
  order: Order,
  parts: AdminParts,
  logs = new Set<string>(),
): AsyncGenerator<RevokeProgress, Done> {
  const done: Done = { looked: 0, revoked: 0, already: 0, ended: 0 };
  let waiting: Wanted[] = [];
  for await (const { looked, intents } of parts.ledger.live(filter, parts.now())) {
    done.looked += looked;
    for (const intent of intents) {
      logs.add(intent.log);
      if (intent.isRevoked) done.already += 1;
      else waiting.push(intent);
    }
    while (waiting.length >= serialsPerWrite) {
      done.revoked += await write(waiting.slice(0, serialsPerWrite), of, order, parts);
      waiting = waiting.slice(serialsPerWrite);
    }
    yield { ...done, done: false };
  }
  done.revoked += await write(waiting, of, order, parts);
  return done;
}

type Wanted = Pick<LiveIntent, "serial" | "log">;

/** One write for each log, in which its tenant finds the act. Returns how many were not revoked before. */
async function write(wanted: readonly Wanted[], of: string, order: Order, parts: AdminParts): Promise<number> {
  if (order.dryRun) return wanted.length;
  let revoked = 0;
  for (const [log, group] of Map.groupBy(wanted, (one) => one.log)) {
    const serials = group.map(({ serial }) => serial);
    const hex = serials.map((serial) => Buffer.from(serial).toString("hex")).join(",");
    const act = { log, verb: "revoke", ...order.by, details: { of, crlReason: order.reason, serials: hex } };
    // If we stop before this, they are as they were; after it they are revoked for good, and in the next CRL.
    revoked += await parts.state.revoke(serials, order.reason, act);
  }
  if (revoked > 0) parts.log.info("revoked", { of, certificates: revoked, operator: order.by.operator });
  return revoked;
}

export async function listRevocations(limit: number, { state }: AdminParts): Promise<Revocations> {
  const records = await state.lastRevocations(Math.min(limit === 0 ? listDefault : limit, listMax));
  const denied = (await state.suspensions()).filter(({ kind }) => kind === "workload");
  return {
    revocations: records.map(({ serial, log, authority, reason, at, notAfter }) => ({
      serial: Buffer.from(serial).toString("hex"),
      log,
      authority,
      reason,
      revokedAt: at.toISOString(),
      notAfter: notAfter.toISOString(),
    })),
    deniedWorkloads: denied.map(({ name }) => toShown(name)),
  };
}

export async function bringRootCrl(request: BringCrlRequest__Output, parts: AdminParts): Promise<BroughtCrl> {
  const by = readBy(request.act);
  const { trustRoot, crl, dryRun } = request;
  if (!parts.live.world().declared.roots.has(trustRoot))
    throw new Refusal(
      "not-found",
      `no TrustRoot "${trustRoot}" is declared: \`espalier root list\` shows what there is`,
    );
  const { record, changed } = await bringCrl(trustRoot, crl, by, { ...parts, dryRun });
  if (changed && !dryRun) {
    await parts.live.refresh();
    parts.log.info("CRL brought", { root: trustRoot, authority: record.authority, operator: by.operator });
  }
  const { authority, number, nextUpdate } = record;
  return { root: authority, number: String(number), nextUpdate: nextUpdate.toISOString(), changed };
}

/** `<tenant>/<namespace>/<service account>`, as it was typed. */
function toShown(name: string): string {
  const [tenant = "", , , , , namespace = "", , serviceAccount = ""] = name.split("/");
  return `${tenant}/${namespace}/${serviceAccount}`;
}

function readReason({ crlReason, target }: RevokeRequest__Output): RevocationReason {
  if (crlReason === "") return target === "authority" ? "cACompromise" : "unspecified";
  if (!isRevocationReason(crlReason))
    throw new Refusal("malformed", `"${crlReason}" is not a reason of RFC 5280 5.3.1`);
  return crlReason;
}

function toOctets(text: string): string {
  const hex = readSerial(text);
  if (hex === undefined)
    throw new Refusal("malformed", `"${text.slice(0, 80)}" is not a serial number in hex of at most 20 octets`);
  return hex;
}
