import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { toPem } from "../../src/pki/pem.ts";
import { startKeySet } from "../../src/token/jwks-source.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { ago } from "../support/clock.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { eventually } from "../support/patience.ts";
import { makeAuthority, makeLeaf, makeSigner } from "../support/pki.ts";
import { newKey } from "../support/workload.ts";

const { jwks } = createTokenIssuer("x", generateKeyPairSync("ec", { namedCurve: "P-256" }));
const other = createTokenIssuer("x", generateKeyPairSync("ec", { namedCurve: "P-256" })).jwks;
const key = newKey();
const authority = await makeAuthority("P-256", {
  signer: makeSigner("P-256"),
  notBefore: ago(7200),
  notAfter: ago(-864_000),
});
const leaf = await makeLeaf(authority, {
  profile: "serving",
  names: { dns: ["localhost"] },
  spki: key.spki,
  notBefore: ago(120),
  notAfter: ago(-3600),
});
const caPem = toPem("CERTIFICATE", authority.root);

async function startSite(listener: RequestListener): Promise<AsyncDisposable & { readonly url: string }> {
  const cert = toPem("CERTIFICATE", leaf) + toPem("CERTIFICATE", authority.certificate);
  const server = createServer({ cert, key: key.keyPem }, listener);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === "object");
  return {
    url: `https://localhost:${bound.port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

test("keys come from the issuer's own document, and only from one that names it", async (t) => {
  let discovery: (url: string) => unknown = (url) => ({ issuer: url, jwks_uri: `${url}/keys` });
  let page = JSON.stringify(jwks);
  let status = 200;
  await using site = await startSite((request, response) => {
    const { url } = site;
    response.statusCode = status;
    if (status === 302) response.setHeader("location", `${url}/keys`);
    response.end(request.url === "/keys" ? page : JSON.stringify(discovery(url)));
  });
  const load = async (): Promise<{ readonly keys: number; readonly failures: readonly unknown[] }> => {
    const failures: unknown[] = [];
    const source = { kind: "issuer", url: site.url, caPem } as const;
    await using set = await startKeySet(source, { refreshMs: 60_000, onFailure: (error) => void failures.push(error) });
    return { keys: set.keys().length, failures };
  };
  assert.deepEqual(await load(), { keys: 1, failures: [] });

  const refused = async (title: string): Promise<void> =>
    await t.test(`${title} gives no keys`, async () => {
      const { keys, failures } = await load();
      assert.deepEqual([keys, failures.length], [0, 1]);
    });
  discovery = () => ({ issuer: "https://evil.example", jwks_uri: `${site.url}/keys` });
  await refused("a document of another issuer");
  discovery = (url) => ({ issuer: url, jwks_uri: url.replace("https", "http") });
  await refused("an address without TLS");
  discovery = (url) => ({ issuer: url });
  await refused("a document without an address");
  discovery = (url) => ({ issuer: url, jwks_uri: `${url}/keys` });
  status = 302;
  await refused("a redirect");
  status = 500;
  await refused("a failing server");
  status = 200;
  page = "x".repeat(256 * 1024 + 1);
  await refused("a document without an end");
  page = "{";
  await refused("a document that is none");
  page = '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}';
  await refused("a shared secret");

  await t.test("a certificate nobody knows gives no keys", async () => {
    const failures: unknown[] = [];
    const source = { kind: "url", url: `${site.url}/keys` } as const;
    await using set = await startKeySet(source, { refreshMs: 60_000, onFailure: (error) => void failures.push(error) });
    assert.deepEqual([set.keys().length, failures.length], [0, 1]);
  });
});

test("keys that cannot be had any more, or are wrong, leave the last good ones in force", async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "jwks.json");
  writeFileSync(path, JSON.stringify(jwks));
  let failures = 0;
  let changes = 0;
  await using set = await startKeySet(
    { kind: "file", path },
    { refreshMs: 5, onFailure: () => void (failures += 1), onChange: () => void (changes += 1) },
  );
  const kid = (): string | undefined => set.keys()[0]?.kid;
  const first = kid();
  writeFileSync(path, "{");
  await eventually(() => assert.ok(failures > 1));
  assert.equal(kid(), first);
  writeFileSync(path, JSON.stringify(other));
  await eventually(() => assert.notEqual(kid(), first));
  assert.equal(set.keys().length, 1);
  assert.ok(changes >= 1);
});
