import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { test } from "node:test";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { espalier, openFolder, resources, type Said } from "./stage.ts";

const jwks = JSON.stringify(createTokenIssuer("https://east.example").jwks);

async function checkResources(text: string, ...more: readonly string[]): Promise<Said> {
  await using folder = await openFolder();
  await mkdir(folder.at("resources"));
  await folder.put("resources/mesh.yaml", text);
  await folder.put("resources/east.json", jwks);
  return await espalier(["config", "check", folder.at("resources"), ...more]);
}

async function checkFile(text: string, ...more: readonly string[]): Promise<Said> {
  await using folder = await openFolder();
  return await espalier(["config", "check", await folder.put("x.yaml", text), ...more]);
}

test("good documents hold together", async () => {
  const { code, stdout } = await checkResources(resources);
  assert.equal(code, 0);
  assert.match(stdout, /: roots 1, tenants 1, clusters 2; they hold together\n$/);
});

test("as JSON it counts them and lists the warnings", async () => {
  const { stdout } = await checkResources(resources.replace("namespaces: [shop]", 'namespaces: ["*"]'), "-o", "json");
  const seen: { sound: boolean; tenants: number; warnings: string[] } = JSON.parse(stdout);
  assert.equal(seen.sound, true);
  assert.equal(seen.tenants, 1);
  assert.match(seen.warnings[0] ?? "", /mesh\.yaml:\d+.*every namespace/);
});

test("a bad document is named by file, line and rule", async () => {
  const { code, stderr } = await checkResources(resources.replace("root: main", "root: mian"));
  assert.equal(code, 2);
  assert.match(stderr, /mesh\.yaml:\d+:\d+.*there is no TrustRoot "mian"/);
});

test("documents are held against the hub they are for", async () => {
  const { code, stderr } = await checkResources(resources, "--hub", "shop.example");
  assert.equal(code, 2);
  assert.match(stderr, /"shop\.example" is the hub's name/);
});

for (const [text, says] of [
  ["", /the file: expected object/],
  ["listen: 0.0.0.0:1", /hub: is missing/],
  ["hub: hub.example\nlisten: here", /listen: expected host:port/],
  ["hub: hub.example\nlistn: 0.0.0.0:1", /listn: there is no such key/],
  ["hub: hub.example\nhub: other.example", /unique/],
  ["hub: hub.example\nqueueBytes: much", /queueBytes: expected int, received string|queueBytes: expected number/],
] as const) {
  test(`an issuer.yaml of ${JSON.stringify(text)} is refused`, async () => {
    const { code, stdout, stderr } = await checkFile(text);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, says);
  });
}

test("of an issuer.yaml whose resources are objects, no directory is looked at", async () => {
  const { code, stdout } = await checkFile("hub: hub.example\nkubernetes: {}\n");
  assert.equal(code, 0);
  assert.match(stdout, /hub "hub\.example"; it holds\. Its resources are a cluster's objects/);
});

const agent = `hub: hub.example
cluster: east
issuers: [issuer.example:15443]
hubRoots: hub-root.pem
tokenFile: token
tokens: { issuer: https://east.example }
`;

test("an agent.yaml that holds says whose it is", async () => {
  const { code, stdout } = await checkFile(agent, "--agent");
  assert.equal(code, 0);
  assert.match(stdout, /an agent of cluster "east" of hub "hub\.example"; it holds\n$/);
});

for (const [from, to, says] of [
  ["cluster: east\n", "", /cluster: is missing/],
  ["[issuer.example:15443]", "[]", /issuers: /],
  ["{ issuer: https://east.example }", "{ issuer: x, jwks: y }", /tokens\.jwks: there is no such key/],
  ["tokenFile: token", "deadlineMs: 1", /tokenFile: is missing|deadlineMs: /],
] as const) {
  test(`an agent.yaml with ${JSON.stringify(to)} is refused`, async () => {
    const { code, stderr } = await checkFile(agent.replace(from, to), "--agent");
    assert.equal(code, 2);
    assert.match(stderr, says);
  });
}

test("a path that is not there is refused", async () => {
  const { code, stderr } = await espalier(["config", "check", "/nowhere"]);
  assert.equal(code, 2);
  assert.equal(stderr, "error: cannot read /nowhere: no such file or directory\n");
});
