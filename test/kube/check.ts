/**
 * `agent check` against a real API server with an agent beside it: `KUBECONFIG=… node --test test/kube/check.ts`, with the rights of an
 * administrator. The agent has the rights of its chart and no others; istiod and ztunnel are objects that nobody runs.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { applyObject } from "../../src/kube/apply.ts";
import { isRecord, recordAt } from "../../src/kube/json.ts";
import { createObject, deleteObject, getObject, mergeObject } from "../../src/kube/objects.ts";
import { type Resource, resources, toPath } from "../../src/kube/resource.ts";
import { agentSchema } from "../../src/ops/config.ts";
import { until } from "../contract/kube-setting.ts";
import { espalier } from "../ctl/stage.ts";
import { clusterDocument, type Document, document } from "../support/documents.ts";
import { kubeconfigOf, openRealCluster, type RealCluster, writeKubeconfig } from "../support/kube-cluster.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type AgentStack, type IssuerStack, startAgentOf, startIssuerOn } from "../support/stack.ts";

const path = kubeconfigOf(process.env);

const run = randomUUID().slice(0, 6);
const names = { system: `check-${run}`, istio: `check-istio-${run}`, shop: `check-shop-${run}` };
const rootConfigMap = `check-roots-${run}`;
const caAddress = `espalier-agent.${names.system}.svc:15012`;
const apps = { group: "apps", version: "v1", namespaced: true } as const;
const deployments: Resource = { ...apps, plural: "deployments", kind: "Deployment" };
const daemonSets: Resource = { ...apps, plural: "daemonsets", kind: "DaemonSet" };
const services: Resource = { group: "", version: "v1", plural: "services", kind: "Service", namespaced: true };
const slices: Resource = {
  group: "discovery.k8s.io",
  version: "v1",
  plural: "endpointslices",
  kind: "EndpointSlice",
  namespaced: true,
};
const rbac = { group: "rbac.authorization.k8s.io", version: "v1" } as const;
const clusterRoles: Resource = { ...rbac, plural: "clusterroles", kind: "ClusterRole", namespaced: false };
const bindings: Resource = { ...rbac, plural: "clusterrolebindings", kind: "ClusterRoleBinding", namespaced: false };
const roles: Resource = { ...rbac, plural: "roles", kind: "Role", namespaced: true };
const roleBindings: Resource = { ...rbac, plural: "rolebindings", kind: "RoleBinding", namespaced: true };

const stack = new AsyncDisposableStack();
let cluster: RealCluster;
let site: Site;
let issuer: IssuerStack;
let agent: AgentStack;
let configFile: string;

before(async () => {
  cluster = stack.use(await openRealCluster(path));
  for (const name of Object.values(names)) await cluster.namespace(name, { mesh: run });
  await cluster.account(names.system, "espalier-agent");
  await giveRights();
  await cluster.pod(names.system, "agent-0", "espalier-agent", `node-${run}`);
  site = stack.use(await makeSite({ documents: documents(), serving: ["east"] }));
  issuer = stack.use(await startIssuerOn(site));
  agent = stack.use(await startAgent());
  await agent.ready();
  await installAgent();
  await until("istiod's certificate is there", async () => {
    const one = { namespace: names.istio, name: "istiod-tls" };
    return await getObject(cluster.client, resources.secrets, one).then(
      () => true,
      () => false,
    );
  });
  await installIstio();
});

after(async () => {
  for (const resource of [bindings, clusterRoles])
    await deleteObject(cluster.client, resource, { name: `check-${run}` }).catch(() => undefined);
  await stack.disposeAsync();
});

function documents(): readonly Document[] {
  const rules = [{ name: "pods", clusters: ["east"], namespaces: [names.shop], proofs: ["token", "impersonated"] }];
  return [
    document("TrustRoot", "main", {}),
    document("MeshTenant", "shop", { trustDomain: "shop.example", root: "main", rules }),
    clusterDocument("east", {
      tokens: { issuer: cluster.issuer, keys: { jwks: JSON.parse(cluster.jwks) } },
      agent: { namespace: names.system, serviceAccount: "espalier-agent" },
      ztunnelAccounts: [`${names.istio}/ztunnel`],
      servingNames: [`espalier-agent.${names.system}.svc`, `istiod.${names.istio}.svc`],
    }),
  ];
}

async function make(resource: Resource, place: { namespace?: string; name: string }, content: object): Promise<void> {
  await applyObject(cluster.client, resource, place, { ...content }, { force: true, fieldManager: "test" });
}

/** As templates/rbac.yaml has them. */
async function giveRights(): Promise<void> {
  const subjects = [{ kind: "ServiceAccount", name: "espalier-agent", namespace: names.system }];
  const rule = (group: string, what: string, verbs: string, name?: string): object => ({
    apiGroups: [group],
    resources: what.split(" "),
    verbs: verbs.split(" "),
    ...(name === undefined ? {} : { resourceNames: [name] }),
  });
  const everywhere = [
    rule("", "pods serviceaccounts", "get list watch"),
    rule("", "nodes", "get"),
    rule("", "namespaces", "list watch"),
    rule("", "configmaps", "create list patch watch", rootConfigMap),
    rule("", "configmaps", "create list patch watch", "istio-ca-crl"),
    { nonResourceURLs: ["/openid/v1/jwks"], verbs: ["get"] },
  ];
  const name = `check-${run}`;
  await make(clusterRoles, { name }, { rules: everywhere });
  await bind();
  const within: readonly (readonly [string, readonly object[]])[] = [
    [
      names.system,
      [
        rule("", "secrets", "create get patch", "espalier-agent-state"),
        rule("coordination.k8s.io", "leases", "create"),
        rule("coordination.k8s.io", "leases", "get update", "espalier-agent"),
      ],
    ],
    [names.istio, [rule("", "secrets", "create get patch", "istiod-tls")]],
    ["default", [rule("events.k8s.io", "events", "create patch")]],
  ];
  for (const [namespace, rules] of within) {
    await make(roles, { namespace, name }, { rules });
    const roleRef = { apiGroup: rbac.group, kind: "Role", name };
    await make(roleBindings, { namespace, name }, { roleRef, subjects });
  }
}

