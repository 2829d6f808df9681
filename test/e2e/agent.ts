/**
 * The chart in a real cluster: pods get certificates by the Service's name, and whoever should not does not. The tests go on from
 * each other, in this order.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { document, tenantDocument, toYaml } from "../support/documents.ts";
import { apply, eventually, type Finished, helm, inPod, kubectl, run } from "./cluster.ts";
import { agentRelease, giveVolume, hubName, hubVerb, issuerRelease, openFolder, waiting } from "./release.ts";
import { audited, rightsOf } from "./rights.ts";
import {
  given,
  mounted,
  namespace,
  refused,
  request,
  restrict,
  rootConfigMap,
  rootsIn,
  start,
  underLoad,
} from "./workload.ts";

const audit = process.env["ESPALIER_E2E_AUDIT"];
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const system = "espalier-system";
const hubs = "espalier-hub";
const account = `${system}:espalier-agent`;
const service = `espalier-agent.${system}.svc:15012`;
const shopId = (name: string): string => `spiffe://shop.example/ns/shop/sa/${name}`;
const node = ["node", "--input-type=module", "-"];
const stack = new AsyncDisposableStack();
let hubRoot = "";

before(async () => {
  const folder = stack.use(await openFolder());
  for (const name of [system, hubs, "istio-system", "shop", "elsewhere"]) await apply(namespace(name));
  await restrict(system);
  await startHub();
  hubRoot = await folder.put("hub-root.pem", await hub("root", "show", hubName));
});
after(async () => await stack.disposeAsync());

/** By its chart, with files for documents, and this cluster's real keys. */
async function startHub(): Promise<void> {
  const { issuer }: { issuer: string } = JSON.parse(await kubectl("get", "--raw", "/.well-known/openid-configuration"));
  const proofs = ["token", "impersonated"];
  const mesh = toYaml([
    document("TrustRoot", "main", {}),
    document("MeshCluster", "e2e", {
      tokens: { issuer, keys: { jwksFile: "jwks.json" } },
      ztunnelAccounts: ["istio-system/ztunnel"],
      servingNames: [`espalier-agent.${system}.svc`, "istiod.istio-system.svc"],
    }),
    tenantDocument("shop", { rules: [{ name: "workloads", clusters: ["e2e"], namespaces: ["shop"], proofs }] }),
  ]);
  const data = { "mesh.yaml": mesh, "jwks.json": await kubectl("get", "--raw", "/openid/v1/jwks") };
  const metadata = { name: "documents", namespace: hubs };
  await apply(JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata, data }));
  await giveVolume(hubs, "hub");
  const values = ["documents.configMap=documents", "crds.install=false"];
  await helm("install", ...issuerRelease({ name: "hub", namespace: hubs, values }), ...waiting);
  await hub("root", "create", "main", "--reason", "e2e");
  await hub("root", "create", "--serving", "e2e", "--reason", "e2e");
}

async function hub(...verb: readonly string[]): Promise<string> {
  return await hubVerb(hubs, "sts/hub", ...verb);
}

/** The arguments of `helm install` and `helm upgrade` after their verb. */
function release(name: string, ...more: readonly string[]): readonly string[] {
  const values = ["cluster=e2e", `issuers={hub.${hubs}.svc:15443}`, ...more];
  return [...agentRelease({ name, namespace: system, values }, hubRoot), ...waiting];
}

async function ask(pod: string, ...options: readonly string[]): Promise<Finished> {
  return await request(service, pod, ...options);
}

async function logsOfAgents(): Promise<string> {
  return await kubectl("-n", system, "logs", "-l", "app.kubernetes.io/name=espalier-agent", "--tail=-1", "--prefix");
}

test("a value that the chart does not know, or of another type, is refused", async () => {
  for (const [value, why] of [
    ["kubernetes.rootConfigmap=x", /additional properties 'rootConfigmap' not allowed/],
    ["deadlineMs=soon", /deadlineMs.*want integer/],
    ["hubRootSha256=ab", /hubRootSha256.*does not match/],
  ] as const)
    refused(await run("helm", ["template", ...release("espalier-agent", value), "--set", value]), why);
});

test("one `helm install` makes two ready pods", async () => {
  await helm("install", ...release("espalier-agent"));
  const selector = "-l=app.kubernetes.io/instance=espalier-agent";
  const ready = "jsonpath={.items[*].status.containerStatuses[*].ready}";
  assert.equal(await kubectl("-n", system, "get", "pods", selector, "-o", ready), "true true");
});

