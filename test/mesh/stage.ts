/**
 * The stage: a hub with one root and two tenants on loopback, two real control planes, and an agent beside each, all as processes of
 * their own. Tokens are the clusters' own.
 */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { clusterDocument, document, hubName } from "../support/documents.ts";
import { openRealCluster, type RealCluster } from "../support/kube-cluster.ts";
import { applyCrds } from "../support/kube-crds.ts";
import { eventually } from "../support/patience.ts";
import { freePort, startDaemon } from "../support/processes.ts";
import { makeSite, type Site } from "../support/site.ts";

export type ClusterName = "east" | "west";
export const clusterNames: readonly ClusterName[] = ["east", "west"];

/** An istiod and the workloads of one tenant that it configures. */
export interface ControlPlane {
  readonly cluster: ClusterName;
  readonly tenant: string;
  readonly namespace: string;
  readonly revision?: string;
}

export const planes = {
  east: { cluster: "east", tenant: "shop", namespace: "istio-system" },
  west: { cluster: "west", tenant: "shop", namespace: "istio-system" },
  /** A tenant with a trust domain of its own has an istiod of its own. */
  media: { cluster: "east", tenant: "media", namespace: "istio-media", revision: "media" },
} as const satisfies Record<string, ControlPlane>;

/** An istiod that signs nothing: it hands on what it is asked for as CertificateSigningRequests, by an account of its own. */
export const registrar: ControlPlane = { cluster: "west", tenant: "shop", namespace: "istio-ra", revision: "ra" };
export const registrarAccount = { namespace: registrar.namespace, name: "istiod-ra" };

export function istiodName({ revision, namespace }: ControlPlane): string {
  return `istiod${revision === undefined ? "" : `-${revision}`}.${namespace}.svc`;
}

const agentName = "espalier-agent.espalier-system.svc";

/** Somebody with an identity, and where it stands. Without a pod it is a VM. */
export interface Workload {
  readonly cluster: ClusterName;
  readonly namespace: string;
  readonly account: string;
  readonly pod?: string;
  /** Default node1, where the cluster's ztunnel is. */
  readonly node?: string;
  readonly trustDomain: string;
}

export const shop = "shop.example";
export const workloads = {
  cart: { cluster: "east", namespace: "shop", account: "cart", pod: "cart-1", trustDomain: shop },
  till: { cluster: "west", namespace: "shop", account: "till", pod: "till-1", trustDomain: shop },
  books: { cluster: "east", namespace: "shop", account: "books", pod: "books-1", node: "node2", trustDomain: shop },
  vault: { cluster: "east", namespace: "shop-vms", account: "vault", trustDomain: shop },
  press: { cluster: "east", namespace: "media", account: "press", pod: "press-1", trustDomain: "media.example" },
} as const satisfies Record<string, Workload>;

/** In each cluster. */
export const ztunnel = { namespace: "istio-system", account: "ztunnel", pod: "ztunnel-1" };

export function spiffeId({ trustDomain, namespace, account }: Workload): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${account}`;
}

export interface Cluster {
  readonly name: ClusterName;
  readonly kube: RealCluster;
  readonly kubeconfig: string;
  /** The agent's port for workloads, host:port. */
  readonly agent: string;
  /** The agent's, plain HTTP. */
  readonly http: string;
}

export interface Stage extends AsyncDisposable {
  /** The issuer's port for agents, host:port. */
  readonly hub: string;
  readonly site: Site;
  readonly clusters: Readonly<Record<ClusterName, Cluster>>;
  /** A folder of this name that is there, below the stage's own. */
  folder(...names: readonly string[]): string;
}

export async function openStage(kubeconfigs: Readonly<Record<ClusterName, string>>): Promise<Stage> {
  await using opened = new AsyncDisposableStack();
  const kubes = {
    east: opened.use(await openRealCluster(kubeconfigs.east)),
    west: opened.use(await openRealCluster(kubeconfigs.west)),
  };
  for (const name of clusterNames) await furnish(name, kubes[name]);
  const site = opened.use(await makeSite({ documents: documents(kubes), serving: clusterNames }));
  const folder = (...names: readonly string[]): string => {
    const path = join(site.directory, ...names);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
  const issuerConfig = join(site.directory, "issuer.json");
  writeFileSync(issuerConfig, JSON.stringify(site.config));
  const issuer = opened.use(startDaemon(["issuer", "run", "--config", issuerConfig]));
  const hub = `127.0.0.1:${String((await issuer.event("issuer ready"))["port"])}`;
  const agentOf = async (name: ClusterName): Promise<Cluster> => {
    const [listen, http] = [`localhost:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const config = { listen: listen.replace("localhost", "127.0.0.1"), http, issuers: [hub] };
    const file = await writeAgentConfig(folder("agents", name), site, name, kubes[name], kubeconfigs[name], config);
    opened.use(startDaemon(["agent", "run", "--config", file]));
    return { name, kube: kubes[name], kubeconfig: kubeconfigs[name], agent: listen, http: `http://${http}` };
  };
  const clusters = { east: await agentOf("east"), west: await agentOf("west") };
  for (const one of Object.values(clusters)) await ready(one);
  const kept = opened.move();
  return { hub, site, clusters, folder, [Symbol.asyncDispose]: async () => await kept.disposeAsync() };
}

