/** What would make it work: for each refusal that the judgement of a request can come to, the verb or the field that mends it. */
import type { RefusalCode } from "../errors.ts";
import { readSpiffeId, workloadOf } from "../identity.ts";
import type { Candidate } from "../policy/candidates.ts";
import type { Facts } from "../policy/rule.ts";
import { clusterProblem, delegatingProblem, tenantProblem } from "./describe.ts";
import type { Question, Seen } from "./explain.ts";
import type { World } from "./world.ts";

export interface Refused extends Seen {
  readonly question: Question;
  readonly candidates: readonly Candidate[];
  readonly world: World;
  readonly now: Date;
}

export function fixesOf(code: RefusalCode, refused: Refused): readonly string[] {
  return fixes[code](refused);
}

type Fix = (refused: Refused) => readonly string[];

/** Judging comes to none of these. */
const none: Fix = () => [];

const fixes: Readonly<Record<RefusalCode, Fix>> = {
  "no-rule": missingRule,
  "proof-not-accepted": otherProof,
  "signer-denied": otherSigner,
  "identity-denied": otherIdentity,
  "request-denied": ({ question }) => [`let that field of MeshTenant "${question.signer}" give it, or ask without it`],
  suspended: resumed,
  "not-this-caller": ({ question: { cluster }, world }) => [
    `declare it: espalier cluster add ${cluster} --from-kubeconfig FILE; declared are ${some([...world.declared.clusters.keys()])}`,
  ],
  "impersonation-refused": ({ question: { cluster } }) => [
    `name ztunnel's account in spec.ztunnelAccounts of MeshCluster "${cluster}"`,
  ],
  quota: () => ["wait, or raise that field of the MeshTenant: the same request is then taken"],
  unavailable: unready,
  malformed: newRequest,
  "csr-key": newRequest,
  "csr-signature": newRequest,
  "proof-missing": none,
  "proof-invalid": none,
  "role-missing": none,
  "replay-differs": none,
  overloaded: none,
  "not-found": none,
  "not-ready": none,
  config: none,
  internal: none,
};

function missingRule({ facts, tenant, proof, candidates, world }: Refused): readonly string[] {
  const { cluster, namespace } = facts;
  if (tenant !== "" && !world.declared.tenants.has(tenant))
    return [`no MeshTenant "${tenant}" is declared; there are ${some([...world.declared.tenants.keys()])}`];
  const near = candidates.filter((one) => one.state === "nearly" && (tenant === "" || one.tenant === tenant));
  if (near.length > 0) return near.map((one) => widen(one, facts));
  const whose = tenant === "" ? "the MeshTenant that it is to belong to" : `MeshTenant "${tenant}"`;
  const proofs = proof === "token" ? "" : `, proofs: [${proof}]`;
  return [
    `add a rule to spec.rules of ${whose}: { name: ${namespace}, clusters: [${cluster}], namespaces: [${namespace}]${proofs} }`,
  ];
}

function widen({ tenant, rule, lacks }: Candidate, { cluster, serviceAccount }: Facts): string {
  const place = `rule "${rule.name}" of MeshTenant "${tenant}"`;
  if (serviceAccount === "" && lacks.includes("serviceAccounts"))
    return `${place} is for accounts ${rule.serviceAccounts.join(", ")}, and an object proves no account: add a rule for all accounts`;
  const missing = lacks.map((one) => `${one} lacks "${one === "clusters" ? cluster : serviceAccount}"`);
  return `${place} names this namespace; its ${missing.join(", and its ")}`;
}

function otherProof({ proof, candidates, question }: Refused): readonly string[] {
  const winner = candidates.find(({ state }) => state === "decides");
  if (winner === undefined) return [];
  const wider = candidates.find(({ state, rule }) => state === "beaten" && rule.proofs.includes(proof));
  const place = `rule "${winner.rule.name}" of MeshTenant "${winner.tenant}"`;
  const shown = question.who.kind === "workload" ? `, or prove it by ${winner.rule.proofs.join(" or ")}` : "";
  return [
    `add "${proof}" to the proofs of ${place}${shown}`,
    ...(wider === undefined
      ? []
      : [
          `rule "${wider.rule.name}" of MeshTenant "${wider.tenant}" takes it and is not asked: the narrowest rule alone decides`,
        ]),
  ];
}

