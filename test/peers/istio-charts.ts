/**
 * `espalier istio values` given to Istio's own charts, as they come with the module of go.mod: what helm makes of them is what is
 * meant. Needs go and helm (ESPALIER_HELM, or on the PATH): `node --test test/peers/istio-charts.ts`.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { isRecord, listAt, recordAt, textAt } from "../../src/kube/json.ts";
import { espalier, type Folder, openFolder } from "../ctl/stage.ts";
import { document, toYaml } from "../support/documents.ts";

const helm = process.env["ESPALIER_HELM"] ?? "helm";
const module = process.env["ESPALIER_ISTIO_CHARTS"] ?? findCharts();
const chartsAt = { istiod: "istio-control/istio-discovery", ztunnel: "ztunnel", cni: "istio-cni", gateway: "gateway" };
const address = "espalier-agent.espalier-system.svc:15012";

function findCharts(): string {
  const argv = ["list", "-m", "-f", "{{.Dir}}", "istio.io/istio"];
  return join(execFileSync("go", argv, { cwd: import.meta.dirname, encoding: "utf8" }).trim(), "manifests/charts");
}

let folder: Folder;
before(async () => {
  folder = await openFolder();
  const cluster = document("MeshCluster", "east", {
    tokens: { issuer: "https://east.example", keys: { joined: true } },
    ztunnelAccounts: ["kube-system/zt"],
    servingNames: ["espalier-agent.espalier-system.svc", "istiod.istio-system.svc", "istiod-canary.istio-system.svc"],
  });
  const rules = [{ name: "all", clusters: ["east"], namespaces: ["shop"], proofs: ["token", "impersonated"] }];
  const shop = document("MeshTenant", "shop", { trustDomain: "shop.example", root: "main", rules });
  const all = [document("TrustRoot", "main", {}), cluster, shop];
  await folder.put("all.yaml", toYaml(all));
});
after(async () => await folder[Symbol.asyncDispose]());

/** What a chart makes of our values. */
async function render(chart: keyof typeof chartsAt, ...argv: readonly string[]): Promise<readonly unknown[]> {
  const asked = ["istio", "values", "--cluster", "east", "--resources", folder.path, "--chart", chart, ...argv];
  const { code, stdout, stderr } = await espalier(asked);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  const file = await folder.put("values.yml", stdout);
  const options = ["--namespace", "istio-system", "--values", file];
  const made = execFileSync(helm, ["template", "release", join(module, chartsAt[chart]), ...options], {
    encoding: "utf8",
    maxBuffer: 32 * 1024 * 1024,
  });
  await folder.put("values.yml", "");
  return parseAllDocuments(made).map((one) => ("toJS" in one ? one.toJS() : undefined));
}

function find(objects: readonly unknown[], kind: string, name: string): unknown {
  const found = objects.find(
    (one) => isRecord(one) && one["kind"] === kind && textAt(recordAt(one, "metadata"), "name") === name,
  );
  assert.ok(found, `no ${kind} ${name} was made`);
  return found;
}

function podOf(object: unknown): Readonly<Record<string, unknown>> {
  return recordAt(recordAt(recordAt(object, "spec"), "template"), "spec");
}

function environmentOf(object: unknown): Readonly<Record<string, unknown>> {
  const [container] = listAt(podOf(object), "containers");
  const pairs = listAt(container, "env").map((one) => (isRecord(one) ? [String(one["name"]), one["value"]] : ["", ""]));
  return Object.fromEntries(pairs);
}

function dataOf(object: unknown, key: string): string {
  return textAt(recordAt(object, "data"), key) ?? "";
}

test("istiod signs nothing, mounts istiod-tls and the roots, and sends every proxy to the agent", async () => {
  const made = await render("istiod");
  const istiod = find(made, "Deployment", "istiod");
  const environment = environmentOf(istiod);
  assert.equal(environment["ENABLE_CA_SERVER"], "false");
  assert.equal(environment["PILOT_CERT_PROVIDER"], "istiod");
  assert.equal(environment["CLUSTER_ID"], "east");
  const volumes = JSON.stringify(listAt(podOf(istiod), "volumes"));
  assert.match(volumes, /"secretName":"istiod-tls"/);
  assert.match(volumes, /"name":"istio-ca-root-cert"/);
  const mesh = dataOf(find(made, "ConfigMap", "istio"), "mesh");
  assert.match(mesh, /^trustDomain: shop\.example$/m);
  const injector = find(made, "ConfigMap", "istio-sidecar-injector");
  const values: unknown = JSON.parse(dataOf(injector, "values"));
  assert.equal(recordAt(values, "global")["caAddress"], address);
  for (const name of ["sidecar", "gateway", "waypoint", "kube-gateway"])
    assert.match(dataOf(injector, "config"), new RegExp(`${name}: \\|[\\s\\S]*global\\.caAddress`));
});

test("a revision's istiod reads the ConfigMap of that name", async () => {
  const made = await render("istiod", "--revision", "canary", "--root-config-map", "roots-canary");
  const istiod = find(made, "Deployment", "istiod-canary");
  assert.equal(environmentOf(istiod)["REVISION"], "canary");
  assert.equal(environmentOf(istiod)["PILOT_CA_CERT_CONFIGMAP"], "roots-canary");
  assert.match(JSON.stringify(listAt(podOf(istiod), "volumes")), /"name":"roots-canary"/);
  find(made, "ConfigMap", "istio-canary");
});

test("ztunnel asks the agent, in the name of the account that may", async () => {
  const made = await render("ztunnel", "--mode", "ambient", "--network", "n1", "--root-config-map", "roots");
  const ztunnel = find(made, "DaemonSet", "zt");
  const environment = environmentOf(ztunnel);
  assert.equal(environment["CA_ADDRESS"], address);
  assert.equal(environment["XDS_ADDRESS"], "istiod.istio-system.svc:15012");
  assert.equal(environment["ISTIO_META_CLUSTER_ID"], "east");
  assert.equal(environment["NETWORK"], "n1");
  assert.equal(podOf(ztunnel)["serviceAccountName"], "zt");
  assert.match(JSON.stringify(listAt(podOf(ztunnel), "volumes")), /"configMap":\{"name":"roots"\}/);
  const istiod = environmentOf(find(await render("istiod", "--mode", "ambient"), "Deployment", "istiod"));
  assert.equal(istiod["PILOT_ENABLE_AMBIENT"], "true");
  assert.equal(istiod["CA_TRUSTED_NODE_ACCOUNTS"], "kube-system/zt");
});

test("the CNI plugin takes pods in, and a gateway is of its revision", async () => {
  const config = find(await render("cni", "--mode", "ambient"), "ConfigMap", "istio-cni-config");
  assert.equal(dataOf(config, "AMBIENT_ENABLED"), "true");
  const gateway = JSON.stringify(await render("gateway", "--revision", "canary"));
  assert.match(gateway, /"istio\.io\/rev":"canary"/);
});