function documents(kubes: Readonly<Record<ClusterName, RealCluster>>): readonly ReturnType<typeof document>[] {
  const pods = ["token", "impersonated"];
  return [
    document("TrustRoot", "main", {}),
    document("MeshTenant", "shop", {
      trustDomain: shop,
      root: "main",
      rules: [
        {
          name: "pods",
          clusters: clusterNames,
          namespaces: ["shop"],
          proofs: [...pods, "requester:istio-ra/istiod-ra"],
        },
        { name: "vms", clusters: ["east"], namespaces: ["shop-vms"], proofs: ["token", "certificate"] },
      ],
    }),
    document("MeshTenant", "media", {
      trustDomain: "media.example",
      root: "main",
      rules: [
        { name: "pods", clusters: ["east"], namespaces: ["media"], proofs: pods },
        { name: "registrar", clusters: ["west"], namespaces: ["media"], proofs: ["requester:istio-ra/istiod-ra"] },
      ],
    }),
    ...clusterNames.map((name) =>
      clusterDocument(name, {
        tokens: { issuer: kubes[name].issuer, keys: { jwks: JSON.parse(kubes[name].jwks) } },
        agent: { namespace: "espalier-system", serviceAccount: "espalier-agent" },
        requesters:
          name === registrar.cluster ? [{ account: `${registrarAccount.namespace}/${registrarAccount.name}` }] : [],
        servingNames: [agentName, ...planesIn(name).map(istiodName)],
        ztunnelAccounts: ["istio-system/ztunnel"],
      }),
    ),
  ];
}

function planesIn(name: ClusterName): readonly ControlPlane[] {
  return [...Object.values<ControlPlane>(planes), registrar].filter(({ cluster }) => cluster === name);
}

/** Namespaces, accounts and pods, as they are before anything of Istio or Espalier runs. */
async function furnish(name: ClusterName, kube: RealCluster): Promise<void> {
  for (const node of ["node1", "node2"]) {
    await createObject(kube.client, resources.nodes, {}, { apiVersion: "v1", kind: "Node", metadata: { name: node } });
  }
  for (const namespace of ["espalier-system", "istio-system", "istio-media", "istio-ra", "shop", "shop-vms", "media"])
    await kube.namespace(namespace);
  await applyCrds(kube.client, "agent");
  await kube.account("espalier-system", "espalier-agent");
  await kube.pod("espalier-system", "espalier-agent-0", "espalier-agent", "node1");
  await kube.account(ztunnel.namespace, ztunnel.account);
  await kube.pod(ztunnel.namespace, ztunnel.pod, ztunnel.account, "node1");
  for (const one of Object.values<Workload>(workloads).filter(({ cluster }) => cluster === name)) {
    await kube.account(one.namespace, one.account);
    if (one.pod !== undefined) await kube.pod(one.namespace, one.pod, one.account, one.node ?? "node1");
  }
}

async function writeAgentConfig(
  directory: string,
  site: Site,
  name: ClusterName,
  kube: RealCluster,
  kubeconfig: string,
  more: object,
): Promise<string> {
  const token = await kube.token("espalier-system", "espalier-agent", {
    audience: `espalier:${hubName}`,
    pod: "espalier-agent-0",
  });
  writeFileSync(join(directory, "token"), token, { mode: 0o600 });
  writeFileSync(join(directory, "jwks.json"), kube.jwks);
  copyFileSync(join(site.directory, "hub-root.pem"), join(directory, "hub-root.pem"));
  const config = {
    hub: hubName,
    cluster: name,
    hubRoots: "hub-root.pem",
    data: "data",
    tokenFile: "token",
    tokens: { issuer: kube.issuer, jwksFile: "jwks.json" },
    kubernetes: {
      kubeconfig,
      namespace: "espalier-system",
      ztunnelAccounts: ["istio-system/ztunnel"],
      signingRequests: true,
      revisions: planesIn(name).flatMap(({ revision, namespace }) =>
        revision === undefined ? [] : [{ name: revision, istiodNamespace: namespace }],
      ),
    },
    ...more,
  };
  const file = join(directory, "agent.json");
  writeFileSync(file, JSON.stringify(config));
  return file;
}

/** Its roots are in every namespace, istiod's certificate is there, and it serves. */
export async function ready({ http }: Cluster): Promise<void> {
  await eventually(async () => {
    const answer = await fetch(`${http}/readyz`);
    if (answer.status !== 200) throw new Error(await answer.text());
  }, 90_000);
}
