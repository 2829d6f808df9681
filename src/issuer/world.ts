/** Everything a decision rests on, as one value. A batch takes the world as it is and sees no other until it is done. */
import { Refusal } from "../errors.ts";
import type { AuthorityRequest, CrlRecord, Suspension, SuspensionKey } from "../ledger/state.ts";
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
  /** A workload's name is `<tenant>/<identity>`. */
  isSuspended(kind: SuspensionKey["kind"], name: string): boolean;
  /** The newest of each authority and root that has one, by its id. */
  readonly crls: ReadonlyMap<string, CrlRecord>;
  /** Suspensions that a document declares and that no write of intents reads yet, as `kind/name`. */
  readonly uncopied: readonly string[];
  /** Of an agent's or an issuer's certificate, whose serial number this is in hex. */
  isRevoked(serial: string): boolean;
}

export interface WorldParts {
  readonly hub: string;
  readonly declared: Declared;
  readonly authorities: Authorities;
  readonly authorityRequests: readonly AuthorityRequest[];
  readonly suspensions: readonly Suspension[];
  readonly revokedOwn: ReadonlySet<string>;
  readonly crls: readonly CrlRecord[];
  readonly keysOf: (cluster: MeshCluster) => readonly Jwk[];
  readonly proposedOf: (cluster: MeshCluster) => readonly Jwk[];
}

export function toWorld(parts: WorldParts): World {
  const { hub, declared, authorities, authorityRequests, suspensions, revokedOwn, keysOf, proposedOf } = parts;
  const suspended = { tenant: new Set<string>(), cluster: new Set<string>(), workload: new Set<string>() };
  const copied = new Set<string>();
  for (const { kind, name, source } of suspensions) {
    suspended[kind].add(name);
    if (source === "document") copied.add(`${kind}/${name}`);
  }
  for (const { kind, name } of declaredSuspensions(declared)) suspended[kind].add(name);
  const clusters = new Map(
    [...declared.clusters.values()].map((c) => [
      c.name,
      { ...c, keys: () => keysOf(c), proposed: () => proposedOf(c) },
    ]),
  );
  // A look for a name that was just put together costs a microsecond, and mostly there is nothing to find.
  const isSuspended: World["isSuspended"] = (kind, name) => suspended[kind].size > 0 && suspended[kind].has(name);
  return {
    hub,
    declared,
    table: toRuleTable([...declared.tenants.values()]),
    authorities,
    authorityRequests,
    isSuspended,
    uncopied: declaredSuspensions(declared)
      .map(({ kind, name }) => `${kind}/${name}`)
      .filter((one) => !copied.has(one)),
    crls: new Map(parts.crls.map((crl) => [crl.authority, crl])),
    isRevoked: (serial) => revokedOwn.has(serial),
    findCluster: (name) => clusters.get(name),
    cluster: (name) => {
      const cluster = clusters.get(name);
      if (cluster === undefined) throw new Refusal("not-this-caller", `cluster "${name}" is not declared`);
      if (isSuspended("cluster", name)) throw new Refusal("suspended", `cluster "${name}" is suspended`);
      return cluster;
    },
  };
}

/** By the resources' own `suspended`. */
export function declaredSuspensions({ tenants, clusters }: Declared): readonly SuspensionKey[] {
  const of = (kind: SuspensionKey["kind"], all: Declared["tenants"] | Declared["clusters"]): readonly SuspensionKey[] =>
    [...all.values()].flatMap(({ name, suspended }) => (suspended ? [{ kind, name }] : []));
  return [...of("tenant", tenants), ...of("cluster", clusters)];
}
