import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import { Refusal } from "../../src/errors.ts";
import { openClient } from "../../src/kube/client.ts";
import { inClusterCredentials } from "../../src/kube/in-cluster.ts";
import { kubeconfigCredentials } from "../../src/kube/kubeconfig.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { startMemoryApi } from "../support/kube-memory.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

function config({
  cluster = {},
  user = {},
  rest = {},
}: {
  cluster?: object;
  user?: object;
  rest?: object;
} = {}): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    contexts: [
      { name: "there", context: { cluster: "east", user: "ada" } },
      { name: "here", context: { cluster: "east", user: "ada" } },
    ],
    clusters: [{ name: "east", cluster: { server: "https://10.0.0.1:6443", ...cluster } }],
    users: [{ name: "ada", user }],
    ...rest,
  });
}

async function read(text: string, files: Readonly<Record<string, string>> = {}, context?: string) {
  using directory = temporaryDirectory();
  const path = join(directory.path, "config");
  writeFileSync(path, text);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory.path, name), content);
  const credentials = await kubeconfigCredentials(path, context === undefined ? {} : { context });
  return await credentials.current();
}

test("the current context names server, CA, certificate and key, inside the file or beside it", async () => {
  const inside = await read(
    config({
      cluster: { "certificate-authority-data": base64("CA"), "tls-server-name": "kubernetes" },
      user: { "client-certificate-data": base64("CERT"), "client-key-data": base64("KEY") },
    }),
  );
  assert.equal(inside.server.href, "https://10.0.0.1:6443/");
  assert.deepEqual(inside.tls, { ca: "CA", cert: "CERT", key: "KEY", serverName: "kubernetes" });
  const beside = await read(
    config({
      cluster: { "certificate-authority": "ca.pem" },
      user: { "client-certificate": "c.pem", "client-key": "k.pem", tokenFile: "token", token: "inside" },
    }),
    { "ca.pem": "CA", "c.pem": "CERT", "k.pem": "KEY", token: "TOKEN\n" },
  );
  assert.deepEqual(beside.tls, { ca: "CA", cert: "CERT", key: "KEY" });
  assert.equal(beside.token, "TOKEN");
  assert.equal((await read(config({ user: { token: "inside" } }), {}, "there")).token, "inside");
});

test("what would run a program, skip verification, or leave doubts is refused in one sentence", async () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    [config({ user: { exec: { command: "aws" } } }), /user ada runs a program for its credentials/],
    [config({ user: { "auth-provider": { name: "gcp" } } }), /auth-provider/],
    [config({ user: { username: "ada", password: "secret" } }), /has a password/],
    [config({ user: { as: "root" } }), /impersonates/],
    [config({ cluster: { "insecure-skip-tls-verify": true } }), /cluster east does not verify/],
    [config({ cluster: { "proxy-url": "http://proxy" } }), /proxy/],
    [config({ cluster: { server: "http://10.0.0.1" } }), /not https/],
    [config({ cluster: { server: "nonsense" } }), /Invalid URL/],
    [config({ rest: { "current-context": "" } }), /no current-context/],
    [config({ rest: { "current-context": "away" } }), /contexts has no away/],
    [config({ rest: { users: [] } }), /users has no ada/],
    ["current-context: [", /config: /],
    ["", /no current-context/],
  ];
  for (const [text, message] of refused) await assert.rejects(read(text), { code: "config", message });
  assert.equal((await read(config({ cluster: { "insecure-skip-tls-verify": false } }))).server.port, "6443");
});

test("a file that can't be read, and half a key pair, are refused at the start", async () => {
  await assert.rejects(kubeconfigCredentials("/nowhere/config"), { code: "config" });
  await assert.rejects(read(config({ user: { tokenFile: "missing" } })), { code: "unavailable" });
  await assert.rejects(read(config({ user: { "client-certificate-data": base64("CERT") } })), { code: "config" });
});

test("an error of the parser shows nothing of the file", async () => {
  const secret = "c2VjcmV0LWtleQ==";
  const error: unknown = await read(`users:\n  - {name: ada, user: {client-key-data: ${secret}}\n`).catch(
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof Refusal && !error.message.includes(secret));
});

test("a pod's token and CA are looked at again as they rotate, and bad files change nothing", async () => {
  let valid = "first";
  await using api = await startMemoryApi({ token: () => valid });
  using directory = temporaryDirectory();
  const write = (name: string, text: string) => writeFileSync(join(directory.path, name), text);
  write("ca.crt", api.access.tls.ca ?? "");
  let at = 0;
  const { hostname: host, port } = api.access.server;
  const credentials = inClusterCredentials({ host, port, directory: directory.path }, () => at);
  await assert.rejects(credentials.current(), { code: "unavailable" });
  write("token", "first\n");
  using client = openClient({ credentials });
  const get = async () => await client.call({ verb: "GET", path: "/api/v1/namespaces/default" });
  await get();
  write("token", "second");
  at += 2_000;
  await get();
  valid = "second";
  // Not looked at yet, but the server says no.
  await get();
  assert.equal((await credentials.current()).token, "second");
  write("token", "");
  at += 60_000;
  assert.equal((await credentials.current()).token, "second");
  write("token", "third");
  at += 60_000;
  assert.equal((await credentials.current()).token, "third");
});

test("an IPv6 API server is an address in brackets", async () => {
  using directory = temporaryDirectory();
  writeFileSync(join(directory.path, "token"), "x");
  writeFileSync(join(directory.path, "ca.crt"), "-----BEGIN CERTIFICATE-----");
  const credentials = inClusterCredentials({ host: "fd00::1", port: "443", directory: directory.path });
  assert.equal((await credentials.current()).server.href, "https://[fd00::1]/");
});