test("every namespace has the cluster's serving root, and istiod what it serves with", async () => {
  const serving = await hub("root", "show", "e2e", "--serving");
  for (const name of ["default", "kube-system", "shop", "elsewhere", system])
    await eventually(async () => assert.equal(await rootsIn(name), serving));
  const main = await hub("root", "show", "main");
  assert.equal(await rootsIn("istio-system"), serving + main);
  const secret: { type: string; data: Record<string, string> } = JSON.parse(
    await eventually(async () => await kubectl("-n", "istio-system", "get", "secret", "istiod-tls", "-o", "json")),
  );
  const text = (key: string): string => Buffer.from(secret.data[key] ?? "", "base64").toString();
  assert.equal(secret.type, "kubernetes.io/tls");
  assert.equal(text("ca.crt"), serving);
  const certificate = new X509Certificate(text("tls.crt"));
  assert.ok(certificate.verify(new X509Certificate(serving).publicKey));
  assert.match(certificate.subjectAltName ?? "", /DNS:istiod\.istio-system\.svc/);
});

test("a new namespace gets it within seconds, and a forged one is overwritten and told", async () => {
  const serving = await hub("root", "show", "e2e", "--serving");
  await apply(namespace("late"));
  await eventually(async () => assert.equal(await rootsIn("late"), serving), 60_000);
  for (const forged of ["forged", "forged again"]) {
    const patch = JSON.stringify({ data: { "root-cert.pem": forged } });
    await kubectl("-n", "late", "patch", "configmap", rootConfigMap, "--type=merge", "-p", patch);
    await eventually(async () => assert.equal(await rootsIn("late"), serving), 60_000);
  }
  await eventually(async () => {
    const series = "jsonpath={.items[?(@.reason=='TrustOverwritten')].series.count}";
    assert.equal(await kubectl("-n", "default", "get", "events.events.k8s.io", "-o", series), "2");
  });
});

test("a pod gets its certificate by the Service's name", async () => {
  await start("shop/frontend", "elsewhere/ztunnel", "istio-system/ztunnel");
  given(await ask("shop/frontend"), shopId("frontend"));
  const verified = await inPod("shop", "frontend", node, checkChain);
  assert.equal(verified.stdout, shopId("frontend"), verified.stderr);
});

/** The chain as the pod has it, judged by Node's X.509. */
const checkChain = `import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
const [leaf, authority] = readFileSync("/out/cert-chain.pem", "utf8").split(/(?<=END CERTIFICATE-----\\n)/).map((pem) => new X509Certificate(pem));
const root = new X509Certificate(readFileSync("/out/root-cert.pem"));
if (!leaf.verify(authority.publicKey) || !authority.verify(root.publicKey)) throw new Error("the chain does not verify");
process.stdout.write(leaf.subjectAltName.replace("URI:", ""));`;

test("a pod of a namespace that no tenant claims is refused, whatever it calls itself", async () => {
  refused(await ask("elsewhere/ztunnel"), /no tenant has a rule/);
  refused(await ask("elsewhere/ztunnel", "--identity", shopId("frontend")), /no tenant has a rule/);
});

test("a token counts no longer than its pod and its account", async () => {
  await start("shop/brief");
  const { stdout: token, stderr } = await inPod("shop", "brief", ["cat", mounted]);
  assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/, stderr);
  const create = ["-n", "shop", "create", "token", "brief", "--audience=istio-ca"];
  const unbound = await kubectl(...create);
  const nodeName = await kubectl("-n", "shop", "get", "pod", "brief", "-o", "jsonpath={.spec.nodeName}");
  const onNode = await kubectl(...create, "--bound-object-kind=Node", `--bound-object-name=${nodeName}`);
  for (const [file, text] of Object.entries({ bound: token, unbound, onNode }))
    await inPod("shop", "frontend", ["sh", "-c", `printf %s '${text.trim()}' > /out/${file}`]);
  for (const file of ["bound", "unbound", "onNode"])
    given(await ask("shop/frontend", "--token-file", `/out/${file}`), shopId("brief"));
  await kubectl("-n", "shop", "delete", "pod", "brief", "--wait");
  refused(await ask("shop/frontend", "--token-file", "/out/bound"), /Pod it is bound to does not exist/);
  await kubectl("-n", "shop", "delete", "serviceaccount", "brief", "--wait");
  await eventually(async () =>
    refused(await ask("shop/frontend", "--token-file", "/out/unbound"), /ServiceAccount it is bound to does not/),
  );
});

