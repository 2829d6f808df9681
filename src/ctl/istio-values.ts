/** What Istio's own charts are told, so that the mesh's certificates come from the agent. Read from the charts of Istio 1.30 and 1.31. */
import { Refusal } from "../errors.ts";
import { toHostPort } from "../ops/address.ts";
import type { Resources } from "../resources/declared.ts";
import type { MeshCluster } from "../resources/mesh-cluster.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";

export const modes = ["sidecar", "ambient"] as const;
export const charts = ["istiod", "cni", "ztunnel", "gateway"] as const;
export type Chart = (typeof charts)[number];

export interface Wanted {
  readonly cluster: string;
  readonly mode: (typeof modes)[number];
  /** Where several tenants with trust domains of their own are in the cluster: whose control plane it is. */
  readonly tenant?: string;
  readonly revision?: string;
  readonly agentAddress?: string;
  readonly istioNamespace: string;
  readonly rootConfigMap: string;
  readonly network?: string;
}

export interface ChartValues {
  readonly release: string;
  readonly namespace: string;
  /** As `helm install --values` takes them. */
  readonly values: Readonly<Record<string, unknown>>;
}

export interface IstioValues {
  readonly charts: Partial<Record<Chart, ChartValues>>;
  /** What the documents do not say yet, and Istio would fail for. */
  readonly warnings: readonly string[];
}

export const defaultRootConfigMap = "istio-ca-root-cert";
/** The audience that ztunnel's and waypoints' tokens have, whatever the values say. */
const fixedAudience = "istio-ca";
const agentPort = 15012;

/** @throws Refusal `not-found`, or `config` for what no values can make work. */
export function toIstioValues(wanted: Wanted, { clusters, tenants }: Resources): IstioValues {
  const cluster = clusters.get(wanted.cluster);
  if (cluster === undefined)
    throw new Refusal(
      "not-found",
      `no MeshCluster "${wanted.cluster}" is declared: \`espalier cluster add ${wanted.cluster}\` writes one`,
    );
  const served = tenantsOf(cluster, tenants, wanted.tenant);
  const trustDomain = toTrustDomain(cluster, served);
  const address = wanted.agentAddress ?? `${cluster.agent.serviceAccount}.${cluster.agent.namespace}.svc:${agentPort}`;
  const { host, port } = toHostPort(address);
  // pilot-agent takes this port for one without TLS.
  if (port === 15010) throw new Refusal("config", `"${address}": Istio's agents speak no TLS to port 15010`);
  const [ztunnel, ...others] = cluster.ztunnelAccounts;
  const account = ztunnel?.split("/");
  const istiod = `istiod${suffix(wanted)}`;
  const mesh: Mesh = {
    ...wanted,
    trustDomain,
    address,
    istiod,
    audience: cluster.tokens.audiences.includes(fixedAudience) ? undefined : cluster.tokens.audiences[0],
    ztunnel: { namespace: account?.[0] ?? wanted.istioNamespace, name: account?.[1] ?? "ztunnel" },
  };
  const warnings = [
    ...[host, `${istiod}.${wanted.istioNamespace}.svc`]
      .filter((name) => !cluster.servingNames.includes(name))
      .map((name) => `servingNames of MeshCluster "${cluster.name}" lack "${name}": nobody can connect to it by TLS`),
    ...(wanted.mode === "ambient" ? ambientWarnings(cluster, served, others) : []),
  ];
  return { charts: wanted.mode === "ambient" ? { ...inEvery(mesh), ...inAmbient(mesh) } : inEvery(mesh), warnings };
}

interface Mesh extends Wanted {
  readonly trustDomain: string;
  readonly address: string;
  readonly istiod: string;
  /** Only where it is not Istio's own. */
  readonly audience: string | undefined;
  readonly ztunnel: { readonly namespace: string; readonly name: string };
}

