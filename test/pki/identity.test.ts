import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Refusal } from "../../src/errors.ts";
import { agentId, clusterOf, isTrustDomain, readSpiffeId, workloadId, workloadOf } from "../../src/identity.ts";

const read = (text: string): string => readSpiffeId(Buffer.from(text, "latin1"));
const malformed = { name: "Refusal", code: "malformed" };

test("an identity of Istio's shape is read as it stands", () => {
  assert.equal(read("spiffe://cluster.local/ns/default/sa/sleep"), "spiffe://cluster.local/ns/default/sa/sleep");
});

for (const [rule, text] of [
  ["another scheme", "https://td/ns/a/sa/b"],
  ["a scheme in capitals", "SPIFFE://td/ns/a/sa/b"],
  ["no trust domain", "spiffe:///ns/a/sa/b"],
  ["no path", "spiffe://td"],
  ["a root path", "spiffe://td/"],
  ["a slash at the end", "spiffe://td/ns/a/"],
  ["an empty segment", "spiffe://td//sa"],
  ["a segment .", "spiffe://td/./a"],
  ["a segment ..", "spiffe://td/../a"],
  ["capitals in the trust domain", "spiffe://TD/a"],
  ["a port", "spiffe://td:80/a"],
  ["user info", "spiffe://me@td/a"],
  ["a comma, which Istio takes for two names", "spiffe://td,evil/ns/a/sa/b"],
  ["a comma in the path", "spiffe://td/ns/a/sa/b,evil.example"],
  ["percent-encoding", "spiffe://td/%61"],
  ["a query", "spiffe://td/a?b"],
  ["a fragment", "spiffe://td/a#b"],
  ["a NUL", "spiffe://td/a\0b"],
  ["a new line at the end", "spiffe://td/a\n"],
  ["bytes beyond ASCII", "spiffe://td/\xe9"],
  ["a trust domain of 256 bytes", `spiffe://${"a".repeat(256)}/a`],
] as const) {
  test(`an identity with ${rule} is refused`, () => {
    assert.throws(() => read(text), malformed);
  });
}

test("an identity may have 2048 bytes and no more", () => {
  const longest = `spiffe://td/${"a".repeat(2048 - 12)}`;
  assert.equal(read(longest), longest);
  assert.throws(() => read(`${longest}a`), malformed);
});

test("a refusal does not quote the identity's bytes", () => {
  assert.throws(
    () => read("spiffe://td/sec\x1bret"),
    (error) => error instanceof Refusal && !error.message.includes("sec"),
  );
});

test("what is read is printable ASCII and is exactly the bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (tail) => {
      const bytes = Buffer.concat([Buffer.from("spiffe://td/"), tail]);
      let id: string;
      try {
        id = readSpiffeId(bytes);
      } catch (error) {
        assert.ok(error instanceof Refusal);
        return;
      }
      assert.match(id, /^spiffe:\/\/[\x21-\x7e]+$/);
      assert.deepEqual(Buffer.from(id, "latin1"), bytes);
    }),
  );
});

test("a workload's identity and its name are each other's inverse", () => {
  const name = { trustDomain: "td.example", namespace: "default", serviceAccount: "sleep" };
  assert.deepEqual(workloadOf(workloadId(name)), name);
  assert.equal(workloadOf(readSpiffeId(Buffer.from("spiffe://td/ns/a/sa/b/c"))), undefined);
  assert.equal(workloadOf(agentId("hub", "east")), undefined);
});

test("a workload's name cannot smuggle a segment in", () => {
  assert.throws(() => workloadId({ trustDomain: "td", namespace: "a,b", serviceAccount: "c" }), malformed);
  assert.throws(() => workloadId({ trustDomain: "td", namespace: "", serviceAccount: "c" }), malformed);
  const id = workloadId({ trustDomain: "td", namespace: "a/sa/b", serviceAccount: "c" });
  assert.equal(workloadOf(id), undefined);
});

test("only an agent of this hub names a cluster", () => {
  assert.equal(clusterOf("hub", agentId("hub", "east")), "east");
  assert.equal(clusterOf("hub", agentId("other", "east")), undefined);
  assert.equal(clusterOf("hub", readSpiffeId(Buffer.from("spiffe://hub/cluster/a/b"))), undefined);
});

test("a trust domain is 1 to 255 of its own characters", () => {
  assert.ok(isTrustDomain("cluster.local"));
  assert.ok(isTrustDomain("a".repeat(255)));
  for (const text of ["", "A", "a b", "a/b", "a:1", "a".repeat(256), "a\n"])
    assert.equal(isTrustDomain(text), false, text);
});
