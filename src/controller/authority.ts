/**
 * Roots, which an operator asks for, and authorities under them, which follow by themselves. What is due is decided by a pure
 * function (`succession.ts`) and applied a step at a time: each is one durable write with its act, and every CA certificate's
 * bytes are in the ledger before they are signed. Whoever stops in between, or is not the first, finds the rest still due.
 */
import { createHash } from "node:crypto";
import type { Custody, KeyAlgorithm, Signer } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import { type Act, hubLog } from "../ledger/ledger.ts";
import type { AuthorityKind, AuthorityRecord, State } from "../ledger/state.ts";
import { checkAuthority, createAuthority, createRoot } from "../pki/authority.ts";
import { newSerial } from "../pki/leaf.ts";
import type { Resources } from "../resources/declared.ts";
import { proveAuthority } from "./proof.ts";
import { authorityBackdateMs, decideAuthorities, endUnder, type Step } from "./succession.ts";

export interface AuthorityParts {
  readonly state: State;
  readonly custody: Custody;
  readonly now: () => Date;
  readonly random: (bytes: number) => Uint8Array;
}

const dayMs = 86_400_000;
/** Hex digits at the end of an id. */
const idRandomHex = 8;
/** A tenant's first authority takes two steps; what needs more than this does not settle. */
const roundsMax = 8;

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
  const times = { notBefore: backdated(parts), notAfter: new Date(+seconds(parts.now()) + order.validityDays * dayMs) };
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
  return await keep(
    { kind, owner, algorithm, id: made.id, keyName: made.id, ...times, certificate, state: "active" },
    act,
    parts,
  );
}

/**
 * Does what is due, and says each step that was done. One tenant's failure is not another's: it is thrown once all the others
 * have theirs. Replicas may do this at once: whoever is second finds what the first has made.
 */
export async function makeAuthorities(
  declared: Resources,
  parts: AuthorityParts,
  told: (step: Step) => void = () => {},
): Promise<void> {
  const failures = new Map<string, unknown>();
  for (let round = 0; round < roundsMax; round += 1) {
    const due = decideAuthorities(declared, await parts.state.authorities(), parts.now());
    const steps = due.filter((step) => !failures.has(ownerOf(step)));
    if (steps.length === 0) break;
    for (const step of steps) {
      try {
        await apply(step, parts);
        told(step);
      } catch (error) {
        // Another replica was first, and what it has written decides what is due now.
        if (!(error instanceof Refusal && error.code === "not-ready")) failures.set(ownerOf(step), error);
      }
    }
  }
  for (const failure of failures.values()) throw failure;
}

function ownerOf(step: Step): string {
  return step.kind === "retire" ? step.record.owner : step.tenant.name;
}

async function apply(step: Step, parts: AuthorityParts): Promise<void> {
  switch (step.kind) {
    case "prepare":
      return await prepare(step, parts);
    case "activate":
      return await activate(step, parts);
    case "retire":
      return await retire(step, parts);
  }
}

async function prepare(step: Extract<Step, { kind: "prepare" }>, parts: AuthorityParts): Promise<void> {
  const { tenant, root, reason } = step;
  const { algorithm } = tenant.authority;
  // First: this is tried again and again, and would leave a key each time.
  const rootSigner = await parts.custody.openKey(root.keyName);
  const made = await makeKey("tenant", tenant.name, algorithm, parts);
  const times = { notBefore: backdated(parts), notAfter: endUnder(root, tenant, parts.now()) };
  const act = byItself(tenant.name, "prepare-authority", reason, { id: made.id, root: root.id, algorithm });
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
      state: "prepared",
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

async function activate(step: Extract<Step, { kind: "activate" }>, parts: AuthorityParts): Promise<void> {
  const { tenant, successor, root, active } = step;
  const details = { id: successor.id, ...(active === undefined ? {} : { replaces: active.id }) };
  const reason = active === undefined ? `tenant ${tenant.name} has no authority` : `in the place of ${active.id}`;
  const act = byItself(tenant.name, "activate-authority", reason, details);
  // As it was kept, and not as it was made: this is what every replica will sign with.
  const signer = intending(await parts.custody.openKey(successor.keyName), act, parts.state);
  await proveAuthority({ record: successor, root: root.certificate, trustDomain: tenant.trustDomain, signer }, parts);
  const changes = [{ id: successor.id, from: "prepared", to: "active" } as const];
  // If we stop before this, the old one signs on; after it, the new one does, on every replica as soon as it has read this.
  await parts.state.setAuthorityStates(
    active === undefined ? changes : [{ id: active.id, from: "active", to: "retiring" }, ...changes],
    act,
  );
}

async function retire({ record, reason }: Extract<Step, { kind: "retire" }>, parts: AuthorityParts): Promise<void> {
  const act = byItself(record.owner, "retire-authority", reason, { id: record.id });
  // If we stop before this, its key is still opened, and signs nothing new. After it, it is opened no more.
  await parts.state.setAuthorityStates([{ id: record.id, from: record.state, to: "retired" }], act);
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

function backdated({ now }: AuthorityParts): Date {
  return new Date(+seconds(now()) - authorityBackdateMs);
}

function seconds(date: Date): Date {
  return new Date(Math.floor(+date / 1000) * 1000);
}

/** What a CA key is to sign here is intended like a leaf: the bytes are in the ledger before the key touches them. */
function intending(signer: Signer, act: Act, state: State): Signer {
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

async function keep(record: AuthorityRecord, act: Act, parts: AuthorityParts): Promise<AuthorityRecord> {
  const sha256 = createHash("sha256").update(record.certificate).digest("hex");
  // If we stop before this: a certificate whose intent is written and that signs nothing. After it: a root is in force
  // everywhere, and an authority prepared, which signs nothing yet.
  await parts.state.addAuthority(record, { ...act, details: { ...act.details, sha256 } });
  return record;
}

function toAct(log: string, verb: string, by: Pick<Act, "operator" | "reason">, details: Act["details"]): Act {
  return { log, verb, ...by, details };
}

function byItself(log: string, verb: string, reason: string, details: Act["details"]): Act {
  return toAct(log, verb, { operator: "espalier", reason }, details);
}
