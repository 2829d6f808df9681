/** What every generation of a CA key has, root or authority: an id, a key, a name, the intention before a signature, a row after it. */
import { createHash } from "node:crypto";
import type { Custody, KeyAlgorithm, Signer } from "../custody/signer.ts";
import type { Act } from "../ledger/ledger.ts";
import type { AuthorityKind, AuthorityRecord, Predecessor, State } from "../ledger/state.ts";
import { authorityBackdateMs } from "./succession.ts";

export interface AuthorityParts {
  readonly state: State;
  readonly custody: Custody;
  readonly now: () => Date;
  readonly random: (bytes: number) => Uint8Array;
}

/** Who asked for it, and why. */
export type By = Pick<Act, "operator" | "reason">;

/** Hex digits at the end of an id. */
const idRandomHex = 8;
/** X.520's upper bound of a common name, in characters (RFC 5280 A.1, ub-common-name). */
const commonNameMax = 64;

const titles: Readonly<Record<AuthorityKind, string>> = {
  hub: "Espalier hub",
  root: "Espalier root",
  serving: "Espalier serving root",
  tenant: "Espalier authority",
  delegating: "Espalier delegating authority",
};

/** Names the generation and its key in custody. */
export function newId(kind: AuthorityKind, owner: string, { random }: Pick<AuthorityParts, "random">): string {
  const label = owner.slice(0, 63).replaceAll(/[^a-z0-9]/g, "-");
  return `${kind}-${label}-${Buffer.from(random(idRandomHex / 2)).toString("hex")}`;
}

/** The id is in the key's name: a key whose authority was never written is an orphan, and harmless. */
export async function makeKey(
  kind: AuthorityKind,
  owner: string,
  algorithm: KeyAlgorithm,
  parts: AuthorityParts,
): Promise<{ readonly id: string; readonly signer: Signer }> {
  const id = newId(kind, owner, parts);
  return { id, signer: await parts.custody.createKey(id, algorithm) };
}

/** What tells generations apart comes before the owner, which may be cut off. */
export function toCommonName(kind: AuthorityKind, owner: string, id: string): string {
  return `${titles[kind]} ${id.slice(-idRandomHex)} ${owner}`.slice(0, commonNameMax);
}

export function backdated({ now }: Pick<AuthorityParts, "now">): Date {
  return new Date(+seconds(now()) - authorityBackdateMs);
}

/** Certificates' times have no fractions. */
export function seconds(date: Date): Date {
  return new Date(Math.floor(+date / 1000) * 1000);
}

/** What a CA key is to sign here is intended like a leaf: the bytes are in the ledger before the key touches them. */
export function intending(signer: Signer, act: Act, state: State): Signer {
  return {
    algorithm: signer.algorithm,
    spki: signer.spki,
    sign: async (tbs) => {
      // If we stop after this: an intended certificate that nobody has.
      await state.act({
        ...act,
        verb: `intend-${act.verb}`,
        details: { ...act.details, tbs: Buffer.from(tbs).toString("base64") },
      });
      return await signer.sign(tbs);
    },
  };
}

export async function keep(
  record: AuthorityRecord,
  act: Act,
  { state }: AuthorityParts,
  follows?: Predecessor,
): Promise<AuthorityRecord> {
  // If we stop before this: a certificate whose intent is written and that signs nothing. After it: an active root is in
  // force everywhere, and what is prepared signs nothing yet.
  await state.addAuthority(record, withCertificate(act, record.certificate), follows);
  return record;
}

/** The act says which certificate it brought into force. */
export function withCertificate(act: Act, certificate: Uint8Array): Act {
  return { ...act, details: { ...act.details, sha256: createHash("sha256").update(certificate).digest("hex") } };
}

/** An act of Espalier's own. */
export function byItself(log: string, verb: string, reason: string, details: Act["details"]): Act {
  return { log, verb, operator: "espalier", reason, details };
}
