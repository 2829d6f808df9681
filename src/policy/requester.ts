/**
 * Accounts that ask for others by objects: istio-csr, and istiod where it signs by CertificateSigningRequests. They have authenticated the
 * workload, and nobody else has: their word is taken where the MeshCluster declares them and the rule for that very workload names them.
 */
import { Refusal } from "../errors.ts";
import { readSpiffeId, workloadOf } from "../identity.ts";
import { type GeneralName, toNameText } from "../pki/general-name.ts";
import { isNamedUsage, toLeafUsages } from "../pki/named-usage.ts";
import { profiles } from "../pki/profile.ts";
import { decide } from "./decide.ts";
import type { NamedRequest } from "./decide-request.ts";
import type { Grant } from "./grant.ts";
import type { RuleTable } from "./table.ts";
import type { ProofKind } from "./workload.ts";

export interface Requester {
  /** `namespace/account`. */
  readonly account: string;
  /** Where its CertificateRequests are. In one elsewhere its name counts for nothing: others guard that namespace. */
  readonly namespace: string;
  /** Of the names that clusters serve with, those that requests of its namespace may have. */
  readonly servingNames: readonly string[];
}

/** Who made an object, as its API server has recorded it. */
export interface Maker {
  readonly door: "certificate-request" | "csr";
  /** Of a CertificateSigningRequest, that of the account that made it. */
  readonly namespace: string;
  readonly username: string;
}

/** The proof that its word is. */
export function proofOf({ account }: Requester): ProofKind {
  const [namespace = "", name = ""] = account.split("/");
  return `requester:${namespace}/${name}`;
}

/** The requester that made the object, if one did. */
export function requesterOf(
  requesters: readonly Requester[],
  { door, namespace, username }: Maker,
): Requester | undefined {
  return requesters.find(({ account, namespace: declared }) => {
    const [own, name] = account.split("/");
    return username === `system:serviceaccount:${own}:${name}` && namespace === (door === "csr" ? own : declared);
  });
}

/**
 * A workload's certificate, for the one SPIFFE ID that the CSR names and nothing beside. The winner over all rules decides, as for the
 * workload's own token; asking by another tenant's issuer changes nothing about whose it is.
 * @throws Refusal as `decide`, `signer-denied` where the winner is not the issuer's tenant, `request-denied`, or `malformed`
 */
export function decideForOther(table: RuleTable, requester: Requester, request: NamedRequest): Grant {
  const { cluster, tenant, names, subject, usages, isCa, validitySeconds } = request;
  const deny = (message: string): Refusal => new Refusal("request-denied", message);
  if (isCa) throw deny("a CA certificate is asked for (isCA), and none is given to requests: leaves only");
  const [name, ...others] = names;
  if (name === undefined || others.length > 0 || subject.length > 0)
    throw deny("a request for another workload names its SPIFFE ID and nothing beside: no other name, no subject");
  if (!isWorkloads(usages))
    throw deny(
      "a request for another workload takes the usages server auth and client auth, digital signature and key encipherment, and no others",
    );
  const identity = toIdentity(name);
  const { namespace, serviceAccount } = identity;
  const grant = decide(table, {
    workload: { cluster, namespace, serviceAccount, proof: proofOf(requester) },
    profile: "workload",
    requestedIdentity: identity.id,
    validitySeconds,
  });
  if (grant.tenant === tenant) return grant;
  throw new Refusal("signer-denied", `${toNameText(name)} is not an identity of MeshTenant "${tenant}"`, {
    cause: { tenant: grant.tenant, rule: grant.rule },
  });
}

/** Both sides of a handshake; what its key may do beside is the profile's to say, whatever of it is asked. */
function isWorkloads(usages: readonly string[]): boolean {
  const { keyUsage, extended } = toLeafUsages(usages.filter(isNamedUsage));
  return (
    usages.every(isNamedUsage) &&
    new Set(extended).symmetricDifference(new Set<string>(profiles.workload.usages)).size === 0 &&
    keyUsage.every((usage) => usage === "digitalSignature" || usage === "keyEncipherment")
  );
}

function toIdentity(name: GeneralName) {
  const id = readSpiffeId(Buffer.from(name.value, "latin1"));
  const workload = workloadOf(id);
  if (workload === undefined)
    throw new Refusal(
      "identity-denied",
      `${toNameText(name)} is not spiffe://<trust domain>/ns/<namespace>/sa/<account>`,
    );
  return { id, ...workload };
}