async function bind(): Promise<void> {
  const subjects = [{ kind: "ServiceAccount", name: "espalier-agent", namespace: names.system }];
  const roleRef = { apiGroup: rbac.group, kind: "ClusterRole", name: `check-${run}` };
  await make(bindings, { name: `check-${run}` }, { roleRef, subjects });
}

async function startAgent(): Promise<AgentStack> {
  const asked = { pod: "agent-0" };
  const own = await cluster.token(names.system, "espalier-agent", { ...asked, audience: cluster.issuer });
  const joining = await cluster.token(names.system, "espalier-agent", { ...asked, audience: "espalier:hub.example" });
  const tokenFile = join(site.directory, "token");
  writeFileSync(tokenFile, joining, { mode: 0o600 });
  const { server, tls } = cluster.access;
  const { ca } = tls;
  const kubeconfig = writeKubeconfig(site.directory, { server, tls: ca === undefined ? {} : { ca }, token: own });
  const kubernetes = agentSchema.shape.kubernetes.parse({
    kubeconfig,
    namespace: names.system,
    ztunnelAccounts: [`${names.istio}/ztunnel`],
    rootConfigMap,
    namespaceSelector: { mesh: run },
    istiodNamespace: names.istio,
  });
  const tokens = { issuer: cluster.issuer };
  const started = await startAgentOf(site, "east", {
    issuers: [issuer.address],
    tokens,
    config: { tokenFile, kubernetes },
  });
  configFile = join(site.directory, "agent.json");
  const config = {
    hub: "hub.example",
    cluster: "east",
    issuers: [issuer.address],
    hubRoots: join(site.directory, "hub-root.pem"),
    tokenFile,
    tokens,
    kubernetes,
    // Where it really is; the port for workloads is that of its Service.
    http: `127.0.0.1:${started.running.httpPort}`,
  };
  writeFileSync(configFile, JSON.stringify(config));
  return started;
}

/** What the chart makes beside rights. */
async function installAgent(): Promise<void> {
  const spec = { selector: { app: "agent" }, ports: [{ name: "grpc-ca", port: 15012 }] };
  await make(services, { namespace: names.system, name: "espalier-agent" }, { spec });
  await createObject(
    cluster.client,
    slices,
    { namespace: names.system },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "espalier-agent-x", labels: { "kubernetes.io/service-name": "espalier-agent" } },
      addressType: "IPv4",
      endpoints: [{ addresses: ["10.1.2.3"], conditions: { ready: true } }],
      ports: [{ name: "grpc-ca", port: 15012, protocol: "TCP" }],
    },
  );
  await make(deployments, { namespace: names.system, name: "espalier-agent" }, workload("espalier-agent", {}));
}

