import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { after, before, beforeEach, test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { parse, stringify } from "yaml";
import { readDocuments } from "../../src/resources/read.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { type MemoryApi, startMemoryApi } from "../support/kube-memory.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { espalier, type Folder, openFolder, type Said } from "./stage.ts";

const tokens = createTokenIssuer("https://kubernetes.east.example");
const other = createTokenIssuer("https://kubernetes.east.example");
let api: MemoryApi;
let folder: Folder;
let kubeconfig = "";
let status = 200;
let jwksUri = "";
let keys: readonly object[] = tokens.jwks.keys;

before(async () => {
  api = await startMemoryApi();
  folder = await openFolder();
  kubeconfig = writeKubeconfig(folder.path, { ...api.access, token: "admin" });
  api.intercept(({ path }, response) => {
    const said: Readonly<Record<string, object>> = {
      "/.well-known/openid-configuration": { issuer: tokens.issuer, jwks_uri: jwksUri },
      "/openid/v1/jwks": { keys },
      "/other": { keys: other.jwks.keys },
    };
    if (status !== 200) response.writeHead(status).end(JSON.stringify({ kind: "Status", message: "no", code: status }));
    else response.writeHead(200).end(JSON.stringify(said[path] ?? {}));
    return true;
  });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});
beforeEach(() => {
  status = 200;
  jwksUri = "https://127.0.0.1:1/jwks";
  keys = tokens.jwks.keys;
});

const add = async (...argv: readonly string[]): Promise<Said> =>
  await espalier(["cluster", "add", "east", "--from-kubeconfig", kubeconfig, ...argv]);

let made = 0;
/** A directory of documents with a tenant, and whatever else. */
async function directory(more: Readonly<Record<string, string>> = {}): Promise<string> {
  const path = folder.at(`resources-${made++}`);
  await mkdir(path);
  const root = { apiVersion: "espalier.dev/v1alpha1", kind: "TrustRoot", metadata: { name: "main" } };
  for (const [name, text] of Object.entries({ "main.yaml": stringify(root), ...more })) {
    await folder.put(`${path.split("/").at(-1)}/${name}`, text);
  }
  return path;
}

test("kubectl, whose YAML is an older one, reads the same document", async () => {
  const { stdout } = await add();
  assert.deepEqual(parse(stdout, { version: "1.1" }), parse(stdout));
  assert.equal(parse(stdout).spec.tokens.keys.jwks.keys[0].kty, "RSA");
});

test("what is printed is a document that the issuer takes, with the cluster's own issuer and keys", async () => {
  const { code, stdout, stderr } = await add("--ztunnel", "istio-system/ztunnel");
  assert.equal(code, 0, stderr);
  const east = readDocuments([{ path: "east.yaml", text: stdout }]).clusters.get("east");
  assert.equal(east?.tokens.issuer, tokens.issuer);
  assert.ok(east?.tokens.keys.kind === "static");
  assert.deepEqual(
    east.tokens.keys.keys.map(({ key }) => key.export({ format: "jwk" })),
    tokens.jwks.keys.map(({ kty, n, e }) => ({ kty, n, e })),
  );
  assert.deepEqual(east.ztunnelAccounts, ["istio-system/ztunnel"]);
  assert.deepEqual(east.servingNames, ["espalier-agent.espalier-system.svc", "istiod.istio-system.svc"]);
});

test("the same from two files, where this machine cannot ask the API server", async () => {
  const openid = await folder.put(
    "openid.json",
    JSON.stringify({ issuer: tokens.issuer, jwks_uri: "https://x.example" }),
  );
  const jwks = await folder.put("jwks.json", JSON.stringify(tokens.jwks));
  const said = await espalier(["cluster", "add", "east", "--openid", openid, "--jwks", jwks]);
  assert.equal(said.stdout, (await add()).stdout);
});

for (const [source, keysOf] of [
  ["url", { kind: "url", url: "https://127.0.0.1:1/jwks" }],
  ["joined", { kind: "joined" }],
  ["proposed", { kind: "proposed", taken: false }],
] as const) {
  test(`--keys ${source} leaves the keys out of the document`, async () => {
    const { stdout } = await add("--keys", source);
    const east = readDocuments([{ path: "east.yaml", text: stdout }]).clusters.get("east");
    assert.deepEqual(east?.tokens.keys, keysOf);
  });
}

test("an address that does not show the keys, or cannot be had, is a warning", async () => {
  const addressed = async (path: string): Promise<string> => {
    jwksUri = new URL(path, api.access.server).href;
    const { code, stderr } = await add("--keys", "url");
    assert.equal(code, 0);
    return stderr;
  };
  assert.match(await addressed("/openid/v1/jwks"), /^warning: cannot fetch https.*: the hub must be able to, without/);
  setDefaultCACertificates([...getCACertificates("default"), api.access.tls.ca ?? ""]);
  assert.equal(await addressed("/openid/v1/jwks"), "");
  assert.match(
    await addressed("/other"),
    /^warning: https.*\/other does not show all the keys that the API server does\n$/,
  );
});

test("it is written among the documents, once; the same again does nothing", async () => {
  const path = await directory();
  const first = await add("--resources", path);
  assert.equal(first.code, 0, first.stderr);
  assert.match(
    first.stdout,
    /^wrote .*\/east\.yaml: .*\nnext, where the issuer runs:\n {2}espalier root create --serving east\n$/,
  );
  assert.deepEqual(readdirSync(path), ["east.yaml", "main.yaml"]);
  assert.equal((await espalier(["config", "check", path])).code, 0);
  const before = statSync(`${path}/east.yaml`).mtimeMs;
  const again = await add("--resources", path);
  assert.equal(again.code, 0);
  assert.match(again.stdout, /is declared so already/);
  assert.equal(statSync(`${path}/east.yaml`).mtimeMs, before);
});

test("what is declared already with something else is left alone, and the difference is named", async () => {
  const path = await directory();
  await add("--resources", path);
  const text = readFileSync(`${path}/east.yaml`, "utf8");
  keys = other.jwks.keys;
  const rotated = await add("--resources", path, "--ztunnel", "istio-system/ztunnel");
  assert.equal(rotated.code, 1);
  assert.equal(rotated.stdout, "");
  assert.match(rotated.stderr, /declared already and differs in tokens\.keys, ztunnelAccounts: edit its document/);
  assert.equal(readFileSync(`${path}/east.yaml`, "utf8"), text);
});

test("the same cluster in another file, with its keys beside it, is the same", async () => {
  const document = `apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata: { name: east, labels: { team: mesh } }
spec:
  tokens: { issuer: "${tokens.issuer}", keys: { jwksFile: k.json } }
  servingNames: [espalier-agent.espalier-system.svc, istiod.istio-system.svc]
`;
  const path = await directory({ "all.yaml": document, "k.json": JSON.stringify(tokens.jwks) });
  assert.match((await add("--resources", path)).stdout, /is declared so already/);
  assert.ok(!existsSync(`${path}/east.yaml`));
});

test("what does not hold together with the other documents is not written", async () => {
  const path = await directory({ "west.yaml": (await espalierWest()).stdout });
  const { code, stderr } = await add("--resources", path);
  assert.equal(code, 2);
  assert.match(stderr, /also belongs to MeshCluster "east"|also belongs to MeshCluster "west"/);
  assert.ok(!existsSync(`${path}/east.yaml`));
  const broken = await directory({ "broken.yaml": "kind: Nothing" });
  assert.match((await add("--resources", broken)).stderr, /broken\.yaml:1:1/);
});

test("a tenant may name the cluster before it is there", async () => {
  const tenant = `apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: shop }
spec: { trustDomain: shop.example, root: main, rules: [{ name: workloads, clusters: [east], namespaces: [shop] }] }
`;
  const path = await directory({ "shop.yaml": tenant });
  assert.equal((await espalier(["config", "check", path])).code, 2);
  const { code, stderr } = await add("--resources", path);
  assert.equal(code, 0, stderr);
  assert.equal((await espalier(["config", "check", path])).code, 0);
});

async function espalierWest(): Promise<Said> {
  return await espalier(["cluster", "add", "west", "--from-kubeconfig", kubeconfig]);
}

test("--dry-run looks at everything and writes nothing", async () => {
  const path = await directory();
  const { code, stdout } = await add("--resources", path, "--dry-run");
  assert.equal(code, 0);
  assert.match(stdout, /^would write .*\/east\.yaml: .*\napiVersion: /);
  assert.deepEqual(readdirSync(path), ["main.yaml"]);
});

test("--out writes a file once, and never over another", async () => {
  const out = folder.at("out.yaml");
  assert.match((await add("--out", out)).stdout, /^wrote /);
  assert.match((await add("--out", out)).stdout, /nothing to do/);
  assert.equal(readFileSync(out, "utf8"), (await add()).stdout);
  const { code, stderr } = await add("--out", out, "--audience", "vault");
  assert.equal(code, 1);
  assert.match(stderr, /is there already and says something else/);
});

test("-o json says all of it to a program", async () => {
  const path = await directory();
  const said: Record<string, unknown> = JSON.parse((await add("--resources", path, "-o", "json")).stdout);
  assert.deepEqual(
    [said["name"], said["issuer"], said["path"], said["changed"], said["warnings"]],
    ["east", tokens.issuer, `${path}/east.yaml`, true, []],
  );
  assert.deepEqual(readDocuments([{ path: "a.yaml", text: String(said["text"]) }]).clusters.has("east"), true);
});

for (const [title, argv, code, says] of [
  ["no source", ["cluster", "add", "east"], 2, /--from-kubeconfig FILE, or --openid FILE and --jwks FILE/],
  ["one file of two", ["cluster", "add", "east", "--openid", "x"], 2, /--openid FILE and --jwks FILE/],
  [
    "no such kubeconfig",
    ["cluster", "add", "east", "--from-kubeconfig", "/nowhere"],
    2,
    /cannot read \/nowhere; or read both/,
  ],
] as const) {
  test(`${title}: it says what to give`, async () => {
    const said = await espalier(argv);
    assert.deepEqual([said.code, said.stdout], [code, ""]);
    assert.match(said.stderr, says);
  });
}

test("a mistake is one sentence with its remedy", async () => {
  for (const [argv, says] of [
    [["--context", "nope"], /contexts has no nope; or read both with kubectl/],
    [["--agent", "espalier"], /--agent is <namespace>\/<service account>/],
    [["--ztunnel", "ztunnel"], /spec\.ztunnelAccounts\[0\]: must be <namespace>\/<service account>/],
    [["--keys", "magic"], /Allowed choices are static, url, joined, proposed/],
    [["--out", "a", "--resources", "b"], /not both/],
  ] as const) {
    const { code, stdout, stderr } = await add(...argv);
    assert.deepEqual([code, stdout], [2, ""], stderr);
    assert.match(stderr, says);
  }
  const bad = await espalier(["cluster", "add", "../east", "--from-kubeconfig", kubeconfig]);
  assert.match(bad.stderr, /metadata\.name: must be a DNS label/);
});

test("a user that may not read the keys is told what the cluster has to give it", async () => {
  status = 403;
  const { code, stderr } = await add();
  assert.equal(code, 1);
  assert.match(stderr, /system:service-account-issuer-discovery, or read both with kubectl/);
});

test("keys that no token of ours may be signed with are refused", async () => {
  keys = [generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" })];
  const { code, stderr } = await add();
  assert.equal(code, 1);
  assert.match(stderr, /kty is not RSA or EC/);
});

test("a kubeconfig that runs a program is not run: the two files are named instead", async () => {
  const config = JSON.parse(readFileSync(kubeconfig, "utf8"));
  config.users[0].user = { exec: { command: "aws" } };
  const file = await folder.put("exec.json", JSON.stringify(config));
  const { code, stderr } = await espalier(["cluster", "add", "east", "--from-kubeconfig", file]);
  assert.equal(code, 2);
  assert.match(stderr, /runs a program for its credentials.*--openid and --jwks/);
});
