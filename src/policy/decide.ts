/**
 * May they? One request, the rules in force, and either a grant or the reason why not. What a refusal says is about the
 * caller's own request; whose rule it met is in the `cause`, for the log.
 */
import { Refusal, type RefusalCode } from "../errors.ts";
import { type SpiffeId, workloadId } from "../identity.ts";
import { profiles } from "../pki/profile.ts";
import type { Grant } from "./grant.ts";
import type { ValidityLimits } from "./rule.ts";
import type { RuleTable } from "./table.ts";
import { type Match, matchOf, tenantOf } from "./tenant.ts";
import type { Workload } from "./workload.ts";

export interface Request {
  readonly workload: Workload;
  readonly profile: "workload";
  /** `CertSigner`: the tenant the caller would like. Empty is as absent (Istio's agents always send it). */
  readonly requestedSigner?: string;
  /** The URI name of the CSR. */
  readonly requestedIdentity: SpiffeId;
  /** Zero or less: the tenant's default. */
  readonly validitySeconds: number;
}

/** The `cause` of a refusal by policy: whom the request met. Never for the caller. */
export interface Met {
  readonly tenant: string;
  readonly rule: string;
}

/**
 * @throws Refusal `no-rule`, `signer-denied`, `suspended`, `proof-not-accepted` or `identity-denied`; all but the first with
 * a `Met` as cause where a rule was met.
 */
export function decide(table: RuleTable, request: Request): Grant {
  const { workload, profile } = request;
  const { tenant, rule } = choose(table, request);
  const refuse = (code: RefusalCode, message: string): Refusal =>
    new Refusal(code, message, { cause: { tenant: tenant.name, rule: rule.name } satisfies Met });

  if (tenant.suspended) throw refuse("suspended", "certificates for this workload are suspended");
  // The winner's proofs are final: a wider rule that would take this proof is not asked.
  if (!rule.proofs.includes(workload.proof)) {
    throw refuse("proof-not-accepted", `the proof "${workload.proof}" is not accepted for this workload`);
  }
  // A `request` proves no account. Rules that take it are for all accounts, and still there is no identity without one.
  if (workload.serviceAccount === "") throw refuse("identity-denied", "a workload's identity takes a service account");
  const identity = workloadId({ ...workload, trustDomain: tenant.trustDomain });
  if (request.requestedIdentity !== identity) {
    throw refuse("identity-denied", `the CSR names "${request.requestedIdentity}", and this workload is "${identity}"`);
  }
  return {
    tenant: tenant.name,
    profile,
    identity,
    validitySeconds: validitySeconds(
      request.validitySeconds,
      tenant.profiles[profile],
      profiles[profile].validitySecondsCap,
    ),
    rule: `${tenant.name}/${rule.name}`,
    proof: workload.proof,
  };
}

/**
 * The tenant derived, or the one asked for if its rules match too; that tenant's own most specific rule then decides.
 * @throws Refusal `no-rule`, `signer-denied`
 */
export function choose(
  table: RuleTable,
  { workload, requestedSigner }: Pick<Request, "workload" | "requestedSigner">,
): Match {
  const derived = tenantOf(table, workload);
  if (derived === undefined) {
    const { cluster, namespace, serviceAccount } = workload;
    throw new Refusal(
      "no-rule",
      `no tenant has a rule for account "${serviceAccount}" of namespace "${namespace}" in cluster "${cluster}"`,
    );
  }
  if (requestedSigner === undefined || requestedSigner === "") return derived;
  const chosen = matchOf(table, workload, requestedSigner);
  if (chosen !== undefined) return chosen;
  // The same words for a tenant that is not there and for one that is not theirs: asking tells nobody which exist.
  throw new Refusal("signer-denied", `the CertSigner ${quote(requestedSigner)} is not one this workload may use`, {
    cause: { tenant: derived.tenant.name, rule: derived.rule.name } satisfies Met,
  });
}

/** Within minimum and maximum, and within what the profile allows at all. */
function validitySeconds(requested: number, limits: ValidityLimits, cap: number): number {
  const asked = Number.isSafeInteger(requested) && requested > 0 ? requested : limits.defaultSeconds;
  return Math.min(Math.max(asked, limits.minimumSeconds), limits.maximumSeconds, cap);
}

/** The caller's own value, no longer than any tenant's name. */
function quote(text: string): string {
  return JSON.stringify(text.length > 63 ? `${text.slice(0, 63)}…` : text);
}
