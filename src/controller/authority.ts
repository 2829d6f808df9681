/**
 * Authorities follow by themselves from what is declared and the roots there are. What is due is decided by a pure function
 * (`succession.ts`) and applied a step at a time: each is one durable write with its act, and every CA certificate's bytes are
 * in the ledger before they are signed. Whoever stops in between, or is not the first, finds the rest still due.
 */
import { Refusal } from "../errors.ts";
import type { AuthorityRecord, AuthorityUnder } from "../ledger/state.ts";
import { checkAuthority, createAuthority } from "../pki/authority.ts";
import { readCertificate } from "../pki/certificate.ts";
import { newSerial } from "../pki/leaf.ts";
import type { Resources } from "../resources/declared.ts";
import { type AuthorityParts, backdated, byItself, intending, keep, makeKey, toCommonName } from "./generation.ts";
import { proveAuthority, proveDelegating } from "./proof.ts";
import { requestAuthority, withdrawRequest } from "./request.ts";
import { decideAuthorities, endUnder, type Step } from "./succession.ts";

/** A tenant's first authority takes two steps; what needs more than this does not settle. */
const roundsMax = 8;

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
    const [records, requests] = await Promise.all([parts.state.authorities(), parts.state.authorityRequests()]);
    const due = decideAuthorities(declared, records, parts.now(), requests);
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

/** A tenant's authority that signs leaves does not wait for the one that signs CA certificates, nor that one for it. */
function ownerOf(step: Step): string {
  switch (step.kind) {
    case "prepare":
      return `${step.of}/${step.tenant.name}`;
    case "activate":
      return `${step.successor.kind}/${step.tenant.name}`;
    case "dismiss":
    case "retire":
      return `${step.record.kind}/${step.record.owner}`;
    case "withdraw":
      return `tenant/${step.request.tenant}`;
    case "request":
      return `tenant/${step.tenant.name}`;
  }
}

async function apply(step: Step, parts: AuthorityParts): Promise<void> {
  switch (step.kind) {
    case "prepare":
      return await prepare(step, parts);
    case "request":
      return await requestAuthority(step, parts);
    case "withdraw":
      return await withdrawRequest(step, parts);
    case "activate":
      return await activate(step, parts);
    case "dismiss":
      return await dismiss(step, parts);
    case "retire":
      return await retire(step, parts);
  }
}

async function prepare(step: Extract<Step, { kind: "prepare" }>, parts: AuthorityParts): Promise<void> {
  const { tenant, of, root, active, reason } = step;
  const { algorithm } = tenant.authority;
  const pathLength = pathLengths[of];
  // First: this is tried again and again, and would leave a key each time.
  checkRoom(root, pathLength);
  const rootSigner = await parts.custody.openKey(root.keyName);
  const made = await makeKey(of, tenant.name, algorithm, parts);
  const times = { notBefore: backdated(parts), notAfter: endUnder(root, tenant, parts.now()) };
  const act = byItself(tenant.name, "prepare-authority", reason, { id: made.id, root: root.id, algorithm });
  const certificate = await createAuthority({
    signer: intending(rootSigner, act, parts.state),
    parent: root.certificate,
    spki: made.signer.spki,
    commonName: toCommonName(of, tenant.name, made.id),
    serial: newSerial(parts.random),
    pathLength,
    ...times,
  });
  checkAuthority(certificate, root.certificate, parts.now());
  await keep(
    {
      kind: of,
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
    // Another replica may have been through all of it meanwhile.
    { active: active?.id },
  );
}

const pathLengths: Readonly<Record<AuthorityUnder, number>> = { tenant: 0, delegating: 1 };

/** A root that was brought may have a path length of its own (RFC 5280 4.2.1.9). */
function checkRoom({ owner, certificate }: AuthorityRecord, pathLength: number): void {
  const above = readCertificate(certificate).pathLength;
  if (above === undefined || above > pathLength) return;
  throw new Refusal(
    "config",
    `TrustRoot "${owner}" has path length ${above}: nothing of path length ${pathLength} can stand below it`,
  );
}

async function activate(step: Extract<Step, { kind: "activate" }>, parts: AuthorityParts): Promise<void> {
  const { tenant, successor, root, active } = step;
  const details = { id: successor.id, ...(active === undefined ? {} : { replaces: active.id }) };
  const reason = active === undefined ? `tenant ${tenant.name} has none` : `in the place of ${active.id}`;
  const act = byItself(tenant.name, "activate-authority", reason, details);
  // As it was kept, and not as it was made: this is what every replica will sign with.
  const signer = intending(await parts.custody.openKey(successor.keyName), act, parts.state);
  const proof = { record: successor, root: root.certificate, trustDomain: tenant.trustDomain, signer };
  await (successor.kind === "delegating" ? proveDelegating(proof, parts) : proveAuthority(proof, parts));
  const changes = [{ id: successor.id, from: "prepared", to: "active" } as const];
  // If we stop before this, the old one signs on; after it, the new one does, on every replica as soon as it has read this.
  await parts.state.setAuthorityStates(
    active === undefined ? changes : [{ id: active.id, from: "active", to: "retiring" }, ...changes],
    act,
  );
}

async function dismiss({ record, reason }: Extract<Step, { kind: "dismiss" }>, parts: AuthorityParts): Promise<void> {
  const act = byItself(record.owner, "dismiss-authority", reason, { id: record.id });
  // If we stop before this, it is opened, and nobody is allowed what it would sign. After it, it has CRLs until it ends.
  await parts.state.setAuthorityStates([{ id: record.id, from: "active", to: "retiring" }], act);
}

async function retire({ record, reason }: Extract<Step, { kind: "retire" }>, parts: AuthorityParts): Promise<void> {
  const act = byItself(record.owner, "retire-authority", reason, { id: record.id });
  // If we stop before this, its key is still opened, and signs nothing new. After it, it is opened no more.
  await parts.state.setAuthorityStates([{ id: record.id, from: record.state, to: "retired" }], act);
}