function inEvery(mesh: Mesh): IstioValues["charts"] {
  const { istioNamespace: namespace, istiod, ztunnel, network, audience } = mesh;
  const isAmbient = mesh.mode === "ambient";
  const values = {
    ...(isAmbient ? { profile: "ambient" } : {}),
    ...revisionOf(mesh),
    // Its own CA off: it signs nothing and writes no roots. Its certificate is the Secret istiod-tls, which the chart mounts.
    pilot: { env: { ENABLE_CA_SERVER: "false" } },
    ...(isAmbient && ztunnel.namespace !== namespace ? { trustedZtunnelNamespace: ztunnel.namespace } : {}),
    ...(isAmbient && ztunnel.name !== "ztunnel" ? { trustedZtunnelName: ztunnel.name } : {}),
    meshConfig: { trustDomain: mesh.trustDomain },
    global: {
      istioNamespace: namespace,
      caAddress: mesh.address,
      // Another one, and pods do not mount the roots.
      pilotCertProvider: "istiod",
      ...rootsOf(mesh),
      ...(audience === undefined ? {} : { sds: { token: { aud: audience } } }),
      multiCluster: { clusterName: mesh.cluster },
      ...(network === undefined ? {} : { network }),
    },
  };
  const gateway = { release: "istio-ingress", namespace: "istio-ingress", values: revisionOf(mesh) };
  return {
    istiod: { release: istiod, namespace, values },
    // A gateway is injected by istiod, which says the rest.
    ...(mesh.revision === undefined ? {} : { gateway }),
  };
}

function inAmbient(mesh: Mesh): IstioValues["charts"] {
  const { istioNamespace, ztunnel, network } = mesh;
  const cni = { profile: "ambient", ...revisionOf(mesh) };
  const values = {
    ...revisionOf(mesh),
    ...(ztunnel.name === "ztunnel" ? {} : { resourceName: ztunnel.name }),
    istioNamespace,
    caAddress: mesh.address,
    ...rootsOf(mesh),
    multiCluster: { clusterName: mesh.cluster },
    ...(network === undefined ? {} : { network }),
  };
  return {
    cni: { release: "istio-cni", namespace: istioNamespace, values: cni },
    ztunnel: { release: ztunnel.name, namespace: ztunnel.namespace, values },
  };
}

function suffix({ revision }: Wanted): string {
  return revision === undefined ? "" : `-${revision}`;
}

function revisionOf({ revision }: Wanted): { readonly revision?: string } {
  return revision === undefined ? {} : { revision };
}

function rootsOf({ rootConfigMap }: Wanted): { readonly trustBundleName?: string } {
  return rootConfigMap === defaultRootConfigMap ? {} : { trustBundleName: rootConfigMap };
}

/** Those with a rule for the cluster. */
function tenantsOf(
  { name }: MeshCluster,
  tenants: ReadonlyMap<string, MeshTenant>,
  wanted: string | undefined,
): readonly MeshTenant[] {
  if (wanted !== undefined && !tenants.has(wanted))
    throw new Refusal("not-found", `no MeshTenant "${wanted}" is declared`);
  const found = [...tenants.values()]
    .filter((tenant) => wanted === undefined || tenant.name === wanted)
    .filter(({ rules }) => rules.some(({ clusters }) => clusters.includes("*") || clusters.includes(name)));
  const whose = wanted === undefined ? "no tenant has" : `tenant "${wanted}" does not have`;
  if (found.length === 0)
    throw new Refusal("config", `${whose} a rule for cluster "${name}": name it in a MeshTenant's spec.rules first`);
  return found;
}

/** Istio has one trust domain for each control plane. */
function toTrustDomain({ name }: MeshCluster, tenants: readonly MeshTenant[]): string {
  const [first, ...others] = new Set(tenants.map(({ trustDomain }) => trustDomain));
  if (first !== undefined && others.length === 0) return first;
  const list = tenants.map((tenant) => `${tenant.name} (${tenant.trustDomain})`).join(", ");
  throw new Refusal(
    "config",
    `cluster "${name}" has tenants of several trust domains, each with a control plane of its own: say whose with --tenant: ${list}`,
  );
}

function ambientWarnings(
  { name, ztunnelAccounts, tokens }: MeshCluster,
  tenants: readonly MeshTenant[],
  others: readonly string[],
): readonly string[] {
  const takes = tenants.some(({ rules }) => rules.some(({ proofs }) => proofs.includes("impersonated")));
  return [
    ...(ztunnelAccounts.length === 0 ? [`MeshCluster "${name}" names no ztunnelAccounts: ztunnel is refused`] : []),
    ...(others.length > 0 ? [`of the ztunnelAccounts of "${name}" the first one is meant, ${ztunnelAccounts[0]}`] : []),
    ...(takes ? [] : ["no rule takes the proof impersonated: ztunnel gets no certificates for its workloads"]),
    ...(tokens.audiences.includes(fixedAudience)
      ? []
      : [`audiences of MeshCluster "${name}" lack "${fixedAudience}": ztunnel's and waypoints' tokens have no other`]),
  ];
}
