import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { Refusal } from "../../src/errors.ts";
import { toHostPort } from "../../src/ops/address.ts";
import { readAgentConfig, readIssuerConfig } from "../../src/ops/config.ts";
import { temporaryDirectory } from "../contract/directory.ts";

const agent = `hub: hub.example
cluster: east
issuers: [issuer.example:15443]
hubRoots: hub-root.pem
tokenFile: token
tokens: { issuer: "https://kubernetes.default.svc" }
`;

async function read(kind: "issuer" | "agent", text: string): Promise<unknown> {
  using directory = temporaryDirectory();
  const file = join(directory.path, `${kind}.yaml`);
  writeFileSync(file, text);
  return await (kind === "issuer" ? readIssuerConfig(file) : readAgentConfig(file));
}

test("what a file leaves out is the default, and its paths are relative to it", async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "issuer.yaml");
  writeFileSync(file, "hub: hub.example\nkeys: secret/keys\n");
  const config = await readIssuerConfig(file);
  assert.equal(config.keys, join(directory.path, "secret/keys"));
  assert.equal(config.database, join(directory.path, "espalier.db"));
  assert.equal(config.passphraseFile, undefined);
  writeFileSync(file, "hub: hub.example\ncustody: { sealed: { keyFile: sealing.key } }\n");
  const sealed = await readIssuerConfig(file);
  assert.equal(sealed.custody.sealed?.keyFile, join(directory.path, "sealing.key"));
  assert.equal(config.listen, "0.0.0.0:15443");
});

for (const [title, kind, text, rule] of [
  ["an unknown key", "issuer", "hub: h\nlisten_: 1\n", /listen_/],
  ["an unknown key inside", "agent", agent.replace("issuer:", "jwks: x, issuer:"), /tokens.*jwks/],
  ["a missing key", "issuer", "listen: 127.0.0.1:1\n", /hub/],
  ["a wrong type", "issuer", "hub: [h]\n", /hub: /],
  ["a number out of range", "agent", `${agent}deadlineMs: 60001\n`, /deadlineMs/],
  ["an address without a port", "issuer", "hub: h\nlisten: localhost\n", /listen: expected host:port/],
  ["a key twice", "issuer", "hub: h\nhub: i\n", /unique/],
  ["an alias bomb", "issuer", "hub: &a [x]\nserverNames: [*a, *a, *a]\n", /./],
  ["a merge", "issuer", "x: &x { hub: h }\n<<: *x\n", /./],
  ["no document", "issuer", "", /./],
  [
    "keys in two places",
    "issuer",
    "hub: h\ncustody: { sealed: { keyFile: a }, pkcs11: { module: a, token: b, pinFile: c } }\n",
    /custody: expected one of sealed and pkcs11/,
  ],
  ["a custody of another kind", "issuer", "hub: h\ncustody: { vault: {} }\n", /custody\.vault: there is no such key/],
  [
    "a token without a PIN's file",
    "issuer",
    "hub: h\ncustody: { pkcs11: { module: a, token: b } }\n",
    /custody\.pkcs11\.pinFile: is missing/,
  ],
  [
    "a PIN in the file",
    "issuer",
    "hub: h\ncustody: { pkcs11: { module: a, token: b, pinFile: c, pin: d } }\n",
    /custody\.pkcs11\.pin: there is no such key/,
  ],
  [
    "a passphrase where there are no key files",
    "issuer",
    "hub: h\npassphraseFile: a\ncustody: { sealed: { keyFile: b } }\n",
    /passphraseFile: it encrypts key files/,
  ],
  ["broken YAML", "issuer", "hub: [\n", /./],
  ["no issuer", "agent", agent.replace("[issuer.example:15443]", "[]"), /issuers/],
  ["a hash in upper case", "agent", `${agent}hubRootSha256: ${"A".repeat(64)}\n`, /hubRootSha256/],
  ["no audience", "agent", agent.replace("issuer:", "audiences: [], issuer:"), /audiences/],
] as const) {
  test(`${title} refuses to start, in one sentence`, async () => {
    await assert.rejects(read(kind, text), (error) => {
      assert.ok(error instanceof Refusal && error.code === "config", String(error));
      assert.match(error.message, rule);
      return true;
    });
  });
}

test("any text is a configuration or a refusal", async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "issuer.yaml");
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.json(), fc.string({ unit: "binary" })), async (text) => {
      writeFileSync(file, text);
      await readIssuerConfig(file).catch((error: unknown) => assert.ok(error instanceof Refusal, String(error)));
    }),
    { numRuns: 150 },
  );
});

test("an address is a host and a port, and nothing else", () => {
  assert.deepEqual(toHostPort("localhost:1"), { host: "localhost", port: 1 });
  assert.deepEqual(toHostPort("[::1]:65535"), { host: "::1", port: 65_535 });
  for (const wrong of ["", ":", "a", "a:", ":1", "a:65536", "a:1 ", "::1:80", "[::1]", "a b:1", "a:-1", "a:1:2"])
    assert.throws(() => toHostPort(wrong), { code: "config" }, wrong);
  fc.assert(
    fc.property(fc.domain(), fc.integer({ min: 0, max: 65_535 }), (host, port) => {
      assert.deepEqual(toHostPort(`${host}:${port}`), { host, port });
    }),
    { numRuns: 100 },
  );
});
