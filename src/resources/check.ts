/** The rules that hold between documents, and between them and the state in force. */
import { overlaps } from "../policy/overlap.ts";
import { sharingOf } from "../policy/sharing.ts";
import type { Locate, Resources } from "./declared.ts";
import { type Finding, toFinding, toProblem } from "./finding.ts";
import type { Kind } from "./kind.ts";
import type { MeshCluster } from "./mesh-cluster.ts";
import type { Path, Problem } from "./problem.ts";
import { unchanging } from "./rule.ts";
import { warn } from "./warn.ts";

/** What the documents are held against. */
export interface Context {
  /** The hub's name: the trust domain of agents and operators, so no tenant's. */
  readonly hub?: string;
  /** What has been in force until now; nothing at the first start. */
  readonly inForce?: Resources;
  /** By tenant, also of those that are not declared: the trust domain of certificates that are out. */
  readonly inUse?: ReadonlyMap<string, InUse>;
}

export interface InUse {
  readonly trustDomain: string;
  /** When the last of them ends. */
  readonly until: Date;
}

export interface Verdict {
  readonly problems: readonly Problem[];
  /** Empty when there are problems: those come first. */
  readonly warnings: readonly Problem[];
}

export function checkDeclared(declared: Resources, locate: Locate, context: Context = {}): Verdict {
  const place = (finding: Finding): Problem => toProblem(finding, locate);
  const problems = [
    ...references(declared, context.inForce),
    ...trustDomains(declared, context),
    ...unchanged(declared, context.inForce),
    ...stillInUse(declared, context),
    ...lifetimes(declared),
    ...delegations(declared),
    ...oneOwner(declared.clusters, globalNames),
    ...oneOwner(declared.clusters, tokenKeys),
    ...overlaps([...declared.tenants.values()]).map((problem) => toFinding(declared, problem)),
  ].map(place);
  return { problems, warnings: problems.length > 0 ? [] : warn(declared).map(place) };
}

function* references({ roots, tenants, clusters }: Resources, inForce: Resources | undefined): Generator<Finding> {
  for (const { name, root, rules } of tenants.values()) {
    if (!roots.has(root)) {
      const rule = missing("TrustRoot", root, inForce?.roots.has(root) === true);
      yield { kind: "MeshTenant", name, path: ["spec", "root"], rule };
    }
    for (const [i, rule] of rules.entries()) {
      for (const [j, cluster] of rule.clusters.entries()) {
        if (cluster === "*" || clusters.has(cluster)) continue;
        const text = missing("MeshCluster", cluster, inForce?.clusters.has(cluster) === true);
        yield { kind: "MeshTenant", name, path: ["spec", "rules", i, "clusters", j], rule: text };
      }
    }
  }
}

function missing(kind: Kind, name: string, wasThere: boolean): string {
  if (wasThere) return `${kind} "${name}" is named here and cannot be deleted`;
  return `there is no ${kind} "${name}"`;
}

function* trustDomains({ tenants }: Resources, { hub }: Context): Generator<Finding> {
  const path = ["spec", "trustDomain"];
  for (const { name, trustDomain } of tenants.values()) {
    if (trustDomain === hub) {
      yield {
        kind: "MeshTenant",
        name,
        path,
        rule: `"${hub}" is the hub's name: its trust domain is for agents and operators alone`,
      };
    }
  }
}

/** Certificates that are out have the one, and are trusted by the other: a root is changed by rotating it. */
function* unchanged({ tenants, roots }: Resources, inForce: Resources | undefined): Generator<Finding> {
  for (const tenant of tenants.values()) {
    const before = inForce?.tenants.get(tenant.name);
    if (before === undefined) continue;
    for (const field of ["trustDomain", "root"] as const) {
      // A root that is not there has been told already.
      if (before[field] === tenant[field] || (field === "root" && !roots.has(tenant.root))) continue;
      const rule = `${unchanging}: it is "${before[field]}" and would become "${tenant[field]}"`;
      yield { kind: "MeshTenant", name: tenant.name, path: ["spec", field], rule };
    }
  }
}

