import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, test } from "node:test";
import { type Expected, openRequestCheck } from "../../src/agent/request-certificate.ts";
import { Refusal } from "../../src/errors.ts";
import { encodeName } from "../../src/pki/authority.ts";
import { newSerial, toLeafTemplate } from "../../src/pki/leaf.ts";
import { toNamedAuthorityTbs } from "../../src/pki/named-authority.ts";
import { readNamedCsr } from "../../src/pki/named-csr.ts";
import { type NamedContent, toNamedTbs } from "../../src/pki/named-leaf.ts";
import { toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import { csrOf } from "../support/named-csr.ts";
import {
  keys,
  type LeafOverrides,
  later,
  makeAuthority,
  makeLeaf,
  now,
  signTbs,
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
  return answered(await makeLeaf(own, { spki: expected.csr.spki, ...leaf }), expected);
}

function answered(leaf: Uint8Array, expected: Expected, { by = own, bundle = [by.root] }: Answer = {}) {
  const chain = { authority: "a", bundleVersion: "1", intermediates: [by.certificate], bundle };
  return openRequestCheck({ now: () => now, onFault: () => undefined })({ leaf, chain }, expected);
}

interface Answer {
  readonly by?: TestAuthority;
  readonly bundle?: readonly Uint8Array[];
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

const named: Expected = {
  ...asked,
  usages: ["server auth", "client auth"],
  csr: readNamedCsr(csrOf("DNS:a.example", { subject: "/CN=a" })),
};

async function makeNamed(overrides: Partial<NamedContent> = {}): Promise<Uint8Array> {
  const { spki, names, subject } = named.csr;
  const times = { serial: newSerial(randomBytes), notBefore: now, notAfter: later(600) };
  const usages = ["server auth", "client auth"] as const;
  const content = { ...times, spki, names, subject: subject.der, usages, ...overrides };
  return await signTbs(own, toNamedTbs(toLeafTemplate(own, "workload"), content));
}

test("of a bundle's several roots, the one that stands above the chain is handed on", async () => {
  const others = [await makeAuthority("P-256"), await makeAuthority("P-256")].map(({ root }) => root);
  const leaf = await makeNamed();
  for (const bundle of [[own.root], [own.root, ...others], [...others, own.root], others.toSpliced(1, 0, own.root)])
    assert.equal(answered(leaf, named, { bundle }).ca, toPem("CERTIFICATE", own.root));
  assert.throws(() => answered(leaf, named, { bundle: others }), { code: "unavailable" });
});

const otherwise: readonly (readonly [what: string, leaf: Partial<NamedContent>, says: RegExp])[] = [
  ["another usage", { usages: ["server auth", "code signing"] }, /other usages/],
  ["a usage more", { usages: ["server auth", "client auth", "code signing"] }, /other usages/],
  ["a usage less", { usages: ["server auth"] }, /other usages/],
  ["a key usage that nobody has asked for", { usages: ["signing", "server auth", "client auth"] }, /other usages/],
  ["a second more than was asked for", { notAfter: later(601) }, /longer than was asked/],
  ["another subject", { subject: encodeName("b") }, /another subject/],
  ["another name", { names: [{ kind: "dns", value: "b.example" }] }, /other names/],
];

for (const [what, content, says] of otherwise)
  test(`what the hub answers is not handed on: ${what}`, async () => {
    const leaf = await makeNamed(content);
    assert.throws(() => answered(leaf, named), isFault(says));
  });

test("a CA certificate is handed on to who asked for one, and to nobody else", async () => {
  const by = await makeAuthority("P-256", { pathLength: 1 });
  const csr = readNamedCsr(csrOf("DNS:a.example", { subject: "/CN=a" }));
  const expected = { ...named, csr: { ...csr, names: [] } };
  const times = { serial: newSerial(randomBytes), notBefore: now, notAfter: later(600) };
  const scope = { trustDomain: "shop.example", dnsNames: [] };
  const content = { ...times, spki: csr.spki, subject: csr.subject.der, scope };
  const ca = await signTbs(by, toNamedAuthorityTbs(toLeafTemplate(by, "workload"), content));
  const asAuthority = { ...expected, asker: { isCa: true } };
  assert.equal(answered(ca, asAuthority, { by }).ca, toPem("CERTIFICATE", by.root));
  assert.throws(() => answered(ca, expected, { by }), isFault(/may sign certificates/));
  const long = await signTbs(
    by,
    toNamedAuthorityTbs(toLeafTemplate(by, "workload"), { ...content, notAfter: later(601) }),
  );
  assert.throws(() => answered(long, asAuthority, { by }), isFault(/longer than was asked/));
  assert.throws(() => answered(ca, { ...asAuthority, csr }, { by }), isFault(/other names/));
});

test("who asked for a CA certificate is handed no leaf", async () => {
  const leaf = await makeNamed();
  assert.throws(() => answered(leaf, { ...named, asker: { isCa: true } }), isFault(/is no CA/));
});

/** The caller hears that it is the issuer's fault; what it was stands in the cause. */
function isFault(says: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof Refusal &&
    error.code === "unavailable" &&
    error.cause instanceof Error &&
    says.test(error.cause.message);
}