async function installIstio(): Promise<void> {
  const { client } = cluster;
  const istiod = { app: "istiod", "istio.io/rev": "default" };
  const options = { force: true, fieldManager: "helm" };
  await applyObject(client, deployments, istioNamed("istiod"), workload("default", { ENABLE_CA_SERVER: "false" }), {
    ...options,
    labels: istiod,
  });
  await tellMesh("trustDomain: shop.example");
  await tellProxies(caAddress);
  const environment = { CA_ADDRESS: caAddress, ISTIO_META_CLUSTER_ID: "east" };
  const labels = { "app.kubernetes.io/name": "ztunnel" };
  await applyObject(client, daemonSets, istioNamed("ztunnel"), workload("ztunnel", environment), {
    ...options,
    labels,
  });
  await cluster.pod(names.istio, "istiod-1", "default", `node-${run}`);
  await mergeObject(client, resources.pods, istioNamed("istiod-1"), { metadata: { labels: istiod } });
  await startIstiod(new Date(Date.now() + 1_000));
}

async function startIstiod(startedAt: Date): Promise<void> {
  const at = `${startedAt.toISOString().slice(0, 19)}Z`;
  const running = {
    name: "main",
    state: { running: { startedAt: at } },
    image: "x",
    imageID: "x",
    ready: true,
    restartCount: 0,
  };
  const place = { ...istioNamed("istiod-1"), subresource: "status" as const };
  await cluster.client.call({
    verb: "PATCH",
    path: toPath(resources.pods, place),
    contentType: "application/merge-patch+json",
    body: { status: { phase: "Running", containerStatuses: [running] } },
  });
}

const istioNamed = (name: string): { namespace: string; name: string } => ({ namespace: names.istio, name });
const tellMesh = async (mesh: string): Promise<void> =>
  await make(resources.configMaps, istioNamed("istio"), { data: { mesh } });
const tellProxies = async (address: string): Promise<void> => {
  const values = JSON.stringify({ global: { caAddress: address, multiCluster: { clusterName: "east" } } });
  await make(resources.configMaps, istioNamed("istio-sidecar-injector"), { data: { values } });
};

function workload(serviceAccountName: string, environment: Readonly<Record<string, string>>): Record<string, unknown> {
  const labels = { app: "x" };
  const env = Object.entries(environment).map(([name, value]) => ({ name, value }));
  const spec = { serviceAccountName, containers: [{ name: "main", image: "none", env }] };
  return { spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } } };
}

interface Seen {
  readonly code: number;
  readonly stdout: string;
  /** The lines of what is wrong, each with what mends it. */
  readonly wrong: readonly string[];
}

async function check(...more: readonly string[]): Promise<Seen> {
  const argv = ["agent", "check", "--kubeconfig", path ?? "", "--config", configFile, ...more];
  const { code, stdout, stderr } = await espalier(argv);
  assert.doesNotMatch(stderr, /\n {4}at /);
  const wrong = stdout.split("\n").filter((line) => /^(FAIL|WARN)/.test(line));
  return { code, stdout, wrong };
}

/** Broken, looked at until it is seen, and mended. */
async function broken(
  first: RegExp,
  fix: RegExp,
  breakIt: () => Promise<void>,
  mend: () => Promise<void>,
): Promise<void> {
  await breakIt();
  let seen = await check();
  await until(`${String(first)} is first`, async () => {
    seen = await check();
    return first.test(seen.wrong[0] ?? "");
  }).catch((error: unknown) => assert.fail(`${String(error)}\n${seen.stdout}`));
  assert.equal(seen.code, 1);
  const [, after = ""] = seen.stdout.split(seen.wrong[0] ?? "-");
  assert.match(after.split("\n")[1] ?? "", fix);
  assert.match(seen.stdout, /fix this first: /);
  await mend();
  await until("all is well again", async () => {
    seen = await check();
    return seen.code === 0;
  }).catch((error: unknown) => assert.fail(`${String(error)}\n${seen.stdout}`));
}

test("a healthy cluster passes, and nothing is skipped", async () => {
  const { code, stdout, wrong } = await check();
  assert.deepEqual(wrong, [], stdout);
  assert.equal(code, 0);
  assert.doesNotMatch(stdout, /^-/m);
  const findings: readonly { id: string; state: string }[] = JSON.parse((await check("-o", "json")).stdout);
  assert.ok(findings.every(({ state }) => state === "ok"));
});

test("it changes nothing", async () => {
  const versions = async (): Promise<string> => {
    const all = await Promise.all(
      [resources.configMaps, resources.secrets].map((resource) =>
        Promise.all(
          Object.values(names).map((namespace) =>
            cluster.client.call({ verb: "GET", path: toPath(resource, { namespace }) }),
          ),
        ),
      ),
    );
    return JSON.stringify(all.flat().map((list) => recordAt(list, "metadata") && isRecord(list) && list["items"]));
  };
  const before = await versions();
  await check();
  assert.equal(await versions(), before);
});

