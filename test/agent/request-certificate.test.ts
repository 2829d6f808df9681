import assert from "node:assert/strict";
import { before, test } from "node:test";
import { openRequestCheck } from "../../src/agent/request-certificate.ts";
import { readNamedCsr } from "../../src/pki/named-csr.ts";
import { toCsr } from "../../src/pki/request.ts";
import { csrOf } from "../support/named-csr.ts";
import {
  keys,
  type LeafOverrides,
  later,
  makeAuthority,
  makeLeaf,
  now,
  type TestAuthority,
  uri,
} from "../support/pki.ts";
import { newKey } from "../support/workload.ts";

let own: TestAuthority;
before(async () => {
  own = await makeAuthority("P-256");
});

const key = newKey();
const workload = readNamedCsr(toCsr({ ...key, uri, subject: "istio" }));
const asked = {
  csr: workload,
  usages: ["client auth", "server auth"],
  validitySeconds: 600,
  asker: { isCa: false },
};

/** What the hub answers is this leaf, for the key that asked. */
async function check(leaf: LeafOverrides, expected = asked) {
  const chain = { authority: "a", bundleVersion: "1", intermediates: [own.certificate], bundle: [own.root] };
  const signed = { leaf: await makeLeaf(own, { spki: expected.csr.spki, ...leaf }), chain };
  return openRequestCheck({ now: () => now, onFault: () => undefined })(signed, expected);
}

test("a workload's certificate has its profile's usages, and its tenant's duration", async () => {
  const { certificate, ca } = await check({ notAfter: later(7200) });
  assert.equal(certificate.match(/BEGIN/g)?.length, 2);
  assert.equal(ca.match(/BEGIN/g)?.length, 1);
});

const refused: readonly (readonly [what: string, leaf: LeafOverrides, csr?: typeof workload])[] = [
  ["another workload's", { names: { uri: `${uri}-other`, dns: [] } }],
  ["an agent's, for the same name", { profile: "agent", names: { uri, dns: [] } }],
  ["one that serves", { profile: "serving" }],
  ["one for another key", { spki: keys("P-256").spki }],
  ["a workload's, where another name was asked for", {}, readNamedCsr(csrOf("DNS:a.example"))],
  ["a workload's, where a name stands beside", {}, readNamedCsr(csrOf(`URI:${uri},DNS:a.example`))],
  ["a workload's, where a subject was asked for", {}, readNamedCsr(csrOf(`URI:${uri}`, { subject: "/CN=a" }))],
];

for (const [what, leaf, csr = workload] of refused)
  test(`what the hub answers is not handed on: ${what}`, async () => {
    await assert.rejects(check(leaf, { ...asked, csr }), { name: "Refusal", code: "unavailable" });
  });
