/**
 * What somebody would get who asked now, by which rule; or why not, and what would make it work. The answer is that of the story itself
 * (issue.ts), gone through as far as its durable write with a key that nobody keeps: nothing is signed, written or counted.
 */
import { generateKeyPairSync } from "node:crypto";
import { Refusal } from "../errors.ts";
import { readSpiffeId, type SpiffeId, workloadId, workloadOf } from "../identity.ts";
import { verifyCsr } from "../pki/csr.ts";
import { readNamedCsr } from "../pki/named-csr.ts";
import { spiffeIdOf } from "../pki/named-leaf.ts";
import { toCsr } from "../pki/request.ts";
import { type Candidate, candidatesOf } from "../policy/candidates.ts";
import { choose } from "../policy/decide.ts";
import { proofOf } from "../policy/requester.ts";
import type { Facts } from "../policy/rule.ts";
import type { ProofKind, Workload } from "../policy/workload.ts";
import { tokenKeys } from "./authenticate.ts";
import { fixesOf } from "./fixes.ts";
import type { Admitted, ObjectRequest, Shown } from "./item.ts";
import { judge } from "./judge.ts";
import { requesterFor } from "./judge-request.ts";
import { prepare } from "./prepare.ts";
import type { Quotas } from "./quota.ts";
import type { World } from "./world.ts";

export interface Question {
  readonly cluster: string;
  /** The tenant that is asked for; empty for none. */
  readonly signer: string;
  /** 0 or less: none is stated. */
  readonly validitySeconds: number;
  readonly who: WorkloadAsks | ObjectAsks;
}

export const workloadProofs = ["token", "impersonated", "certificate"] as const;

export interface WorkloadAsks {
  readonly kind: "workload";
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly proof: (typeof workloadProofs)[number];
  /** The URI of its CSR; empty for the one that it should have. */
  readonly identity: string;
}

export interface ObjectAsks {
  readonly kind: "object";
  /** DER. */
  readonly csr: Uint8Array;
  readonly request: ObjectRequest;
}

export interface Explained {
  readonly cluster: string;
  /** Undefined where it is granted. */
  readonly refusal: Refusal | undefined;
  readonly fixes: readonly string[];
  readonly proof: ProofKind;
  /** What the certificate would be for; of what is refused, the SPIFFE ID that it should name, if there is one. */
  readonly identity: string;
  /** 0 where it is refused, or documents alone are asked. */
  readonly validitySeconds: number;
  /** Empty likewise. */
  readonly authority: string;
  readonly candidates: readonly Candidate[];
  readonly notes: readonly string[];
}

export interface ExplainParts {
  readonly world: World;
  /** What a running issuer has beside its documents; undefined where they alone are asked. */
  readonly made:
    | {
        readonly quotas: Pick<Quotas, "look">;
        /** Whether what is declared now is not what is in force. */
        readonly refused: () => boolean;
        readonly random: (bytes: number) => Uint8Array;
      }
    | undefined;
  readonly now: () => Date;
}

/** As whom the rules see it. */
export interface Seen {
  readonly facts: Facts;
  /** The tenant whose rules alone are asked; empty for those of all. */
  readonly tenant: string;
  readonly proof: ProofKind;
  /** The SPIFFE ID that it should have, or of an object's own, that it asks for; empty where there is none. */
  readonly identity: string;
}

