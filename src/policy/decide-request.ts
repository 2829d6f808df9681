/**
 * May they? What a namespace's own users ask for by an object, the rules in force, and either what they get or the reason why not.
 * Such a request proves no account: only rules for all accounts take it.
 */
import { Refusal } from "../errors.ts";
import { readSpiffeId, workloadOf } from "../identity.ts";
import { type GeneralName, toNameText } from "../pki/general-name.ts";
import { isSpiffe } from "../pki/named-leaf.ts";
import { isNamedUsage, type NamedUsage, toLeafUsages } from "../pki/named-usage.ts";
import type { SubjectAttribute } from "../pki/subject.ts";
import type { Met } from "./decide.ts";
import { type AuthorityGrant, decideAuthority } from "./decide-authority.ts";
import { type Given, type Granted, grant, quote } from "./given.ts";
import { givesAttribute, givesName, standsFor } from "./requests.ts";
import type { RuleTable } from "./table.ts";
import { matchOf } from "./tenant.ts";

export interface NamedRequest {
  readonly cluster: string;
  readonly namespace: string;
  /** The tenant that the issuer object names. */
  readonly tenant: string;
  readonly subject: readonly SubjectAttribute[];
  readonly names: readonly GeneralName[];
  /** In the words of cert-manager. */
  readonly usages: readonly string[];
  readonly isCa: boolean;
  /** Zero or less: not stated. */
  readonly validitySeconds: number;
}

export interface NamedGrant extends Granted {
  readonly profile: "request";
  readonly usages: readonly NamedUsage[];
}

/**
 * `servingNames` are those of every cluster: what pods take for their CA and their istiod, nobody is given.
 * @throws Refusal `no-rule`, `proof-not-accepted`, `suspended`, `request-denied` or `identity-denied`; all but the first with a `Met` as cause
 */
export function decideRequest(
  table: RuleTable,
  request: NamedRequest,
  servingNames: Iterable<string>,
): NamedGrant | AuthorityGrant {
  const { cluster, namespace } = request;
  const place = `namespace "${namespace}" in cluster "${cluster}"`;
  const match = matchOf(table, { cluster, namespace, serviceAccount: "" }, request.tenant);
  // The same words for a tenant that is not there and for one that is not theirs: asking tells nobody which exist.
  if (match === undefined)
    throw new Refusal("no-rule", `no rule of MeshTenant "${request.tenant}" for all accounts is for ${place}`);
  const { tenant, rule } = match;
  const refuse: Given["refuse"] = (code, message) =>
    new Refusal(code, message, { cause: { tenant: tenant.name, rule: rule.name } satisfies Met });
  if (tenant.suspended) throw refuse("suspended", `certificates of MeshTenant "${tenant.name}" are suspended`);
  const { requests } = tenant;
  if (!rule.proofs.includes("request"))
    throw refuse(
      "proof-not-accepted",
      `the rule of MeshTenant "${tenant.name}" for ${place} does not take the proof "request"`,
    );
  if (requests === undefined)
    throw refuse("request-denied", `MeshTenant "${tenant.name}" gives nothing to requests: it has no spec.requests`);
  const given: Given = { table, request, tenant, rule, limits: requests, refuse };
  if (request.isCa) {
    const authority = decideAuthority(given);
    checkSubject(given);
    checkServing(given, servingNames);
    return authority;
  }
  const usages = givenUsages(given);
  checkSubject(given);
  for (const name of request.names) checkName(name, given);
  checkIdentities(given, usages);
  checkServing(given, servingNames);
  return { profile: "request", usages, ...grant(given, requests.maximumSeconds, "spec.requests.maximumSeconds") };
}

function givenUsages({ request, limits, tenant, refuse }: Given): readonly NamedUsage[] {
  const known = request.usages.filter(isNamedUsage);
  const denied = request.usages.find((usage) => !isNamedUsage(usage) || !limits.usages.includes(usage));
  if (denied !== undefined)
    throw refuse(
      "request-denied",
      `the usage ${quote(denied)} is not given by MeshTenant "${tenant.name}" (spec.requests.usages)`,
    );
  return known;
}

function checkSubject({ request, limits, tenant, refuse }: Given): void {
  const { subject, names, namespace } = request;
  if (subject.length === 0 && names.length === 0)
    throw refuse("request-denied", "the CSR names nobody: it has neither a subject nor a name");
  const denied = subject.find((attribute) => !givesAttribute(attribute, limits, namespace));
  if (denied !== undefined)
    throw refuse(
      "request-denied",
      `the subject's ${denied.kind} ${quote(denied.value)} is not given by MeshTenant "${tenant.name}" to namespace "${namespace}" (spec.requests.subject.${denied.kind})`,
    );
}

function checkName(name: GeneralName, { request, limits, tenant, refuse }: Given): void {
  if (name.kind === "uri" && isSpiffe(name.value)) return;
  if (givesName(name, limits, request.namespace)) return;
  const field = { dns: "dnsNames", ip: "ips", email: "emails", uri: "uris" }[name.kind];
  throw refuse(
    "request-denied",
    `the name ${quote(toNameText(name))} is not given by MeshTenant "${tenant.name}" to namespace "${request.namespace}" (spec.requests.${field})`,
  );
}

/** A SPIFFE ID: of this namespace only, and only where the rule for that very account takes requests too. */
function checkIdentities({ table, request, tenant, limits, refuse }: Given, usages: readonly NamedUsage[]): void {
  const { cluster, namespace, names } = request;
  const uris = names.filter(({ kind }) => kind === "uri");
  const identities = uris.filter(({ value }) => isSpiffe(value));
  for (const { value } of identities) {
    if (!limits.identities)
      throw refuse(
        "identity-denied",
        `MeshTenant "${tenant.name}" gives no SPIFFE IDs to requests (spec.requests.identities)`,
      );
    const name = workloadOf(readSpiffeId(Buffer.from(value, "latin1")));
    if (name === undefined || name.trustDomain !== tenant.trustDomain || name.namespace !== namespace)
      throw refuse(
        "identity-denied",
        `${quote(value)} is not spiffe://${tenant.trustDomain}/ns/${namespace}/sa/<account>`,
      );
    const rule = matchOf(table, { cluster, namespace, serviceAccount: name.serviceAccount }, tenant.name)?.rule;
    // A rule that singles the account out decides for it, and such a rule takes no requests.
    if (rule?.proofs.includes("request") !== true)
      throw refuse(
        "identity-denied",
        `the account of ${quote(value)} has a rule of its own that does not take the proof "request"`,
      );
    if (uris.length > 1) throw refuse("request-denied", "a SPIFFE ID stands beside another URI (X509-SVID section 2)");
    const { keyUsage, extended } = toLeafUsages(usages);
    const half = extended.includes("serverAuth") !== extended.includes("clientAuth");
    if (!keyUsage.includes("digitalSignature") || half)
      throw refuse(
        "request-denied",
        "a SPIFFE ID takes the usages digital signature, and server auth with client auth (X509-SVID 4.3, 4.4)",
      );
  }
}

function checkServing({ request, refuse }: Given, servingNames: Iterable<string>): void {
  const { names, subject } = request;
  const asked = [
    ...names.filter(({ kind }) => kind === "dns"),
    ...subject.filter(({ kind }) => kind === "commonNames"),
  ].map(({ value }) => value);
  for (const serving of servingNames) {
    const found = asked.find((name) => standsFor(name, serving));
    if (found !== undefined)
      throw refuse(
        "request-denied",
        `${quote(found)} stands for ${quote(serving)}, which a cluster's agent and istiod serve with`,
      );
  }
}
