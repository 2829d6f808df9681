/**
 * A healthy cluster as objects: what a real agent of ours has left there, and beside it what Istio's and our charts make. Each test has a
 * copy of its own in memory, and breaks one thing.
 */
import assert from "node:assert/strict";
import { type Finding, runChecks } from "../../src/checkup/checks.ts";
import { openView } from "../../src/checkup/view.ts";
import { openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { isRecord, type JsonRecord, recordAt, someTextAt, textAt } from "../../src/kube/json.ts";
import { createObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { type AgentConfig, agentSchema } from "../../src/ops/config.ts";
import { clusterDocument, document, hubName, tokenIssuerUrl } from "../support/documents.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { type MemoryApi, reply, startMemoryApi } from "../support/kube-memory.ts";
import { eventually } from "../support/patience.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type IssuerStack, startAgentOf, startIssuerOn } from "../support/stack.ts";

export const names = {
  system: "espalier-system",
  release: "espalier-agent",
  istio: "istio-system",
  zt: "istio-system/ztunnel",
};
const address = "espalier-agent.espalier-system.svc:15012";

/** The objects of one cluster, by collection and key. */
export type Objects = Map<string, JsonRecord>;

export interface Stage extends AsyncDisposable {
  readonly site: Site;
  readonly issuer: IssuerStack;
  readonly objects: ReadonlyMap<string, JsonRecord>;
}

export async function openStage(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const site = stack.use(await makeSite({ documents: documents(), serving: ["east"] }));
  const issuer = stack.use(await startIssuerOn(site));
  const objects = new Map<string, JsonRecord>();
  {
    await using api = await startMemoryApi();
    using client = openClient({ credentials: fixedCredentials(api.access) });
    for (const name of [names.system, names.istio, "shop"]) await addNamespace(client, name);
    await runAgent(site, issuer, api);
    for (const collection of ["v1/namespaces", "v1/configmaps", "v1/secrets"])
      for (const one of api.store.list(collection)) objects.set(`${collection} ${keyOf(one)}`, one);
  }
  for (const [collection, one] of chartObjects(site, issuer.address)) objects.set(`${collection} ${keyOf(one)}`, one);
  const opened = stack.move();
  return { site, issuer, objects, [Symbol.asyncDispose]: async () => await opened.disposeAsync() };
}

function documents(): ReturnType<typeof document>[] {
  const rules = [{ name: "all", clusters: ["east"], namespaces: ["shop"], proofs: ["token", "impersonated"] }];
  const servingNames = ["espalier-agent.espalier-system.svc", "istiod.istio-system.svc"];
  return [
    document("TrustRoot", "main", {}),
    document("MeshTenant", "shop", { trustDomain: "shop.example", root: "main", rules }),
    clusterDocument("east", { servingNames, ztunnelAccounts: [names.zt] }),
  ];
}

type KubeClient = Parameters<typeof createObject>[0];

async function addNamespace(client: KubeClient, name: string): Promise<void> {
  await createObject(client, resources.namespaces, {}, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
}

/** Until all that it keeps and gives is there. */
async function runAgent(site: Site, issuer: IssuerStack, api: MemoryApi): Promise<void> {
  const kubernetes = agentSchema.shape.kubernetes.parse({
    kubeconfig: writeKubeconfig(site.directory, api.access),
    namespace: names.system,
  });
  await using agent = await startAgentOf(site, "east", { issuers: [issuer.address], config: { kubernetes } });
  await agent.ready();
  await eventually(() => {
    assert.ok(api.store.get("v1/secrets", `${names.istio}/istiod-tls`));
    for (const name of [names.system, names.istio, "shop"])
      assert.ok(api.store.get("v1/configmaps", `${name}/istio-ca-root-cert`));
  });
}

/** As the charts make them and the cluster runs them. */
function* chartObjects(site: Site, issuerAddress: string): Generator<readonly [string, JsonRecord]> {
  const labels = { "app.kubernetes.io/name": "espalier-agent", "app.kubernetes.io/instance": names.release };
  yield ["v1/configmaps", object("ConfigMap", names.system, names.release, { data: agentData(site, issuerAddress) })];
  yield [
    "apps/v1/deployments",
    object("Deployment", names.system, names.release, { spec: template({ serviceAccountName: names.release }) }),
  ];
  yield ["v1/pods", object("Pod", names.system, "espalier-agent-1", { status: { phase: "Running" } }, labels)];
  yield ["v1/services", object("Service", names.system, names.release, { spec: { ports: [{ port: 15012 }] } })];
  yield [
    "discovery.k8s.io/v1/endpointslices",
    object(
      "EndpointSlice",
      names.system,
      "espalier-agent-x",
      { endpoints: [{ conditions: { ready: true } }] },
      { "kubernetes.io/service-name": names.release },
    ),
  ];
  const spec = { holderIdentity: "espalier-agent-1", leaseDurationSeconds: 3600, renewTime: new Date().toISOString() };
  yield ["coordination.k8s.io/v1/leases", object("Lease", names.system, names.release, { spec })];
  yield* istioObjects();
}

function* istioObjects(): Generator<readonly [string, JsonRecord]> {
  const istiod = { app: "istiod", "istio.io/rev": "default" };
  yield [
    "apps/v1/deployments",
    object("Deployment", names.istio, "istiod", { spec: template(container({ ENABLE_CA_SERVER: "false" })) }, istiod),
  ];
  const running = { state: { running: { startedAt: new Date(Date.now() + 3_600_000).toISOString() } } };
  yield ["v1/pods", object("Pod", names.istio, "istiod-1", { status: { containerStatuses: [running] } }, istiod)];
  yield ["v1/configmaps", object("ConfigMap", names.istio, "istio", { data: { mesh: "trustDomain: shop.example\n" } })];
  const global = { caAddress: address, multiCluster: { clusterName: "east" }, sds: { token: { aud: "istio-ca" } } };
  const values = JSON.stringify({ global });
  yield ["v1/configmaps", object("ConfigMap", names.istio, "istio-sidecar-injector", { data: { values } })];
  const ztunnel = {
    serviceAccountName: "ztunnel",
    ...container({ CA_ADDRESS: address, ISTIO_META_CLUSTER_ID: "east" }),
    volumes: [{ name: "t", projected: { sources: [{ serviceAccountToken: { audience: "istio-ca" } }] } }],
  };
  const zt = object(
    "DaemonSet",
    names.istio,
    "ztunnel",
    { spec: template(ztunnel) },
    { "app.kubernetes.io/name": "ztunnel" },
  );
  yield ["apps/v1/daemonsets", zt];
}

function agentData(site: Site, issuerAddress: string): JsonRecord {
  const config = {
    hub: hubName,
    cluster: "east",
    issuers: [issuerAddress],
    hubRoots: "/etc/espalier/hub-root.pem",
    tokenFile: "/var/run/secrets/espalier/token",
    tokens: { issuer: tokenIssuerUrl },
    kubernetes: { namespace: names.system, ztunnelAccounts: [names.zt] },
  } satisfies Partial<Record<keyof AgentConfig, unknown>>;
  return { "agent.yaml": JSON.stringify(config), "hub-root.pem": site.hubRootPem };
}

function object(
  kind: string,
  namespace: string,
  name: string,
  content: JsonRecord,
  labels: JsonRecord = {},
): JsonRecord {
  return { kind, metadata: { namespace, name, labels }, ...content };
}

export function template(spec: JsonRecord): JsonRecord {
  return { template: { spec } };
}

export function container(environment: Readonly<Record<string, string>>): JsonRecord {
  const env = Object.entries(environment).map(([name, value]) => ({ name, value }));
  return { containers: [{ name: "main", env }] };
}

function keyOf(one: JsonRecord): string {
  const metadata = recordAt(one, "metadata");
  const namespace = textAt(metadata, "namespace") ?? "";
  const name = someTextAt(metadata, "name");
  return namespace === "" ? name : `${namespace}/${name}`;
}

/** What a test may change. */
export interface World {
  readonly objects: Objects;
  /** What the agent says at /readyz; undefined if this account may not ask it. */
  readyz: string | undefined;
  /** What comes back from istiod's port, by way of the API server. */
  istiodPort: string;
  /** Whether the agent's account may: a line as `agent check` says it. */
  may: (right: string) => boolean;
  now: () => Date;
  /** Paths that this account may not read. */
  forbidden: RegExp | undefined;
}

export interface Checked {
  readonly findings: readonly Finding[];
  readonly first: Finding | undefined;
  of(id: string): Finding;
}

export async function check(stage: Stage, change: (world: World) => void = () => {}): Promise<Checked> {
  await using api = await startMemoryApi();
  const world: World = {
    objects: new Map(stage.objects),
    readyz: "ok\n",
    istiodPort: "remote error: tls: no application protocol",
    may: () => true,
    now: () => new Date(),
    forbidden: undefined,
  };
  change(world);
  for (const [key, one] of world.objects) {
    const [collection = "", name = ""] = key.split(" ");
    api.store.write(collection, name, one, new Map());
  }
  api.intercept(({ path, verb }, response, body) => {
    if (path === "/version") reply(response, 200, { gitVersion: "v1.37.1" });
    else if (world.forbidden?.test(path))
      reply(response, 403, { kind: "Status", code: 403, message: `${path} is forbidden` });
    else if (path.endsWith("/pods/https:istiod-1:15012/proxy/")) reply(response, 503, { message: world.istiodPort });
    else if (path.endsWith("/proxy/readyz")) {
      if (world.readyz === undefined) reply(response, 403, {});
      else response.writeHead(world.readyz === "ok\n" ? 200 : 503, { "content-type": "text/plain" }).end(world.readyz);
    } else if (verb === "POST" && path.endsWith("accessreviews")) {
      reply(response, 201, { status: { allowed: world.may(toLine(body)) } });
    } else return false;
    return true;
  });
  const kubeconfig = writeKubeconfig(stage.site.directory, api.access);
  const options = { kubeconfig, namespace: names.system, name: names.release, now: world.now };
  using view = await openView(options);
  const findings = await runChecks(view);
  return {
    findings,
    first: findings.find(({ state }) => state === "fail"),
    of: (id) => {
      const found = findings.find((one) => one.id === id);
      assert.ok(found, `there is no check ${id}`);
      return found;
    },
  };
}

/** `user verb resource name`. */
function toLine(body: JsonRecord): string {
  const spec = recordAt(body, "spec");
  const [what, url] = [recordAt(spec, "resourceAttributes"), recordAt(spec, "nonResourceAttributes")];
  const words = [
    textAt(spec, "user"),
    ...["verb", "resource", "name"].map((key) => textAt(what, key)),
    textAt(url, "path"),
  ];
  return words.filter((word) => word !== undefined).join(" ");
}

/** Changes one object; what is not there is made. */
export function put(world: World, key: string, change: (object: JsonRecord) => JsonRecord): void {
  world.objects.set(key, change(world.objects.get(key) ?? {}));
}

/** `data` of an object with other keys. */
export function withData(data: JsonRecord): (object: JsonRecord) => JsonRecord {
  return (one) => ({ ...one, data: { ...(isRecord(one["data"]) ? one["data"] : {}), ...data } });
}