/** @throws Refusal `malformed` for a question that is none. */
export function explain(question: Question, parts: ExplainParts): Explained {
  const { world, made } = parts;
  const { who } = question;
  const seen = who.kind === "workload" ? seeWorkload(question, who, world) : seeObject(question, who, world);
  const candidates = candidatesOf(world.table, seen.facts, seen.tenant);
  const notes = [...(made === undefined ? [documentsAlone] : []), ...(made?.refused() ? [documentsRefused] : [])];
  const { proof, identity } = seen;
  const cluster = question.cluster;
  const known = { cluster, proof, identity, validitySeconds: 0, authority: "", candidates, notes, fixes: [] };
  try {
    return { ...known, refusal: undefined, ...dryRun(question, identity, parts) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // The judgement ends with who is to sign, and documents have nobody.
    if (made === undefined && error.code === "unavailable") return { ...known, refusal: undefined };
    const refused = { ...seen, question, candidates, world, now: parts.now() };
    return { ...known, refusal: error, fixes: fixesOf(error.code, refused) };
  }
}

const documentsAlone =
  "by the documents alone: authorities, token keys, quotas and what operators have suspended or revoked are not in them";
const documentsRefused =
  "the documents as they are now are refused, and the last good ones answer: see the issuer's log, or espalier config check";

function seeWorkload(
  { cluster, signer }: Question,
  { namespace, serviceAccount, proof }: WorkloadAsks,
  world: World,
): Seen {
  const facts = { cluster, namespace, serviceAccount };
  return { facts, tenant: signer, proof, identity: derive({ ...facts, proof }, signer, world) };
}

/** An object proves no account, but where one asks for another's. */
function seeObject({ cluster, signer }: Question, { csr, request }: ObjectAsks, world: World): Seen {
  const names = ifReadable(() => readNamedCsr(csr).names) ?? [];
  const asked = spiffeIdOf(names) ?? "";
  const requester = requesterFor(names, request, cluster, world);
  const other = requester && ifReadable(() => workloadOf(readSpiffeId(Buffer.from(asked, "latin1"))));
  if (requester === undefined || other === undefined) {
    const facts = { cluster, namespace: request.namespace, serviceAccount: "" };
    return { facts, tenant: signer, proof: "request", identity: asked };
  }
  const { namespace, serviceAccount } = other;
  const facts = { cluster, namespace, serviceAccount };
  const proof = proofOf(requester);
  return { facts, tenant: "", proof, identity: derive({ ...facts, proof }, "", world) };
}

/** Empty where no tenant can be said. */
function derive(workload: Workload, requestedSigner: string, world: World): string {
  try {
    const { trustDomain } = choose(world.table, { workload, requestedSigner }).tenant;
    return workloadId({ ...workload, trustDomain });
  } catch (error) {
    if (error instanceof Refusal && error.code !== "malformed") return "";
    throw error;
  }
}

function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/** The steps of issue.ts in their order. @throws Refusal as they do. */
function dryRun(question: Question, identity: string, { world, made, now }: ExplainParts) {
  checkShown(question, world, made !== undefined);
  const admitted = toAdmitted(question, identity, now());
  const { allowed, csr } = judge(admitted, world);
  const limits = world.declared.tenants.get(allowed.log)?.quotas;
  if (limits !== undefined) made?.quotas.look(allowed.log, limits, now());
  verifyCsr(csr);
  const random = made?.random ?? ((length: number) => new Uint8Array(length));
  const draft = prepare(allowed, csr.spki, { now, random });
  return {
    identity: draft.identity,
    validitySeconds: Math.round((+draft.notAfter - +now()) / 1000),
    authority: draft.authority,
  };
}

/** What there has to be before any proof of this kind can hold. */
function checkShown({ cluster: name, who }: Question, world: World, isLive: boolean): void {
  const cluster = world.cluster(name);
  if (who.kind !== "workload" || who.proof === "certificate") return;
  if (isLive) tokenKeys(cluster);
  if (who.proof === "impersonated" && cluster.ztunnelAccounts.length === 0)
    throw new Refusal(
      "impersonation-refused",
      `nobody impersonates in cluster "${name}": its MeshCluster names no ztunnelAccounts`,
    );
}

function toAdmitted({ cluster, signer, validitySeconds, who }: Question, identity: string, at: Date): Admitted {
  const common = { signer, validitySeconds, deadline: at };
  if (who.kind === "object") {
    const { csr, request } = who;
    const proof: Shown = { kind: "request", request };
    return {
      cluster,
      asked: { ...common, door: request.door, csr, idempotencyKey: "explain", proof },
      proven: { kind: "request", cluster, request },
    };
  }
  const { namespace, serviceAccount, proof } = who;
  const uri = toUri(who, identity);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    cluster,
    asked: { ...common, door: "istio", csr: toCsr({ privateKey, uri }), idempotencyKey: "", proof: toShown(who, uri) },
    proven: { kind: "workload", workload: { cluster, namespace, serviceAccount, proof } },
  };
}

/** Where nobody's is right, any will do: the judgement does not come as far as to compare it. */
function toUri({ namespace, serviceAccount, identity: asked }: WorkloadAsks, identity: string): SpiffeId {
  if (asked !== "") return readSpiffeId(Buffer.from(asked, "utf8"));
  if (identity !== "") return readSpiffeId(Buffer.from(identity, "utf8"));
  return workloadId({ trustDomain: "none", namespace, serviceAccount });
}

/** What the judgement looks at of it; the proof itself nobody shows. */
function toShown({ proof }: WorkloadAsks, identity: string): Shown {
  if (proof === "certificate") return { kind: "certificate", certificate: new Uint8Array() };
  if (proof === "impersonated") return { kind: "impersonated", token: "", identity };
  return { kind: "token", token: "" };
}
