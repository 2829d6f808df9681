import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { type Document, document, toYaml } from "../support/documents.ts";
import { espalier, type Folder, openFolder, type Said } from "./stage.ts";

let folder: Folder;
before(async () => {
  folder = await openFolder();
});
after(async () => await folder[Symbol.asyncDispose]());

const names = ["espalier-agent.espalier-system.svc", "istiod.istio-system.svc"];

function cluster(spec: object = {}): Document {
  const tokens = { issuer: "https://east.example", keys: { joined: true } };
  return document("MeshCluster", "east", { tokens, servingNames: names, ...spec });
}

function tenant(name: string, trustDomain: string, rule: object = {}): Document {
  const rules = [{ name: "all", clusters: ["east"], namespaces: [name], ...rule }];
  return document("MeshTenant", name, { trustDomain, root: "main", rules });
}

/** The verb, over these documents. */
async function values(documents: readonly Document[], ...argv: readonly string[]): Promise<Said> {
  const all = [document("TrustRoot", "main", {}), ...documents];
  await folder.put("all.yaml", toYaml(all));
  return await espalier(["istio", "values", "--cluster", "east", "--resources", folder.path, ...argv]);
}

const usual = [cluster(), tenant("shop", "shop.example")];

test("istiod's own CA is off, and everybody is sent to the agent", async () => {
  const { code, stdout, stderr } = await values(usual, "--chart", "istiod", "-o", "json");
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  assert.deepEqual(JSON.parse(stdout), {
    pilot: { env: { ENABLE_CA_SERVER: "false" } },
    meshConfig: { trustDomain: "shop.example" },
    global: {
      istioNamespace: "istio-system",
      caAddress: "espalier-agent.espalier-system.svc:15012",
      pilotCertProvider: "istiod",
      multiCluster: { clusterName: "east" },
    },
  });
});

test("in ambient mode ztunnel is sent there too, under the name and in the namespace of the MeshCluster's account", async () => {
  const documents = [
    cluster({ ztunnelAccounts: ["kube-system/zt"] }),
    tenant("shop", "shop.example", { proofs: ["token", "impersonated"] }),
  ];
  const { code, stdout, stderr } = await values(documents, "--mode", "ambient", "--network", "n1", "-o", "json");
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  const { istiod, ztunnel, cni, gateway } = JSON.parse(stdout);
  assert.deepEqual(ztunnel, {
    release: "zt",
    namespace: "kube-system",
    values: {
      resourceName: "zt",
      istioNamespace: "istio-system",
      caAddress: "espalier-agent.espalier-system.svc:15012",
      multiCluster: { clusterName: "east" },
      network: "n1",
    },
  });
  assert.equal(cni.values.profile, "ambient");
  assert.equal(istiod.values.profile, "ambient");
  assert.equal(istiod.values.trustedZtunnelNamespace, "kube-system");
  assert.equal(istiod.values.trustedZtunnelName, "zt");
  assert.equal(istiod.values.global.network, "n1");
  assert.equal(gateway, undefined);
});

test("a revision has its own istiod, whose name must be among the serving names", async () => {
  const canary = ["--revision", "canary", "--root-config-map", "roots-canary"];
  const lacking = await values(usual, ...canary);
  assert.match(lacking.stderr, /^warning: servingNames .* lack "istiod-canary\.istio-system\.svc"/);
  const there = cluster({ servingNames: [...names, "istiod-canary.istio-system.svc"] });
  const { stdout, stderr } = await values([there, tenant("shop", "shop.example")], ...canary, "-o", "json");
  assert.equal(stderr, "");
  const { istiod, gateway } = JSON.parse(stdout);
  assert.equal(istiod.release, "istiod-canary");
  assert.equal(istiod.values.revision, "canary");
  assert.equal(istiod.values.global.trustBundleName, "roots-canary");
  assert.deepEqual(gateway.values, { revision: "canary" });
});

test("for people it is YAML, one document for each chart, with the command that takes it", async () => {
  const { stdout } = await values(usual, "--mode", "ambient");
  const documents = parseAllDocuments(stdout);
  assert.equal(documents.length, 3);
  for (const one of documents) assert.deepEqual([...("errors" in one ? one.errors : [])], []);
  assert.match(
    stdout,
    /^# helm upgrade --install istiod istio\/istiod --namespace istio-system --values istiod\.yaml$/m,
  );
  // Text, as an environment variable must be.
  assert.match(stdout, /ENABLE_CA_SERVER: "false"/);
});

test("tenants of several trust domains have several control planes: --tenant says whose", async () => {
  const two = [cluster(), tenant("shop", "shop.example"), tenant("bank", "bank.example")];
  const { code, stderr } = await values(two);
  assert.equal(code, 2);
  assert.match(stderr, /say whose with --tenant: .*\bbank \(bank\.example\)/);
  const bank = await values(two, "--tenant", "bank", "--chart", "istiod", "-o", "json");
  assert.equal(JSON.parse(bank.stdout).meshConfig.trustDomain, "bank.example");
});

test("a cluster whose tokens have another audience says so to Istio", async () => {
  const tokens = { issuer: "https://east.example", keys: { joined: true }, audiences: ["mesh"] };
  const documents = [cluster({ tokens }), tenant("shop", "shop.example")];
  const { stdout, stderr } = await values(documents, "--mode", "ambient", "-o", "json");
  assert.deepEqual(JSON.parse(stdout).istiod.values.global.sds, { token: { aud: "mesh" } });
  assert.match(stderr, /audiences of MeshCluster "east" lack "istio-ca"/);
  assert.match(stderr, /names no ztunnelAccounts/);
  assert.match(stderr, /no rule takes the proof impersonated/);
});

for (const [argv, status, says] of [
  [["--agent-address", "ca.example:15010"], 2, /speak no TLS to port 15010/],
  [["--agent-address", "ca.example"], 2, /is not host:port/],
  [["--revision", "Canary.1"], 2, /--revision is a part of a Service's name, not "Canary\.1"/],
  [["--tenant", "nobody"], 1, /no MeshTenant "nobody" is declared/],
  [["--cluster", "west"], 1, /no MeshCluster "west" is declared: `espalier cluster add west` writes one/],
  [["--resources", "nowhere"], 2, /nowhere:1:1: there is no such directory/],
  [["--chart", "ztunnel"], 2, /"ztunnel" has to be told nothing here/],
] as const) {
  test(`istio values ${argv.join(" ")} says what is wrong`, async () => {
    const { code, stdout, stderr } = await values(usual, ...argv);
    assert.equal(code, status);
    assert.equal(stdout, "");
    assert.match(stderr, says);
  });
}
