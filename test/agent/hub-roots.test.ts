import assert from "node:assert/strict";
import { test } from "node:test";
import { assertHubRoots, hashesOf, isByFirst, openHubRoots } from "../../src/agent/hub-roots.ts";
import { certificateLabel, toPem } from "../../src/pki/pem.ts";
import { ago, daySeconds } from "../support/clock.ts";
import { makeAuthority, makeLeaf } from "../support/pki.ts";
import { newKey } from "../support/workload.ts";

const life = { notBefore: ago(7200), notAfter: ago(-daySeconds) };
const [old, next, other] = await Promise.all([0, 1, 2].map(async () => await makeAuthority("P-256", life)));
assert.ok(old && next && other);
const pem = (...roots: readonly { readonly certificate: Uint8Array }[]): string =>
  roots.map(({ certificate }) => toPem(certificateLabel, certificate)).join("");

test("a hub root is followed through a rotation, one step after the other", () => {
  const roots = openHubRoots(pem(old));
  assert.equal(roots.pem(), pem(old));
  assert.equal(roots.hear([]), undefined, "an issuer of before says nothing");
  assert.equal(roots.take(undefined), false);
  for (const [heard, isConfigured] of [
    [[old, next], true],
    [[next, old], false],
    [[next], false],
  ] as const) {
    assert.equal(roots.take(roots.hear(heard.map(({ certificate }) => certificate))), true);
    assert.deepEqual([roots.pem(), roots.isConfigured()], [pem(...heard), isConfigured]);
  }
  assert.equal(roots.take(roots.hear([next.certificate])), false, "that was so already");
});

test("whatever an issuer says, the agent goes on knowing issuers by one that it knew them by", async () => {
  const roots = openHubRoots(pem(old));
  assert.throws(() => roots.hear([other.certificate]), /none of the hub roots/);
  const leaf = await makeLeaf(old, {
    profile: "issuer",
    names: { dns: ["issuer.hub.example"] },
    spki: newKey().spki,
    notBefore: ago(60),
    notAfter: ago(-3600),
  });
  assert.throws(() => roots.hear([old.certificate, leaf]), /no CA's certificate/);
  assert.throws(() => roots.hear([old.certificate, new Uint8Array(4)]));
  assert.equal(roots.pem(), pem(old));
});

test("what was kept is taken up at the next start, where the configuration is as it was or names one of them", () => {
  const kept = { pem: pem(next), from: hashesOf(pem(old)) };
  for (const [configured, inForce] of [
    // Nobody has touched the configuration since.
    [[old], [next]],
    // Somebody has followed the rotation.
    [[next], [next]],
    [[old, next], [next]],
    // Another hub's.
    [[other], [other]],
  ] as const) {
    const roots = openHubRoots(pem(...configured));
    roots.take(kept);
    assert.equal(roots.pem(), pem(...inForce));
  }
});

test("every root of the configuration is one that was told", () => {
  const [one = "", two = ""] = hashesOf(pem(old, next));
  assertHubRoots(pem(old), undefined);
  assertHubRoots(pem(old), one);
  assertHubRoots(pem(old, next), `${two} ${one}`);
  assertHubRoots(pem(next), `${one} ${two}`);
  for (const [roots, told] of [
    [pem(old, next), one],
    [pem(next), one],
  ] as const)
    assert.throws(() => assertHubRoots(roots, told), { code: "config", message: /^hubRootSha256: / });
});

test("by which root a certificate is, is told by its signature", async () => {
  const names = { uri: "spiffe://hub.example/cluster/east", dns: [] };
  const times = { notBefore: ago(60), notAfter: ago(-3600) };
  const leaf = await makeLeaf(old, { profile: "agent", names, spki: newKey().spki, ...times });
  const chainPem = toPem(certificateLabel, leaf);
  assert.deepEqual([isByFirst(chainPem, pem(old, next)), isByFirst(chainPem, pem(next, old))], [true, false]);
});