function otherSigner({ question: { who }, candidates }: Refused): readonly string[] {
  if (who.kind === "object")
    return [`ask through an issuer of MeshTenant "${decidingOf(candidates)}", whose rule decides`];
  const tenants = new Set(candidates.filter(({ state }) => state !== "nearly").map(({ tenant }) => tenant));
  return [`leave CertSigner out, or ask for one of ${some([...tenants])}`];
}

function otherIdentity({ question, facts, identity, proof, world }: Refused): readonly string[] {
  if (proof !== "request") {
    if (identity === "") return [];
    return [
      `the CSR has to name ${identity}: the trust domain is meshConfig.trustDomain of istiod, and what pilot-agent and ztunnel ask with`,
    ];
  }
  const trustDomain = world.declared.tenants.get(question.signer)?.trustDomain ?? "";
  return [
    `ask for spiffe://${trustDomain}/ns/${facts.namespace}/sa/<account>, of an account that no rule for cluster "${facts.cluster}" singles out, where spec.requests.identities of MeshTenant "${question.signer}" is true`,
  ];
}

/** Empty where none does. */
function decidingOf(candidates: readonly Candidate[]): string {
  return candidates.find(({ state }) => state === "decides")?.tenant ?? "";
}

/** All that hold: lifting one of two would not be enough. */
function resumed({ question, identity, candidates, world }: Refused): readonly string[] {
  const { cluster } = question;
  const tenant = decidingOf(candidates);
  const held = (kind: "MeshTenant" | "MeshCluster", name: string, suspended: boolean): string =>
    suspended
      ? `set spec.suspended of ${kind} "${name}" to false`
      : `espalier ${kind === "MeshTenant" ? "tenant" : "cluster"} resume ${name} --reason …`;
  const denied = identity !== "" && world.isSuspended("workload", `${tenant}/${identity}`);
  return [
    ...(world.isSuspended("cluster", cluster)
      ? [held("MeshCluster", cluster, world.declared.clusters.get(cluster)?.suspended === true)]
      : []),
    ...(world.isSuspended("tenant", tenant)
      ? [held("MeshTenant", tenant, world.declared.tenants.get(tenant)?.suspended === true)]
      : []),
    ...(denied ? [`espalier allow workload ${tenant} ${toAccount(identity)} --reason …`] : []),
  ];
}

function toAccount(identity: string): string {
  const { namespace = "", serviceAccount = "" } = workloadOf(readSpiffeId(Buffer.from(identity, "utf8"))) ?? {};
  return `${namespace}/${serviceAccount}`;
}

/** Whatever keeps the two from being served. */
function unready({ question, candidates, world, now }: Refused): readonly string[] {
  const winner = decidingOf(candidates);
  const tenant = world.declared.tenants.get(winner);
  const cluster = world.declared.clusters.get(question.cluster);
  const asksForCa = question.who.kind === "object" && question.who.request.isCa;
  const problems = [
    ...(tenant === undefined
      ? []
      : [tenantProblem(tenant, world), ...(asksForCa ? [delegatingProblem(tenant, world, now)] : [])]),
    ...(cluster === undefined ? [] : [clusterProblem(cluster, world)]),
  ].filter((problem) => problem !== "");
  return problems.length > 0 ? problems : [`its authority needs a successor: espalier tenant show ${winner}`];
}

function newRequest(): readonly string[] {
  return ["no request like this is ever taken: make another one, whose CSR is as the refusal says"];
}

function some(names: readonly string[]): string {
  if (names.length === 0) return "none";
  return names.slice(0, 5).join(", ") + (names.length > 5 ? ` and ${names.length - 5} more` : "");
}
