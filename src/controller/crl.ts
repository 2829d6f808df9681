/**
 * CRLs, for tenants that want them. Envoy takes one of every CA in a chain or refuses the chain, so every CA under a root is given
 * one once any tenant under it has CRLs. What is due is decided by a pure function; each CRL is one durable write with its act.
 */
import { createHash } from "node:crypto";
import { Refusal } from "../errors.ts";
import { hubLog } from "../ledger/ledger.ts";
import { revocationReasons } from "../ledger/made-revocations.ts";
import { type AuthorityRecord, type CrlRecord, isUnder } from "../ledger/state.ts";
import { readCertificate } from "../pki/certificate.ts";
import { verifySignature } from "../pki/chain.ts";
import { createCrl } from "../pki/crl.ts";
import { isSame } from "../pki/der.ts";
import { type Crl, readCrl } from "../pki/read-crl.ts";
import type { Resources } from "../resources/declared.ts";
import { type AuthorityParts, type By, backdated, byItself, seconds } from "./generation.ts";
import { isOffline } from "./succession.ts";

export interface CrlStep {
  readonly record: AuthorityRecord;
  /** The one in force. */
  readonly last: CrlRecord | undefined;
  readonly validityMs: number;
  /** How many of its certificates have been revoked. */
  readonly revocations: number;
  readonly reason: string;
}

const dayMs = 86_400_000;
/** All CRLs of a cluster share a ConfigMap, which holds 1 MiB: some 50 bytes each, and a third more as PEM. */
export const revokedMax = 10_000;
/** What has ended stays in until a CRL after that (RFC 5280 3.3), and for clocks that are behind. */
const keepEndedMs = dayMs;

/** Of these roots, and of the authorities under them: whoever may stand above a peer. */
export function crlIssuers(
  roots: ReadonlySet<string>,
  records: readonly AuthorityRecord[],
): readonly AuthorityRecord[] {
  const isTrusted = ({ state }: AuthorityRecord): boolean =>
    state === "prepared" || state === "active" || state === "retiring";
  const own = records.filter((r) => r.kind === "root" && roots.has(r.owner) && isTrusted(r));
  const ids = new Set(own.map(({ id }) => id));
  return [...own, ...records.filter((r) => isUnder(r.kind) && ids.has(r.parent ?? "") && isTrusted(r))];
}

/** The roots of tenants with CRLs, each with the shortest validity that one of them wants. */
export function crlRoots({ tenants }: Resources): ReadonlyMap<string, number> {
  const roots = new Map<string, number>();
  for (const { root, crl } of tenants.values()) {
    if (crl !== undefined) roots.set(root, Math.min(roots.get(root) ?? Infinity, crl.nextUpdateDays * dayMs));
  }
  return roots;
}

export function decideCrls(
  declared: Resources,
  records: readonly AuthorityRecord[],
  crls: readonly CrlRecord[],
  counts: ReadonlyMap<string, number>,
  now: Date,
): readonly CrlStep[] {
  const lasts = new Map(crls.map((crl) => [crl.authority, crl]));
  return [...crlRoots(declared)].flatMap(([root, validityMs]) =>
    crlIssuers(new Set([root]), records).flatMap((record) => {
      const last = lasts.get(record.id);
      const revocations = counts.get(record.id) ?? 0;
      const reason = whyDue(last, revocations, validityMs, now);
      return reason === undefined ? [] : [{ record, last, validityMs, revocations, reason }];
    }),
  );
}

/** Half of its time before it ends: what keeps it from being made has to be mended in the other half. */
function whyDue(last: CrlRecord | undefined, revocations: number, validityMs: number, now: Date): string | undefined {
  if (last === undefined) return "it has none";
  if (last.revocations !== revocations) return "something was revoked";
  return +last.nextUpdate - +now < validityMs / 2
    ? `CRL ${last.number} ends ${last.nextUpdate.toISOString()}`
    : undefined;
}

/** Does what is due. One CA's failure is not another's: it is thrown once all the others have theirs. */
export async function makeCrls(
  declared: Resources,
  parts: AuthorityParts,
  told: (step: CrlStep) => void = () => {},
): Promise<void> {
  if (crlRoots(declared).size === 0) return;
  const { state, now } = parts;
  const [records, crls, counts] = await Promise.all([state.authorities(), state.crls(), state.revocationCounts()]);
  const failures: unknown[] = [];
  for (const step of decideCrls(declared, records, crls, counts, now())) {
    try {
      await makeCrl(step, parts);
      told(step);
    } catch (error) {
      // Another replica was first.
      if (!(error instanceof Refusal && error.code === "not-ready")) failures.push(error);
    }
  }
  for (const failure of failures) throw failure;
}

