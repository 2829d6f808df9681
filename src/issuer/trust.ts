/** What one cluster has to trust and to know, as its agents are told it. */
import { createHash } from "node:crypto";
import { crlIssuers, crlRoots } from "../controller/crl.ts";
import type { CrlRecord } from "../ledger/state.ts";
import { proofOf } from "../policy/requester.ts";
import type { Rule } from "../policy/rule.ts";
import type { ProofKind } from "../policy/workload.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";
import { bundleOfTenant } from "./authorities.ts";
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
  /** DER, of every CA that may stand above a peer; empty where no tenant of this cluster has CRLs. */
  readonly crls: readonly Uint8Array[];
  /** The namespaces that are given them, as rules name them. */
  readonly crlNamespaces: readonly string[];
  /** What issuers and agents are known by; the one that signs now is the first. */
  readonly hubRoots: readonly Uint8Array[];
  /** Their bundle's version, which is none of `bundles`: an agent says by itself whether it has them. */
  readonly hubBundle: string;
  /** The versions of all bundles in it. */
  readonly bundles: readonly string[];
}

export interface TenantTrust {
  readonly tenant: string;
  readonly trustDomain: string;
  readonly roots: readonly Uint8Array[];
  readonly bundleVersion: string;
  readonly suspended: boolean;
  /** Whether it takes requests of this cluster's objects. */
  readonly requests: boolean;
}

/** Only tenants that a rule gives something in this cluster: an agent learns of no others. */
export function toClusterTrust(world: World, cluster: string): ClusterTrust {
  const declared = world.declared.clusters.get(cluster);
  const reaches = ({ clusters }: Rule): boolean => clusters.includes(cluster) || clusters.includes("*");
  const words = (declared?.requesters ?? []).map(proofOf);
  const takes = (proofs: readonly ProofKind[], { rules }: MeshTenant): boolean =>
    rules.some((rule) => reaches(rule) && proofs.some((proof) => rule.proofs.includes(proof)));
  const here = [...world.declared.tenants.values()]
    .filter((tenant) => tenant.rules.some(reaches))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const tenants = here.map((tenant): TenantTrust => {
    const bundle = bundleOfTenant(tenant, world.authorities);
    return {
      tenant: tenant.name,
      trustDomain: tenant.trustDomain,
      roots: bundle.roots,
      bundleVersion: bundle.version,
      suspended: world.isSuspended("tenant", tenant.name),
      requests: (tenant.requests !== undefined && takes(["request"], tenant)) || takes(words, tenant),
    };
  });
  const withCrls = here.filter(({ crl }) => crl !== undefined);
  const crls = toCrls(new Set(withCrls.map(({ root }) => root)), world);
  const namespaces = withCrls.flatMap(({ rules }) => rules.filter(reaches).flatMap((rule) => rule.namespaces));
  const crlNamespaces = crls.length === 0 ? [] : [...new Set(namespaces)].sort();
  const serving = world.authorities.bundleOf("serving", cluster);
  const { servingNames = [] } = declared ?? {};
  const suspended = world.isSuspended("cluster", cluster);
  const hub = hubRootsOf(world);
  const tokenKeysMissing = world.findCluster(cluster)?.keys().length === 0;
  const parts = [
    tenants.map((t) => [t.tenant, t.trustDomain, t.bundleVersion, t.suspended, t.requests]),
    serving.version,
    servingNames,
    suspended,
    tokenKeysMissing,
    [hub.bundle, hub.signs],
    ...(crls.length === 0 ? [] : [crlNamespaces, crls.map((one) => [one.authority, one.number])]),
  ];
  const version = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
  return {
    version,
    tenants,
    servingRoots: serving.roots,
    servingNames,
    suspended,
    tokenKeysMissing,
    crls: crls.map(({ crl }) => crl),
    crlNamespaces,
    hubRoots: hub.roots,
    hubBundle: hub.bundle,
    bundles: [...new Set([...tenants.map((t) => t.bundleVersion), serving.version])],
  };
}

/** The one that signs now comes first: agents get certificates under it without delay. */
function hubRootsOf({ authorities, hub }: Pick<World, "authorities" | "hub">): {
  readonly roots: readonly Uint8Array[];
  readonly bundle: string;
  /** The id of that one. */
  readonly signs: string;
} {
  const { roots, version } = authorities.bundleOf("hub", hub);
  const { id = "", certificate } = authorities.active("hub", hub)?.record ?? {};
  const first = roots.filter((root) => root === certificate);
  return { roots: [...first, ...roots.filter((root) => root !== certificate)], bundle: version, signs: id };
}

/** A chain with a CA that has none is refused by whoever has any: all of a root's, or nothing of it. */
export function toCrls(roots: ReadonlySet<string>, { authorities, crls }: World): readonly CrlRecord[] {
  return [...roots].sort().flatMap((root) => {
    const issuers = crlIssuers(new Set([root]), authorities.records);
    const lacks = issuers.some(({ id, state }) => state !== "prepared" && !crls.has(id));
    return lacks ? [] : issuers.flatMap(({ id }) => crls.get(id) ?? []);
  });
}

/** Of each owner's CAs, the CRL that ends first. */
export function firstCrls({ declared, authorities, crls }: World): readonly FirstCrl[] {
  const issuers = crlIssuers(new Set(crlRoots(declared).keys()), authorities.records);
  return [...Map.groupBy(issuers, ({ kind, owner }) => `${kind}/${owner}`).values()].flatMap((group) => {
    const [first] = group.flatMap(({ id }) => crls.get(id) ?? []).sort((a, b) => +a.nextUpdate - +b.nextUpdate);
    const [{ kind, owner } = { kind: "", owner: "" }] = group;
    return first === undefined ? [] : [[{ kind, owner }, first] as const];
  });
}

export type FirstCrl = readonly [labels: { readonly kind: string; readonly owner: string }, crl: CrlRecord];
