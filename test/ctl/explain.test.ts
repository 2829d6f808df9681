import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { approved, certificateRequest, chartWebhooks } from "../support/certificate-requests.ts";
import { document, tenantDocument, toYaml } from "../support/documents.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { type MemoryApi, startMemoryApi } from "../support/kube-memory.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { csrOf, toRequest } from "../support/named-csr.ts";
import { eastDocument, espalier, type Folder, type Hub, openFolder, openHub, type Said } from "./stage.ts";

const declared = [
  document("TrustRoot", "main", {}),
  eastDocument(),
  tenantDocument("shop", {
    rules: [
      { name: "all", clusters: ["east"], namespaces: ["shop"], proofs: ["token", "request"] },
      { name: "admin", clusters: ["east"], namespaces: ["shop"], serviceAccounts: ["admin"] },
    ],
    requests: { dnsNames: ["*.shop.example"] },
  }),
];
const documents = toYaml(declared);
const overlapping = toYaml([
  ...declared,
  tenantDocument("till", { rules: [{ name: "mine", clusters: ["east"], namespaces: ["shop"] }] }),
]);

const jwks = JSON.stringify(createTokenIssuer("https://east.example").jwks);
const csr = csrOf("DNS:a.shop.example");
const denied = csrOf("DNS:bank.example");
const stack = new AsyncDisposableStack();
let hub: Hub;
let folder: Folder;
let api: MemoryApi;
let kubeconfig: string;