async function makeCrl(
  { record, last, validityMs, revocations, reason }: CrlStep,
  parts: AuthorityParts,
): Promise<void> {
  const { state, custody, now } = parts;
  const at = +seconds(now());
  const revoked = await state.revocations(record.id, new Date(at - keepEndedMs));
  if (revoked.length > revokedMax) {
    const few = `more than the ${revokedMax} that fit where pods read them`;
    throw new Error(`${record.id} has ${revoked.length} revoked certificates, ${few}: the CRL before stays in force`);
  }
  if (isOffline(record))
    throw new Error(`the key of ${record.id} is offline: have a CRL signed there, and \`espalier crl bring\` it`);
  const signer = await custody.openKey(record.keyName);
  const number = (last?.number ?? 0) + 1;
  const thisUpdate = backdated(parts);
  const nextUpdate = new Date(at + validityMs);
  const crl = await createCrl({
    signer,
    certificate: record.certificate,
    number,
    thisUpdate,
    nextUpdate,
    revoked: revoked.map(({ serial, at: when, reason: why }) => ({
      serial,
      // Backdated for slow clocks, a CRL would else speak of what comes after it. The ledger has the hour.
      at: when < thisUpdate ? when : thisUpdate,
      reason: revocationReasons[why],
    })),
  });
  const details = {
    authority: record.id,
    number: String(number),
    revoked: String(revoked.length),
    nextUpdate: nextUpdate.toISOString(),
    sha256: createHash("sha256").update(crl).digest("hex"),
  };
  const log = isUnder(record.kind) ? record.owner : hubLog;
  // If we stop before this, nobody has what was signed, and the next pass signs another of this number.
  await state.keepCrl(
    { authority: record.id, number, revocations, thisUpdate, nextUpdate, crl },
    byItself(log, "issue-crl", reason, details),
  );
}

/** A CRL of an offline root, as brought; `changed` is false where it is the one in force. */
export interface BroughtCrl {
  readonly record: CrlRecord;
  readonly changed: boolean;
}

const crlBytesMax = 48 * 1024;
/** Clocks there may be ahead of ours by this much. */
const aheadMsMax = 300_000;

/**
 * Takes a CRL that was signed where a root's key is.
 * @throws Refusal `malformed` for what is no CRL or no such root's; `not-ready` for one that is older, has ended or leaves out an
 * authority that is revoked here.
 */
export async function bringCrl(
  owner: string,
  der: Uint8Array,
  by: By,
  parts: Pick<AuthorityParts, "state" | "now"> & { readonly dryRun: boolean },
): Promise<BroughtCrl> {
  const { state, now, dryRun } = parts;
  const [records, crls, counts] = await Promise.all([state.authorities(), state.crls(), state.revocationCounts()]);
  const read = readCrl(der, crlBytesMax);
  const root = findSigner(read, crlIssuers(new Set([owner]), records), owner);
  const last = crls.find(({ authority }) => authority === root.id);
  if (last !== undefined && isSame(last.crl, der)) return { record: last, changed: false };
  checkNewer(read, last, now());
  const missing = (await state.revocations(root.id, now()))
    .map(({ serial }) => Buffer.from(serial).toString("hex"))
    .filter((serial) => !read.serials.has(serial));
  if (missing.length > 0)
    throw new Refusal("not-ready", `the CRL leaves out what is revoked here: ${missing.slice(0, 10).join(", ")}`);
  const { thisUpdate, nextUpdate } = read;
  const number = Number(read.number);
  const record = {
    authority: root.id,
    number,
    revocations: counts.get(root.id) ?? 0,
    thisUpdate,
    nextUpdate,
    crl: der,
  };
  const sha256 = createHash("sha256").update(der).digest("hex");
  const details = { authority: root.id, number: String(number), nextUpdate: nextUpdate.toISOString(), sha256 };
  // If we stop before this, the one before is in force; after it, this one is.
  if (!dryRun) await state.keepCrl(record, { log: hubLog, verb: "bring-crl", ...by, details });
  return { record, changed: true };
}

function findSigner(crl: Crl, issuers: readonly AuthorityRecord[], owner: string): AuthorityRecord {
  const roots = issuers.filter(({ kind }) => kind === "root");
  if (roots.length === 0) throw new Refusal("not-found", `TrustRoot "${owner}" has no root yet`);
  const root = roots.find(
    ({ certificate }) => isSame(readCertificate(certificate).subject, crl.issuer) && verifySignature(crl, certificate),
  );
  if (root === undefined) throw new Refusal("malformed", `no root of TrustRoot "${owner}" has signed this CRL`);
  if (!isOffline(root))
    throw new Refusal("not-ready", `the key of ${root.id} is here: its CRLs are made by themselves`);
  return root;
}

function checkNewer({ number, thisUpdate, nextUpdate }: Crl, last: CrlRecord | undefined, now: Date): void {
  if (last !== undefined && number <= BigInt(last.number))
    throw new Refusal("not-ready", `the CRL has number ${number}, and ${last.number} is in force: it has to be higher`);
  if (number > BigInt(Number.MAX_SAFE_INTEGER)) throw new Refusal("malformed", "the CRL's number is beyond 2^53");
  if (+thisUpdate > +now + aheadMsMax || nextUpdate <= now)
    throw new Refusal(
      "not-ready",
      `the CRL counts from ${thisUpdate.toISOString()} to ${nextUpdate.toISOString()}, and not now`,
    );
}