test("a ztunnel gets what runs on its node, and nothing else; nobody else poses as one", async () => {
  given(await ask("istio-system/ztunnel", "--impersonate", shopId("frontend")), shopId("frontend"));
  refused(await ask("istio-system/ztunnel", "--impersonate", shopId("brief")), /no pod of shop\/brief runs/);
  refused(await ask("elsewhere/ztunnel", "--impersonate", shopId("frontend")), /not one of this cluster's ztunnel/);
  refused(await ask("shop/frontend", "--impersonate", shopId("frontend")), /not one of this cluster's ztunnel/);
});

/** All that the chart's account may do beside what every account may, by namespace. */
const everywhere = [
  ...["pods", "serviceaccounts"].flatMap((kind) => ["get", "list", "watch"].map((verb) => `${verb} /${kind}`)),
  "get /nodes",
  "list /namespaces",
  "watch /namespaces",
  ...[rootConfigMap, "istio-ca-crl"].flatMap((name) =>
    ["create", "list", "patch", "watch"].map((verb) => `${verb} /configmaps ${name}`),
  ),
];
const secret = (name: string): string[] => ["create", "get", "patch"].map((verb) => `${verb} /secrets ${name}`);
const lease = "coordination.k8s.io/leases";
const rights: Readonly<Record<string, readonly string[]>> = {
  [system]: [
    ...secret("espalier-agent-state"),
    `create ${lease}`,
    ...["get", "update"].map((verb) => `${verb} ${lease} espalier-agent`),
  ],
  "istio-system": secret("istiod-tls"),
  default: ["create events.k8s.io/events", "patch events.k8s.io/events"],
  shop: [],
  "kube-system": [],
};

test("the agent's account may do what is listed and nothing else", async () => {
  for (const [name, own] of Object.entries(rights)) {
    const common = await rightsOf(`${system}:default`, name);
    const found = [...(await rightsOf(account, name))].filter((right) => !common.has(right));
    assert.deepEqual(found.sort(), [...everywhere, ...own].sort(), name);
  }
  await kubectl("-n", system, "create", "secret", "generic", "other", "--from-literal=a=b");
  for (const args of [
    ["get", "secret", "other", "-n", system],
    ["get", "secrets", "-n", system],
    ["get", "secrets", "-A"],
    ["get", "configmaps", "-A"],
    ["get", "configmap", "espalier-agent", "-n", system],
    ["create", "token", "frontend", "-n", "shop"],
    ["exec", "-n", "shop", "frontend", "--", "true"],
    ["delete", "pod", "frontend", "-n", "shop"],
    ["delete", "configmap", rootConfigMap, "-n", "shop"],
  ])
    refused(await run("kubectl", [`--as=system:serviceaccount:${account}`, ...args]), /forbidden/i);
});

test("what the agent creates by server-side apply needs the right to create it under this name", async () => {
  const as = [`--as=system:serviceaccount:${account}`, "apply", "--server-side", "--validate=false", "-f", "-"];
  const made = (name: string): string =>
    `{apiVersion: v1, kind: Secret, metadata: {name: ${name}, namespace: ${system}}}`;
  refused(await run("kubectl", as, made("another")), /cannot patch/);
  const [role, without] = [
    "espalier-agent-state",
    `[{"op":"replace","path":"/rules/0/verbs","value":["get","patch"]}]`,
  ];
  await kubectl("-n", system, "patch", "role", "espalier-agent", "--type=json", "-p", without);
  await kubectl("-n", system, "delete", "secret", role);
  await eventually(async () => refused(await run("kubectl", as, made(role)), /cannot create/));
  await kubectl(
    "-n",
    system,
    "patch",
    "role",
    "espalier-agent",
    "--type=json",
    "-p",
    without.replace(`["get"`, `["create","get"`),
  );
  await eventually(async () => assert.equal((await run("kubectl", as, made(role))).code, 0));
});

test("the leading agent is killed under load, and missed by nobody: another takes its requests and its lead", async () => {
  const holder = await kubectl("-n", system, "get", "lease", "espalier-agent", "-o", "jsonpath={.spec.holderIdentity}");
  const leader = holder.replace(/-[0-9a-f]+$/, "");
  await underLoad(
    service,
    async () => await kubectl("-n", system, "delete", "pod", leader, "--force", "--grace-period=0"),
    12,
  );
  await apply(namespace("later"));
  await eventually(async () => assert.equal(await rootsIn("later"), await rootsIn("shop")));
  await kubectl("-n", system, "rollout", "status", "deployment/espalier-agent", "--timeout=300s");
});

test("an upgrade and its rollback are missed by nobody", async () => {
  const config = "jsonpath={.data.agent\\.yaml}";
  await underLoad(service, async () => await helm("upgrade", ...release("espalier-agent", "deadlineMs=9000")), 20);
  assert.match(await kubectl("-n", system, "get", "configmap", "espalier-agent", "-o", config), /deadlineMs: 9000/);
  await helm("rollback", "espalier-agent", "1", "-n", system, ...waiting);
  assert.match(await kubectl("-n", system, "get", "configmap", "espalier-agent", "-o", config), /deadlineMs: 10000/);
  given(await ask("shop/frontend"), shopId("frontend"));
});

test("no right was missing and none was there for nothing", { skip: audit === undefined }, async () => {
  // Before a release is uninstalled: its agents live a moment longer than their rights.
  // What tests above tried in the account's name is an administrator's there.
  const asked = await audited(audit ?? "", account);
  const denied = [...asked].filter(([, codes]) => codes.has(403)).map(([what]) => what);
  assert.deepEqual(denied, []);
  const all = [...everywhere, ...Object.values(rights).flat(), "get /openid/v1/jwks"];
  // To create by server-side apply is a patch on the wire; a test above shows that the right is asked for.
  const needed = new Set(all.map((right) => right.split(" ").slice(0, 2).join(" ")));
  for (const right of ["create /configmaps", "create /secrets"]) needed.delete(right);
  assert.deepEqual(
    [...needed].filter((what) => !asked.has(what)),
    [],
  );
  // Again where a pod of the release that was rolled back goes while it is read.
  const forbidden = (await eventually(logsOfAgents)).split("\n").filter((line) => /forbidden/i.test(line));
  assert.deepEqual(forbidden, []);
});

test("`agent check` finds nothing wrong, as an administrator from outside and as the agent in its pod", async () => {
  const verb = ["agent", "check", "-o", "json"];
  const outside = [here("../../src/main.ts"), ...verb, "--kubeconfig", process.env["KUBECONFIG"] ?? ""];
  const inside = ["node", "/app/dist/main.js", ...verb, "--config", "/etc/espalier/agent.yaml"];
  for (const [seen, ...known] of [
    [await run("node", outside), "agent", "service", "rights"],
    [await inPod(system, "deploy/espalier-agent", inside), "agent", "rights", "hub"],
  ] as const) {
    assert.equal(seen.code, 0, seen.stdout + seen.stderr);
    const found: readonly { id: string; state: string }[] = JSON.parse(seen.stdout);
    const state = new Map(found.map((one) => [one.id, one.state]));
    for (const id of [...known, "configuration", "clock", "leader", "serving-certificate", "roots"])
      assert.equal(state.get(id), "ok", `${id}: ${seen.stdout}`);
    // No Istio runs here.
    assert.equal(state.get("trust-domain"), "skipped");
  }
});

test("a second release stands beside the first, with a root ConfigMap of its own", async () => {
  const own = ["kubernetes.rootConfigMap=istio-ca-root-cert-canary", "kubernetes.istiodSecret="];
  const shared = ["serviceAccount.create=false", "serviceAccount.name=espalier-agent"];
  await helm("install", ...release("canary", ...own, ...shared, "replicas=1"));
  await eventually(async () => assert.equal(await rootsIn("shop", "istio-ca-root-cert-canary"), await rootsIn("shop")));
  await helm("uninstall", "canary", "-n", system, "--wait");
  given(await ask("shop/frontend"), shopId("frontend"));
});

test("uninstalled, nothing of it is left but what others use", async () => {
  await helm("uninstall", "espalier-agent", "-n", system, "--wait");
  const kinds = "clusterroles,clusterrolebindings,roles,rolebindings";
  const left = await kubectl("get", kinds, "-A", "-o", "name");
  assert.doesNotMatch(left, /espalier/);
  assert.equal(
    await kubectl("-n", system, "get", "deployments,services,poddisruptionbudgets,networkpolicies", "-o", "name"),
    "",
  );
  assert.notEqual(await rootsIn("shop"), "");
});
