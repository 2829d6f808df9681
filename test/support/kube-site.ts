/** A hub in this process and agents beside a real API server. Names end in the run's own letters. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import type { Access } from "../../src/kube/credentials.ts";
import { createObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { agentSchema } from "../../src/ops/config.ts";
import { type Clock, openClock } from "./clock.ts";
import { clusterDocument, type Document, document, hubName } from "./documents.ts";
import type { Image } from "./image.ts";
import { deleteNamespace, openRealCluster, type RealCluster, writeKubeconfig } from "./kube-cluster.ts";
import { type Relay, startRelay } from "./kube-relay.ts";
import { eventually } from "./patience.ts";
import { type Daemon, startDaemon } from "./processes.ts";
import { makeSite, type Site } from "./site.ts";
import { type AgentStack, type IssuerStack, startAgentOf, startIssuerOn } from "./stack.ts";

export interface KubeSite extends AsyncDisposable {
  readonly run: string;
  readonly cluster: RealCluster;
  readonly relay: Relay;
  readonly site: Site;
  readonly clock: Clock;
  readonly issuer: IssuerStack;
  /** The agents' own. */
  readonly system: string;
  /** With the account of ztunnel that is trusted, and istiod's. */
  readonly istio: string;
  readonly rootConfigMap: string;
  /** Makes a namespace of this run: `shop` becomes `shop-1a2b3c`. The agent gives roots to those that are labelled. */
  namespace(name: string, labelled?: boolean): Promise<string>;
  node(name: string): Promise<string>;
  /** In this process; it reaches the API server through the relay. */
  startAgent(name: string, kubernetes?: Kubernetes): Promise<AgentStack>;
  /** In a process of its own; it reaches the API server as anybody does. */
  startProcess(name: string, image: Pick<Image, "node">, kubernetes?: Kubernetes): Promise<AgentProcess>;
}

export interface AgentProcess extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly address: string;
  readonly port: number;
  /** Until /readyz says so: it knows the cluster's pods by then. */
  ready(): Promise<void>;
  /** Resident memory now, and the most since it started, in MB: Linux's own count. */
  rss(): { readonly now: number; readonly most: number };
  /** The value of a metric that has no labels. */
  metric(name: string): Promise<number>;
}

const kubernetesSchema = agentSchema.shape.kubernetes.unwrap();

/** What is to be otherwise in the agent's file. */
export type Kubernetes = Partial<z.input<typeof kubernetesSchema>>;

interface AgentFile {
  readonly tokens: { readonly issuer: string; readonly jwksFile: string };
  readonly config: { readonly tokenFile: string; readonly kubernetes: z.output<typeof kubernetesSchema> };
}

/** The tenants' documents; it is given how a namespace of this run is called. */
export type KubeTenants = (named: (name: string) => string) => readonly Document[];

