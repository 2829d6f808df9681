/** Everything a decision rests on, as one value. A batch takes the world as it is and sees no other until it is done. */
import { Refusal } from "../errors.ts";
import type { AuthorityRequest, SuspensionKey } from "../ledger/state.ts";
import { type RuleTable, toRuleTable } from "../policy/table.ts";
import type { Declared } from "../resources/declared.ts";
import type { MeshCluster } from "../resources/mesh-cluster.ts";
import type { Jwk } from "../token/jwk.ts";
import type { Authorities } from "./authorities.ts";

/** A cluster that may ask. */
export interface ClusterState extends MeshCluster {
  /** What its tokens may be signed with. */
  keys(): readonly Jwk[];
  /** What its agent proposes in their place and nobody has decided on; none of it counts. */
  proposed(): readonly Jwk[];
}

export interface World {
  readonly hub: string;
  readonly declared: Declared;
  readonly table: RuleTable;
  readonly authorities: Authorities;
  /** Authorities that wait for a certificate. */
  readonly authorityRequests: readonly AuthorityRequest[];
  /** @throws Refusal `not-this-caller` when it is not declared, `suspended` when it is. */
  cluster(name: string): ClusterState;
  /** Declared, suspended or not. */
  findCluster(name: string): ClusterState | undefined;
  isSuspended(kind: SuspensionKey["kind"], name: string): boolean;
}

export interface WorldParts {
  readonly hub: string;
  readonly declared: Declared;
  readonly authorities: Authorities;
  readonly authorityRequests: readonly AuthorityRequest[];
  readonly suspensions: readonly SuspensionKey[];
  readonly keysOf: (cluster: MeshCluster) => readonly Jwk[];
  readonly proposedOf: (cluster: MeshCluster) => readonly Jwk[];
}

export function toWorld(parts: WorldParts): World {
  const { hub, declared, authorities, authorityRequests, suspensions, keysOf, proposedOf } = parts;
  const suspended = { tenant: new Set<string>(), cluster: new Set<string>() };
  for (const { kind, name } of suspensions) suspended[kind].add(name);
  for (const tenant of declared.tenants.values()) if (tenant.suspended) suspended.tenant.add(tenant.name);
  for (const cluster of declared.clusters.values()) if (cluster.suspended) suspended.cluster.add(cluster.name);
  const clusters = new Map(
    [...declared.clusters.values()].map((c) => [
      c.name,
      { ...c, keys: () => keysOf(c), proposed: () => proposedOf(c) },
    ]),
  );
  const isSuspended: World["isSuspended"] = (kind, name) => suspended[kind].has(name);
  return {
    hub,
    declared,
    table: toRuleTable([...declared.tenants.values()]),
    authorities,
    authorityRequests,
    isSuspended,
    findCluster: (name) => clusters.get(name),
    cluster: (name) => {
      const cluster = clusters.get(name);
      if (cluster === undefined) throw new Refusal("not-this-caller", `cluster "${name}" is not declared`);
      if (isSuspended("cluster", name)) throw new Refusal("suspended", `cluster "${name}" is suspended`);
      return cluster;
    },
  };
}
