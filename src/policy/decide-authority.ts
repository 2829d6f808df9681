/**
 * May they have a CA certificate? Only where the tenant says so for the namespace, and shares neither root nor trust domain with
 * another: whoever holds it is every workload of the tenant, and signs in no ledger.
 */
import type { NameScope } from "../pki/name-constraints.ts";
import { type Given, type Granted, grant, quote } from "./given.ts";
import { matches } from "./pattern.ts";
import { sharingOf } from "./sharing.ts";

export interface AuthorityGrant extends Granted {
  readonly profile: "authority";
  readonly scope: NameScope;
}

/** What a CA is for, and what cert-manager writes into every CSR where nothing is asked: that it does not get. */
const usagesTaken: ReadonlySet<string> = new Set([
  "cert sign",
  "crl sign",
  "signing",
  "digital signature",
  "key encipherment",
]);

/** The subject's values are judged as those of any request, and not here. @throws Refusal `request-denied`. */
export function decideAuthority(given: Given): AuthorityGrant {
  const { table, request, tenant, limits, refuse } = given;
  const deny = (why: string) => refuse("request-denied", `a CA certificate is asked for (isCA), and ${why}`);
  const { authorities } = limits;
  if (authorities === undefined || !authorities.namespaces.some((pattern) => matches(pattern, request.namespace)))
    throw deny(
      `MeshTenant "${tenant.name}" gives none to namespace "${request.namespace}" (spec.requests.authorities, for a tenant with a root of its own)`,
    );
  const sharing = sharingOf(
    tenant,
    table.rows.map(({ entry }) => entry.tenant),
  );
  // Whom it shares with is nothing to the caller.
  if (sharing !== undefined)
    throw deny(`the ${sharing.what} of MeshTenant "${tenant.name}" is not its own: other tenants could be forged`);
  if (request.subject.length === 0 || request.names.length > 0)
    throw deny("its CSR has to have a subject, such as a common name, and no names beside it");
  const other = request.usages.find((usage) => !usagesTaken.has(usage));
  if (other !== undefined) throw deny(`a CA is for cert sign and crl sign, and not for ${quote(other)}`);
  return {
    profile: "authority",
    ...grant(given, authorities.maximumSeconds, "spec.requests.authorities.maximumSeconds"),
    scope: { trustDomain: tenant.trustDomain, dnsNames: authorities.dnsNames },
  };
}