/** Over a restart, or where a tenant was deleted and is declared anew. */
function* stillInUse({ tenants }: Resources, { inForce, inUse }: Context): Generator<Finding> {
  for (const { name, trustDomain } of tenants.values()) {
    const before = inUse?.get(name);
    if (before === undefined || before.trustDomain === trustDomain || inForce?.tenants.has(name)) continue;
    const { until } = before;
    const rule = `${unchanging} to "${trustDomain}": certificates of "${before.trustDomain}" are out until ${until.toISOString()}; declare another tenant, or this one after that`;
    yield { kind: "MeshTenant", name, path: ["spec", "trustDomain"], rule };
  }
}

function* lifetimes({ roots, tenants }: Resources): Generator<Finding> {
  for (const { name, root, authority } of tenants.values()) {
    const most = roots.get(root)?.validityDays;
    if (most === undefined || authority.validityDays <= most) continue;
    const rule = `is more than the validityDays of TrustRoot "${root}", ${most}`;
    yield { kind: "MeshTenant", name, path: ["spec", "authority", "validityDays"], rule };
  }
}

/** Whoever holds a CA certificate is kept to one tenant by its root alone, and by names that nobody else has. */
function* delegations({ roots, tenants, clusters }: Resources): Generator<Finding> {
  for (const tenant of tenants.values()) {
    const { name, requests } = tenant;
    if (requests?.authorities === undefined) continue;
    const path = ["spec", "requests", "authorities"];
    const sharing = sharingOf(tenant, tenants.values());
    if (sharing !== undefined) {
      const value = sharing.what === "root" ? tenant.root : tenant.trustDomain;
      const rule = `the ${sharing.what} "${value}" is not this tenant's alone: MeshTenant "${sharing.with}" could be forged`;
      yield { kind: "MeshTenant", name, path, rule };
    }
    if (roots.get(tenant.root)?.source === "offline")
      yield {
        kind: "MeshTenant",
        name,
        path,
        rule: `the key of TrustRoot "${tenant.root}" is offline, and what signs these has to follow by itself`,
      };
    for (const [at, dnsName] of requests.authorities.dnsNames.entries()) {
      const serving = [...clusters.values()].flatMap((cluster) => cluster.servingNames);
      const below = serving.find((one) => one === dnsName || one.endsWith(`.${dnsName}`));
      if (below === undefined) continue;
      const rule = `"${below}" is what a cluster's agent and istiod serve with, and nobody else is given it`;
      yield { kind: "MeshTenant", name, path: [...path, "dnsNames", at], rule };
    }
  }
}

/** What belongs to one cluster only: where each piece stands, what it is, and what to call it. */
type Owned = readonly { readonly path: Path; readonly id: string; readonly what: string }[];

function* oneOwner(clusters: Resources["clusters"], owned: (cluster: MeshCluster) => Owned): Generator<Finding> {
  const owners = new Map<string, string>();
  for (const cluster of clusters.values()) {
    for (const { path, id, what } of owned(cluster)) {
      const owner = owners.get(id);
      if (owner === undefined) owners.set(id, cluster.name);
      else if (owner !== cluster.name) {
        yield {
          kind: "MeshCluster",
          name: cluster.name,
          path,
          rule: `${what} also belongs to MeshCluster "${owner}", and can to one only`,
        };
      }
    }
  }
}

/**
 * Names that mean one thing everywhere. Those under `.svc` mean in each cluster its own service (every istiod is
 * istiod.istio-system.svc), and what tells them apart is that each cluster trusts its own serving root alone.
 */
function globalNames({ servingNames }: MeshCluster): Owned {
  return servingNames.flatMap((id, at) =>
    /\.svc(\.cluster\.local)?$/.test(id)
      ? []
      : [{ path: ["spec", "servingNames", at], id, what: `serving name "${id}"` }],
  );
}

/** With a key of two clusters, a token of one would be good in the other. */
function tokenKeys({ tokens: { keys } }: MeshCluster): Owned {
  const path = ["spec", "tokens", "keys"];
  if (keys.kind === "url") return [{ path: [...path, "url"], id: new URL(keys.url).href, what: "this URL" }];
  // Those that joins and approvals register are held against one another in the database.
  if (keys.kind !== "static") return [];
  return keys.keys.map(({ thumbprint: id }) => ({ path, id, what: `the key with thumbprint "${id}"` }));
}