test("rights that are gone", async () => {
  const gone = async (): Promise<void> => await deleteObject(cluster.client, bindings, { name: `check-${run}` });
  await broken(/^FAIL +rights .*may not get pods/, /rbac\.yaml/, gone, bind);
});

test("an istiod whose CA is on", async () => {
  const set = async (environment: Readonly<Record<string, string>>): Promise<void> =>
    void (await applyObject(cluster.client, deployments, istioNamed("istiod"), workload("default", environment), {
      force: true,
      fieldManager: "helm",
      labels: { app: "istiod", "istio.io/rev": "default" },
    }));
  await broken(
    /^FAIL +istiod-signing .*has its own CA on/,
    /ENABLE_CA_SERVER="false"/,
    async () => await set({}),
    async () => await set({ ENABLE_CA_SERVER: "false" }),
  );
});

test("proxies that ask istiod", async () => {
  await broken(
    /^FAIL +ca-address .*asks istiod at/,
    new RegExp(`set global\\.caAddress: ${caAddress}`),
    async () => await tellProxies(`istiod.${names.istio}.svc:15012`),
    async () => await tellProxies(caAddress),
  );
});

test("roots that the agent cannot put right", async () => {
  const one = { namespace: names.shop, name: rootConfigMap };
  const gone = async (): Promise<void> =>
    await deleteObject(cluster.client, resources.configMaps, one).catch(() => undefined);
  const forge = async (): Promise<void> => {
    await gone();
    const body = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: one.name },
      data: { "root-cert.pem": "forged" },
      immutable: true,
    };
    // The agent is quick: whoever is second loses.
    await createObject(cluster.client, resources.configMaps, { namespace: one.namespace }, body);
  };
  const insist = async (): Promise<void> => {
    for (let tries = 0; ; tries++) {
      try {
        return await forge();
      } catch (error) {
        if (tries > 50) throw error;
      }
    }
  };
  await broken(/^FAIL +roots .*somebody else's roots in 1 of \d+ namespaces/, /--show-managed-fields/, insist, gone);
});

test("an istiod that started before its certificate was there", async () => {
  await broken(
    /^FAIL +istiod-port .*it started before there was a certificate/,
    /rollout restart deployment\/istiod/,
    async () => await startIstiod(new Date(Date.now() - 86_400_000)),
    async () => await startIstiod(new Date()),
  );
});

test("another trust domain", async () => {
  await broken(
    /^FAIL +trust-domain .*"cluster\.local", and this cluster's tenants are of shop\.example/,
    /set meshConfig\.trustDomain: shop\.example/,
    async () => await tellMesh("rootNamespace: x"),
    async () => await tellMesh("trustDomain: shop.example"),
  );
});

test("the agent's own account, in a pod, sees what it may and says what it may not", async () => {
  const kubeconfig = join(site.directory, "kubeconfig.json");
  const { stdout, code } = await espalier(["agent", "check", "--kubeconfig", kubeconfig, "--config", configFile]);
  assert.match(stdout, /^ok +roots /m);
  assert.match(stdout, /^ok +istiod-certificate|^- +istiod-certificate .*403/m);
  assert.match(stdout, /^- +ca-address .*403/m);
  assert.equal(code, 0, stdout);
});

test("an istiod that writes its own root, whatever its Deployment says", async () => {
  const one = istioNamed(rootConfigMap);
  await applyObject(
    cluster.client,
    resources.configMaps,
    one,
    { data: { "root-cert.pem": "istiod's own" } },
    {
      force: true,
      fieldManager: "pilot-discovery",
    },
  );
  await until("the agent has seen it", async () => /istiod-signing/.test((await check()).wrong[0] ?? ""));
  const { wrong, stdout } = await check();
  assert.match(wrong[0] ?? "", /has written its own root/);
  assert.match(stdout, /the agent tries again within 10 minutes/);
});

test("a hub that is away comes before all that follows from it", async () => {
  await issuer[Symbol.asyncDispose]();
  await until("the agent has noticed", async () => {
    const { wrong } = await check();
    return /^FAIL +hub .*no issuer answers/.test(wrong[0] ?? "") && wrong.some((line) => /^FAIL +agent/.test(line));
  });
});

test("no agent at all", async () => {
  await agent[Symbol.asyncDispose]();
  const { wrong, code } = await check();
  assert.equal(code, 1);
  assert.ok(
    wrong.some((line) => /^FAIL +agent .*no pod of the agent runs/.test(line)),
    wrong.join("\n"),
  );
});