/** `toMore`: what else of the MeshCluster is stated. */
export async function openKubeSite(
  kubeconfig: string,
  toTenants: KubeTenants,
  toMore: (named: (name: string) => string) => object = () => ({}),
): Promise<KubeSite> {
  await using stack = new AsyncDisposableStack();
  const run = randomUUID().slice(0, 6);
  const named = (name: string): string => `${name}-${run}`;
  const cluster = stack.use(await openRealCluster(kubeconfig));
  const made = stack.use(new AsyncDisposableStack());
  const relay = stack.use(await startRelay(cluster.access));
  const namespace = async (name: string, labelled = true): Promise<string> => {
    await cluster.namespace(named(name), labelled ? { mesh: run } : {});
    made.defer(async () => await deleteNamespace(cluster.client, named(name)));
    return named(name);
  };
  const node = async (name: string): Promise<string> => {
    const body = { apiVersion: "v1", kind: "Node", metadata: { name: named(name) } };
    await createObject(cluster.client, resources.nodes, {}, body);
    return named(name);
  };
  const [system, istio] = [await namespace("espalier"), await namespace("istio")];
  await cluster.account(system, "espalier-agent");
  await cluster.account(istio, "ztunnel");
  await cluster.pod(system, "agent-0", "espalier-agent", await node("hub"));

  const clock = openClock();
  const mesh = clusterDocument("east", {
    tokens: { issuer: cluster.issuer, keys: { jwks: JSON.parse(cluster.jwks) } },
    agent: { namespace: system, serviceAccount: "espalier-agent" },
    ztunnelAccounts: [`${istio}/ztunnel`],
    ...toMore(named),
  });
  const documents = [document("TrustRoot", "main", {}), mesh, ...toTenants(named)];
  const site = stack.use(await makeSite({ documents, serving: ["east"] }));
  const issuer = stack.use(await startIssuerOn(site, { clock }));
  const rootConfigMap = named("istio-ca-root-cert");

  const agentConfig = async (name: string, access: Access, more: Kubernetes = {}): Promise<AgentFile> => {
    const directory = join(site.directory, name);
    mkdirSync(directory);
    const [tokenFile, jwksFile] = [join(directory, "token"), join(directory, "jwks.json")];
    const token = { audience: `espalier:${hubName}`, pod: "agent-0" };
    writeFileSync(tokenFile, await cluster.token(system, "espalier-agent", token), { mode: 0o600 });
    writeFileSync(jwksFile, cluster.jwks);
    const kubernetes = kubernetesSchema.parse({
      kubeconfig: writeKubeconfig(directory, access),
      namespace: system,
      ztunnelAccounts: [`${istio}/ztunnel`],
      rootConfigMap,
      namespaceSelector: { mesh: run },
      istiodNamespace: istio,
      ...more,
    });
    return { tokens: { issuer: cluster.issuer, jwksFile }, config: { tokenFile, kubernetes } };
  };
  const opened = stack.move();
  return {
    run,
    cluster,
    relay,
    site,
    clock,
    issuer,
    system,
    istio,
    rootConfigMap,
    namespace,
    node,
    startProcess: async (name, image, kubernetes = {}) =>
      opened.use(
        await startProcess(name, {
          site,
          issuer,
          node: image.node,
          ...(await agentConfig(name, cluster.access, kubernetes)),
        }),
      ),
    startAgent: async (name, kubernetes = {}) => {
      const agent = opened.use(
        await startAgentOf(site, "east", {
          clock,
          issuers: [issuer.address],
          ...(await agentConfig(name, relay.access, kubernetes)),
        }),
      );
      await agent.ready();
      return agent;
    },
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

async function startProcess(
  name: string,
  { site, issuer, tokens, config, node }: AgentFile & Pick<KubeSite, "site" | "issuer"> & { node: readonly string[] },
): Promise<AgentProcess> {
  const file = join(site.directory, `${name}.json`);
  const document = {
    hub: hubName,
    cluster: "east",
    listen: "127.0.0.1:0",
    http: "127.0.0.1:0",
    issuers: [issuer.address],
    hubRoots: join(site.directory, "hub-root.pem"),
    data: join(site.directory, `${name}-data`),
    tokens,
    ...config,
  };
  writeFileSync(file, JSON.stringify(document));
  const daemon = startDaemon(["agent", "run", "--config", file], node);
  const http = Number((await daemon.event("agent started"))["http"]);
  const port = Number((await daemon.event("serving workloads"))["port"]);
  return {
    daemon,
    port,
    address: `127.0.0.1:${port}`,
    ready: async () =>
      await eventually(async () => {
        const answer = await fetch(`http://127.0.0.1:${http}/readyz`);
        assert.equal(answer.status, 200, await answer.text());
      }, 60_000),
    rss: () => {
      const status = readFileSync(`/proc/${daemon.child.pid}/status`, "utf8");
      const mb = (field: string): number =>
        Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1_000;
      return { now: mb("VmRSS"), most: mb("VmHWM") };
    },
    metric: async (of) => {
      const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
      return Number(new RegExp(`^${of} (\\S+)$`, "m").exec(text)?.[1]);
    },
    [Symbol.asyncDispose]: async () => await daemon.stop(),
  };
}
