/**
 * Whether others trust what a tenant's root vouches for, or are called as its workloads are. Whoever holds a CA certificate under a
 * shared root could forge every tenant under it, whatever name constraints say: not every verifier reads them.
 */
import type { Tenant } from "./rule.ts";

export interface Sharing {
  readonly with: string;
  readonly what: "root" | "trust domain";
}

type Names = Pick<Tenant, "name" | "root" | "trustDomain">;

/** The first that shares with it; undefined where root and trust domain are its own. */
export function sharingOf(tenant: Names, tenants: Iterable<Names>): Sharing | undefined {
  for (const other of tenants) {
    if (other.name === tenant.name) continue;
    if (other.root === tenant.root) return { with: other.name, what: "root" };
    // Some take a URI constraint for its sub-domains too (Go), and istiod verifies clients under all the roots that it serves.
    if (`.${other.trustDomain}`.endsWith(`.${tenant.trustDomain}`)) return { with: other.name, what: "trust domain" };
  }
  return undefined;
}
