/**
 * Roots, which an operator asks for, and authorities under them, which are made as soon as they can be. First decided, by a
 * pure function; then applied, one authority at a time, each with its bytes in the ledger before they are signed.
 */
import { createHash } from "node:crypto";
import type { Custody, KeyAlgorithm, Signer } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import { type Act, hubLog } from "../ledger/ledger.ts";
import type { AuthorityKind, AuthorityRecord, State } from "../ledger/state.ts";
import { checkAuthority, createAuthority, createRoot } from "../pki/authority.ts";
import { newSerial } from "../pki/leaf.ts";
import type { Resources } from "../resources/declared.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";

export interface AuthorityParts {
  readonly state: State;
  readonly custody: Custody;
  readonly now: () => Date;
  readonly random: (bytes: number) => Uint8Array;
}

/** Clocks of those who verify may be behind ours by this much. */
const authorityBackdateMs = 3_600_000;
const dayMs = 86_400_000;
/** Hex digits at the end of an id. */
const idRandomHex = 8;

export interface RootOrder {
  readonly kind: "hub" | "root" | "serving";
  readonly owner: string;
  readonly algorithm: KeyAlgorithm;
  readonly validityDays: number;
}

/** Makes a self-signed root. @throws Refusal `not-ready` when its owner has one. */
export async function makeRoot(
  order: RootOrder,
  by: Pick<Act, "operator" | "reason">,
  parts: AuthorityParts,
): Promise<AuthorityRecord> {
  const existing = (await parts.state.authorities()).find(
    (r) => r.kind === order.kind && r.owner === order.owner && r.state === "active",
  );
  if (existing !== undefined)
    throw new Refusal("not-ready", `${order.kind} "${order.owner}" has an active root already: ${existing.id}`);
  const made = await makeKey(order.kind, order.owner, order.algorithm, parts);
  const times = validity(order.validityDays, undefined, parts);
  const act = toAct(hubLog, `create-${order.kind === "root" ? "workload" : order.kind}-root`, by, {
    id: made.id,
    owner: order.owner,
    algorithm: order.algorithm,
  });
  const certificate = await createRoot({
    signer: intending(made.signer, act, parts.state),
    commonName: toCommonName(order.kind, order.owner, made.id),
    serial: newSerial(parts.random),
    ...times,
  });
  const { kind, owner, algorithm } = order;
  return await keep({ kind, owner, algorithm, id: made.id, keyName: made.id, ...times, certificate }, act, parts);
}

/** What is missing: a tenant whose root is made and that has no authority to sign with. */
export function decideAuthorities(
  declared: Resources,
  records: readonly AuthorityRecord[],
): readonly { readonly tenant: MeshTenant; readonly root: AuthorityRecord }[] {
  return [...declared.tenants.values()].flatMap((tenant) => {
    if (records.some((r) => r.kind === "tenant" && r.owner === tenant.name && r.state === "active")) return [];
    const root = records.find((r) => r.kind === "root" && r.owner === tenant.root && r.state === "active");
    return root === undefined ? [] : [{ tenant, root }];
  });
}

/** Makes what is missing. One tenant's failure is not another's: it is thrown once all the others have theirs. */
export async function makeAuthorities(declared: Resources, parts: AuthorityParts): Promise<void> {
  const failures: unknown[] = [];
  for (const { tenant, root } of decideAuthorities(declared, await parts.state.authorities())) {
    await makeAuthority(tenant, root, parts).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

async function makeAuthority(tenant: MeshTenant, root: AuthorityRecord, parts: AuthorityParts): Promise<void> {
  const { algorithm, validityDays } = tenant.authority;
  const made = await makeKey("tenant", tenant.name, algorithm, parts);
  const times = validity(validityDays, root.notAfter, parts);
  const by = { operator: "espalier", reason: `tenant ${tenant.name} has no authority` };
  const act = toAct(tenant.name, "create-authority", by, { id: made.id, root: root.id, algorithm });
  const rootSigner = await parts.custody.openKey(root.keyName);
  const certificate = await createAuthority({
    signer: intending(rootSigner, act, parts.state),
    parent: root.certificate,
    spki: made.signer.spki,
    commonName: toCommonName("tenant", tenant.name, made.id),
    serial: newSerial(parts.random),
    pathLength: 0,
    ...times,
  });
  checkAuthority(certificate, root.certificate, parts.now());
  await keep(
    {
      kind: "tenant",
      owner: tenant.name,
      algorithm,
      id: made.id,
      keyName: made.id,
      ...times,
      certificate,
      parent: root.id,
    },
    act,
    parts,
  );
}

const titles: Readonly<Record<AuthorityKind, string>> = {
  hub: "Espalier hub",
  root: "Espalier root",
  serving: "Espalier serving root",
  tenant: "Espalier authority",
};

/** X.520's upper bound of a common name, in characters (RFC 5280 A.1, ub-common-name). */
const commonNameMax = 64;

/** What tells generations apart comes before the owner, which may be cut off. */
function toCommonName(kind: AuthorityKind, owner: string, id: string): string {
  return `${titles[kind]} ${id.slice(-idRandomHex)} ${owner}`.slice(0, commonNameMax);
}

/** The id is in the key's name: a key whose authority was never written is an orphan, and harmless. */
async function makeKey(
  kind: AuthorityKind,
  owner: string,
  algorithm: KeyAlgorithm,
  parts: AuthorityParts,
): Promise<{ readonly id: string; readonly signer: Signer }> {
  const label = owner.slice(0, 63).replaceAll(/[^a-z0-9]/g, "-");
  const id = `${kind}-${label}-${Buffer.from(parts.random(idRandomHex / 2)).toString("hex")}`;
  return { id, signer: await parts.custody.createKey(id, algorithm) };
}

function validity(
  days: number,
  end: Date | undefined,
  parts: AuthorityParts,
): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Math.floor(parts.now().getTime() / 1000) * 1000;
  const wanted = now + days * dayMs;
  return {
    notBefore: new Date(now - authorityBackdateMs),
    notAfter: new Date(Math.min(wanted, end?.getTime() ?? wanted)),
  };
}

/** A CA certificate is intended like a leaf: the bytes are in the ledger before a key touches them. */
function intending(signer: Signer, act: Act, state: State): Signer {
  return {
    algorithm: signer.algorithm,
    spki: signer.spki,
    sign: async (tbs) => {
      // If we stop after this: an intended CA certificate that nobody has, under a key that signs nothing.
      await state.act({
        ...act,
        verb: `intend-${act.verb}`,
        details: { ...act.details, tbs: Buffer.from(tbs).toString("base64") },
      });
      return await signer.sign(tbs);
    },
  };
}

async function keep(made: Omit<AuthorityRecord, "state">, act: Act, parts: AuthorityParts): Promise<AuthorityRecord> {
  const record: AuthorityRecord = { ...made, state: "active" };
  const sha256 = createHash("sha256").update(record.certificate).digest("hex");
  // If we stop before this: a certificate whose intent is written and that signs nothing. After it: in force everywhere.
  await parts.state.addAuthority(record, { ...act, details: { ...act.details, sha256 } });
  return record;
}

function toAct(log: string, verb: string, by: Pick<Act, "operator" | "reason">, details: Act["details"]): Act {
  return { log, verb, ...by, details };
}
