/** What one cluster has to trust and to know, as its agents are told it. */
import { createHash } from "node:crypto";
import type { World } from "./world.ts";

export interface ClusterTrust {
  /** Changes with anything below; the same for the same world on every replica. */
  readonly version: string;
  readonly tenants: readonly TenantTrust[];
  readonly servingRoots: readonly Uint8Array[];
  readonly servingNames: readonly string[];
  readonly suspended: boolean;
  /** Nothing that shows a token of this cluster gets anything. */
  readonly tokenKeysMissing: boolean;
}

export interface TenantTrust {
  readonly tenant: string;
  readonly trustDomain: string;
  readonly roots: readonly Uint8Array[];
  readonly bundleVersion: string;
  readonly suspended: boolean;
}

/** Only tenants that a rule gives something in this cluster: an agent learns of no others. */
export function toClusterTrust(world: World, cluster: string): ClusterTrust {
  const tenants = [...world.declared.tenants.values()]
    .filter((tenant) => tenant.rules.some((rule) => rule.clusters.includes(cluster) || rule.clusters.includes("*")))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((tenant): TenantTrust => {
      const bundle = world.authorities.bundleOf("root", tenant.root);
      return {
        tenant: tenant.name,
        trustDomain: tenant.trustDomain,
        roots: bundle.roots,
        bundleVersion: bundle.version,
        suspended: world.isSuspended("tenant", tenant.name),
      };
    });
  const serving = world.authorities.bundleOf("serving", cluster);
  const { servingNames = [] } = world.declared.clusters.get(cluster) ?? {};
  const suspended = world.isSuspended("cluster", cluster);
  const tokenKeysMissing = world.findCluster(cluster)?.keys().length === 0;
  const parts = [
    tenants.map((t) => [t.tenant, t.trustDomain, t.bundleVersion, t.suspended]),
    serving.version,
    servingNames,
    suspended,
    tokenKeysMissing,
  ];
  const version = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
  return { version, tenants, servingRoots: serving.roots, servingNames, suspended, tokenKeysMissing };
}
