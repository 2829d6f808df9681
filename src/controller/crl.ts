/**
 * CRLs, for tenants that want them. Envoy takes one of every CA in a chain or refuses the chain, so every CA under a root is given
 * one once any tenant under it has CRLs. What is due is decided by a pure function; each CRL is one durable write with its act.
 */
import { createHash } from "node:crypto";
import { Refusal } from "../errors.ts";
import { hubLog } from "../ledger/ledger.ts";
import { revocationReasons } from "../ledger/made-revocations.ts";
import type { AuthorityRecord, CrlRecord } from "../ledger/state.ts";
import { createCrl } from "../pki/crl.ts";
import type { Resources } from "../resources/declared.ts";
import { type AuthorityParts, backdated, byItself, seconds } from "./generation.ts";

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
  return [...own, ...records.filter((r) => r.kind === "tenant" && ids.has(r.parent ?? "") && isTrusted(r))];
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
    revoked: revoked.map((one) => ({ serial: one.serial, at: one.at, reason: revocationReasons[one.reason] })),
  });
  const details = {
    authority: record.id,
    number: String(number),
    revoked: String(revoked.length),
    nextUpdate: nextUpdate.toISOString(),
    sha256: createHash("sha256").update(crl).digest("hex"),
  };
  const log = record.kind === "tenant" ? record.owner : hubLog;
  // If we stop before this, nobody has what was signed, and the next pass signs another of this number.
  await state.keepCrl(
    { authority: record.id, number, revocations, thisUpdate, nextUpdate, crl },
    byItself(log, "issue-crl", reason, details),
  );
}