before(async () => {
  hub = stack.use(await openHub(documents, { "east.json": jwks }));
  await hub.say("root", "create", "main");
  folder = stack.use(await openFolder());
  await folder.put("mesh.yaml", documents);
  await folder.put("east.json", jwks);
  api = stack.use(await startMemoryApi());
  kubeconfig = writeKubeconfig(hub.folder.path, api.access);
  const { validating, mutating } = chartWebhooks({});
  const put = (collection: string, name: string, object: object): void =>
    void api.store.write(collection, name, { ...object }, new Map());
  put("v1/namespaces", "shop", { metadata: { name: "shop", uid: "n", resourceVersion: "1" } });
  put("admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "cert-manager-webhook", validating);
  put("admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "cert-manager-webhook", mutating);
  put("espalier.dev/v1alpha1/tenantissuers", "shop/shop", {
    metadata: { namespace: "shop", name: "shop", uid: "i", resourceVersion: "1", generation: 1 },
    spec: { tenant: "shop" },
    status: { conditions: [{ type: "Ready", status: "True", reason: "Ready", message: "", observedGeneration: 1 }] },
  });
  for (const [name, der] of [
    ["till-1", csr],
    ["till-2", denied],
  ] as const) {
    const object = certificateRequest({ request: toRequest(der) }, { conditions: [approved] });
    put("cert-manager.io/v1/certificaterequests", `shop/${name}`, {
      ...object,
      metadata: { ...object.metadata, name },
    });
  }
  const issuerRef = {
    group: "espalier.dev",
    kind: "TenantIssuer",
    name: "x\u001b[2J\nok    hub      granted\u009b31m",
  };
  const liar = certificateRequest({ request: toRequest(csr), issuerRef }, { conditions: [approved] });
  put("cert-manager.io/v1/certificaterequests", "shop/liar", { ...liar, metadata: { ...liar.metadata, name: "liar" } });
});
after(async () => await stack.disposeAsync());

test("a workload that would get one: tenant, rule, identity, and every rule that was looked at", async () => {
  const { code, stdout, stderr } = await hub.say("explain", "workload", "shop/web");
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^verdict: +granted$/m);
  assert.match(stdout, /^rule: +shop\/all$/m);
  assert.match(stdout, /^identity: +spiffe:\/\/shop\.example\/ns\/shop\/sa\/web$/m);
  assert.match(stdout, /^authority: +tenant-shop-/m);
  assert.match(stdout, /^shop\/all +decides +east +shop +\* +token request$/m);
  assert.match(stdout, /^shop\/admin +not for this account +east +shop +admin +token$/m);
});

test("one that would not: why, what to do, and 1", async () => {
  const { code, stdout, stderr } = await hub.say("explain", "workload", "bank/web", "--cluster", "east");
  assert.equal(code, 1);
  assert.match(stdout, /^verdict: +refused \(no-rule\)$/m);
  assert.match(stdout, /^fix: +add a rule to spec\.rules/m);
  assert.match(stderr, /^error: it would be refused: no-rule\n$/);
  const json = await hub.say("explain", "workload", "bank/web", "-o", "json");
  assert.equal(json.code, 1);
  const { granted, code: refusal, workload }: Record<string, unknown> = JSON.parse(json.stdout);
  assert.deepEqual([workload, granted, refusal], ["bank/web", false, "no-rule"]);
});

const offline = async (...argv: readonly string[]): Promise<Said> =>
  await espalier(["explain", "workload", ...argv, "--documents", folder.path]);

test("documents alone are asked without an issuer, and it is said what is not in them", async () => {
  const { code, stdout } = await offline("shop/web", "--cluster", "east");
  assert.equal(code, 0);
  assert.match(stdout, /^verdict: +granted$/m);
  assert.match(stdout, /^note: +by the documents alone/m);
  assert.doesNotMatch(stdout, /^authority:/m);
  const refused = await offline("shop/admin", "--proof", "impersonated");
  assert.equal(refused.code, 1);
  assert.match(refused.stdout, /ztunnelAccounts/);
  const other = await offline("shop/web", "--identity", "spiffe://cluster.local/ns/shop/sa/web");
  assert.equal(other.code, 1);
  assert.match(other.stdout, /^fix: +the CSR has to name spiffe:\/\/shop\.example\/ns\/shop\/sa\/web/m);
});

test("documents in which two tenants overlap are refused, and both rules named", async () => {
  const other = await openFolder();
  try {
    await other.put("mesh.yaml", overlapping);
    await other.put("east.json", jwks);
    const { code, stderr } = await espalier(["explain", "workload", "shop/web", "--documents", other.path]);
    assert.equal(code, 2);
    assert.match(stderr, /overlaps rule "all" of MeshTenant "shop"/);
  } finally {
    await other[Symbol.asyncDispose]();
  }
});

test("where the documents of a running issuer are refused, it says by which it answers", async () => {
  const isTold = async (): Promise<boolean> =>
    /^note: +the documents as they are now are refused/m.test(
      (await hub.say("explain", "workload", "shop/web")).stdout,
    );
  await hub.folder.put("hub/resources/mesh.yaml", overlapping);
  while (!(await isTold())) await delay(100);
  await hub.folder.put("hub/resources/mesh.yaml", documents);
  while (await isTold()) await delay(100);
});

const objects = async (name: string, ...argv: readonly string[]): Promise<Said> =>
  await hub.say(
    "explain",
    "certificaterequest",
    `shop/${name}`,
    "--kubeconfig",
    kubeconfig,
    "--cluster",
    "east",
    ...argv,
  );

test("a CertificateRequest, by its cluster and then by the hub", async () => {
  const given = await objects("till-1");
  assert.equal(given.code, 0, given.stdout + given.stderr);
  assert.match(given.stdout, /^ok +hub +granted by rule shop\/all$/m);
  const refused = await objects("till-2");
  assert.equal(refused.code, 1);
  assert.match(
    refused.stdout,
    /^FAIL +hub +the name "dns:bank\.example" is not given .*spec\.requests\.dnsNames.* \(request-denied\)$/m,
  );
  assert.match(refused.stdout, /fix this first: let that field of MeshTenant "shop" give it/);
  const json: { hub: { code: string }; findings: { id: string }[] } = JSON.parse(
    (await objects("till-2", "-o", "json")).stdout,
  );
  assert.equal(json.hub.code, "request-denied");
  assert.deepEqual(
    json.findings.map(({ id }) => id),
    ["request", "status", "agent", "hub"],
  );
});

test("an object whose names would write to the terminal is shown, and does not", async () => {
  for (const argv of [[], ["-o", "json"]]) {
    const { code, stdout, stderr } = await objects("liar", ...argv);
    assert.equal(code, 1);
    assert.match(stdout, /there is no TenantIssuer/);
    assert.doesNotMatch(`${stdout}${stderr}`.replaceAll("\n", ""), /\p{Cc}/u);
    assert.doesNotMatch(stdout, /^ok +hub/m);
  }
});

test("a CSR is not printed, in no form", async () => {
  for (const argv of [[], ["-o", "json"]])
    for (const [name, der] of [
      ["till-1", csr],
      ["till-2", denied],
    ] as const) {
      const { stdout, stderr } = await objects(name, ...argv);
      const said = stdout + stderr;
      assert.doesNotMatch(said, /BEGIN/);
      for (const encoding of ["base64", "hex"] as const)
        assert.ok(!said.includes(Buffer.from(der.subarray(30, 60)).toString(encoding)));
    }
});

test("with nobody to ask, the cluster's side is told, and that the hub was not asked", async () => {
  const asked = ["explain", "certificaterequest", "shop/till-1", "--kubeconfig", kubeconfig, "--cluster", "east"];
  const { code, stdout } = await espalier(asked);
  assert.equal(code, 0);
  assert.match(stdout, /^- +hub +not asked: .*--as FOLDER/m);
  const named = await espalier([...asked, "--socket", "/nowhere/else.sock"]);
  assert.equal(named.code, 1);
  assert.match(named.stdout + named.stderr, /no issuer answers this user at \/nowhere\/else\.sock/);
  const documented = await espalier([...asked, "--documents", folder.path]);
  assert.equal(documented.code, 0, documented.stderr);
  assert.match(documented.stdout, /^ok +hub +granted by rule shop\/all; by the documents alone/m);
});

for (const [argv, says] of [
  [["workload", "web"], /name it as <namespace>\/<service account>, not "web"/],
  [["workload", "a/b", "--validity", "long"], /--validity is a whole number/],
  [["certificaterequest", "a/b/c"], /name it as <namespace>\/<name>/],
  [["workload", "a/b", "--documents", "/nowhere"], /cannot read \/nowhere/],
] as const)
  test(`explain ${argv.join(" ")} is not understood`, async () => {
    const { code, stderr } = await espalier(["explain", ...argv]);
    assert.equal(code, 2);
    assert.match(stderr, says);
  });
