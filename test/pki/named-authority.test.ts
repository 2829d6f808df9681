import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { encodeName } from "../../src/pki/authority.ts";
import { readCertificate, readTbs } from "../../src/pki/certificate.ts";
import { verifyLeaf } from "../../src/pki/chain.ts";
import { toSequence } from "../../src/pki/encode.ts";
import type { GeneralName } from "../../src/pki/general-name.ts";
import { newSerialAt, toLeafTemplate } from "../../src/pki/leaf.ts";
import { constraintsOf, type NameScope } from "../../src/pki/name-constraints.ts";
import {
  lintNamedAuthorityTbs,
  type NamedAuthorityContent,
  type NamedAuthorityExpected,
  toNamedAuthorityTbs,
} from "../../src/pki/named-authority.ts";
import { namedSecondsCap, toNamedTbs } from "../../src/pki/named-leaf.ts";
import { toPem } from "../../src/pki/pem.ts";
import {
  authorities,
  keys,
  later,
  makeAuthority,
  makeSigner,
  now,
  quickAlgorithms,
  signTbs,
  type TestAuthority,
} from "../support/pki.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";

const subject = encodeName("till");
const scope: NameScope = { trustDomain: "shop.example", dnsNames: ["shop.example", "till.svc"] };
const bare: NameScope = { trustDomain: "shop.example", dnsNames: [] };

function content(overrides: Partial<NamedAuthorityContent> = {}): NamedAuthorityContent {
  return {
    serial: newSerialAt(randomBytes, now),
    notBefore: later(-120),
    notAfter: later(86_280),
    spki: keys("P-256").spki,
    subject,
    scope,
    ...overrides,
  };
}

const above = await makeAuthority("P-256", { pathLength: 1 });
const template = toLeafTemplate(above, "workload");
const expected: NamedAuthorityExpected = { subject, scope, spki: keys("P-256").spki, authority: template.authority };
const signer = makeSigner("P-256", keys("P-256"));

/** A CA certificate, and who signs under it as its holder would. */
async function held(one: NameScope = scope): Promise<TestAuthority> {
  const tbs = toNamedAuthorityTbs(template, content({ scope: one }));
  lintNamedAuthorityTbs(tbs, { ...expected, scope: one });
  return { ...above, certificate: await signTbs(above, tbs), signer };
}

for (const algorithm of quickAlgorithms)
  test(`a CA certificate under a ${algorithm} authority is one to OpenSSL and Node, and to our own verifier`, async () => {
    const ca = await makeAuthority(algorithm, { pathLength: 1 });
    const own = toLeafTemplate(ca, "workload");
    const tbs = toNamedAuthorityTbs(own, content());
    lintNamedAuthorityTbs(tbs, { ...expected, authority: own.authority });
    const der = await signTbs(ca, tbs);
    const judge = new X509Certificate(der);
    assert.equal(judge.ca, true);
    assert.equal(judge.subject, "CN=till");
    assert.equal(judge.subjectAltName, undefined);
    assert.equal(judge.keyUsage, undefined);
    const read = readCertificate(der);
    assert.equal(read.pathLength, 0);
    assert.deepEqual(read.keyUsage, ["keyCertSign", "cRLSign"]);
    assert.deepEqual(read.nameConstraints, constraintsOf(scope));
    const path = { leaf: der, intermediates: [ca.certificate], roots: [ca.root], at: now, key: keys("P-256").spki };
    verifyLeaf({ ...path, authority: true });
    assert.throws(() => verifyLeaf({ ...path, handshakes: false }), /may sign certificates/);
    if (!hasOpenssl) return;
    const text = openssl(["x509", "-in", "{ca}", "-noout", "-text"], { ca: toPem("CERTIFICATE", der) });
    assert.match(text, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    assert.match(text, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    assert.match(
      text,
      /Name Constraints: critical\s+Permitted:\s+URI:shop\.example\s+email:invalid\s+DNS:shop\.example/,
    );
    assert.doesNotMatch(text, /Extended Key Usage/);
  });

test("our own verifier hands on no other CA, and nothing under one", async () => {
  const ca = await held();
  const path = { intermediates: [above.certificate], roots: [above.root], at: now, authority: true };
  const last = await authorities("P-256");
  assert.throws(() => verifyLeaf({ ...path, leaf: above.certificate, intermediates: [] }), /path length 0/);
  assert.throws(
    () => verifyLeaf({ ...path, leaf: last.certificate, intermediates: [], roots: [last.root] }),
    /name constraints/,
  );
  const leaf = await leafUnder(ca, [{ kind: "dns", value: "shop.example" }]);
  assert.throws(
    () => verifyLeaf({ ...path, leaf, intermediates: [ca.certificate, above.certificate], authority: false }),
    /has name constraints/,
  );
  // One that signs leaves may not stand above a CA.
  const wrong = toNamedAuthorityTbs(toLeafTemplate(last, "workload"), content());
  const under = { ...path, intermediates: [last.certificate], roots: [last.root] };
  const signed = await signTbs(last, wrong);
  assert.throws(() => verifyLeaf({ ...under, leaf: signed }), /longer than a path length/);
});

async function leafUnder(ca: TestAuthority, names: readonly GeneralName[]): Promise<Uint8Array> {
  const spki = keys("P-384").spki;
  const leaf = { serial: newSerialAt(randomBytes, now), notBefore: later(-120), notAfter: later(3480), spki };
  const usages = ["digital signature", "server auth", "client auth"] as const;
  return await signTbs(
    ca,
    toNamedTbs(toLeafTemplate(ca, "workload"), { ...leaf, subject: toSequence(), names, usages }),
  );
}

const below: readonly (readonly [what: string, NameScope, GeneralName, says: RegExp | undefined])[] = [
  ["an identity of the tenant", scope, { kind: "uri", value: "spiffe://shop.example/ns/a/sa/b" }, undefined],
  ["another trust domain", scope, { kind: "uri", value: "spiffe://pay.example/ns/a/sa/b" }, /permitted subtree/],
  ["one above it", scope, { kind: "uri", value: "spiffe://example/ns/a/sa/b" }, /permitted subtree/],
  ["one below it", scope, { kind: "uri", value: "spiffe://x.shop.example/ns/a/sa/b" }, /permitted subtree/],
  ["a DNS name that is given", scope, { kind: "dns", value: "shop.example" }, undefined],
  ["one below it", scope, { kind: "dns", value: "a.till.svc" }, undefined],
  ["another DNS name", scope, { kind: "dns", value: "pay.example" }, /permitted subtree/],
  ["one that only ends as it does", scope, { kind: "dns", value: "myshop.example" }, /permitted subtree/],
  ["any DNS name where none is given", bare, { kind: "dns", value: "shop.example" }, /excluded subtree/],
  ["an IPv4 address", scope, { kind: "ip", value: "10.0.0.1" }, /excluded subtree/],
  ["an IPv6 address", scope, { kind: "ip", value: "2001:db8:0:0:0:0:0:1" }, /excluded subtree/],
  ["an e-mail address", scope, { kind: "email", value: "ada@shop.example" }, /permitted subtree/],
];

const verifyArgs = "verify -x509_strict -attime {at} -CAfile {root} -untrusted {between} {leaf}";

/** `cas` from the leaf's issuer upwards, without the one above them all. */
function judgeByOpenssl(cas: readonly TestAuthority[], leaf: Uint8Array): void {
  const pem = (der: Uint8Array): string => toPem("CERTIFICATE", der);
  const between = [...cas, above].map(({ certificate }) => pem(certificate)).join("");
  const at = String(Math.floor(now.getTime() / 1000));
  openssl(verifyArgs.replace("{at}", at).split(" "), { leaf: pem(leaf), root: pem(above.root), between });
}

for (const [what, one, name, says] of below)
  test(`what its holder signs for ${what}, ${name.value}, is ${says === undefined ? "good" : "bad"} to OpenSSL`, {
    skip: !hasOpenssl,
  }, async () => {
    const ca = await held(one);
    const leaf = await leafUnder(ca, [name]);
    if (says === undefined) judgeByOpenssl([ca], leaf);
    else assert.throws(() => judgeByOpenssl([ca], leaf), says);
  });

test("a CA that its holder makes is bad to OpenSSL, whatever its names", { skip: !hasOpenssl }, async () => {
  const ca = await held();
  const tbs = toNamedAuthorityTbs(toLeafTemplate(ca, "workload"), content({ subject: encodeName("more") }));
  const more = { ...ca, certificate: await signTbs(ca, tbs) };
  const leaf = await leafUnder(more, [{ kind: "dns", value: "shop.example" }]);
  assert.throws(() => judgeByOpenssl([more, ca], leaf), /path length constraint exceeded/);
});

const broken: readonly (readonly [
  lint: string,
  what: string,
  Partial<NamedAuthorityContent>,
  Partial<NamedAuthorityExpected>?,
])[] = [
  ["validity-order", "no time at all", { notAfter: later(-121) }],
  ["validity-authority", "one that outlives its authority", { notAfter: later(366 * 86_400) }],
  ["validity-cap", "more than 398 days", { notBefore: later(86_279 - namedSecondsCap) }],
  ["subject-exact", "another subject", { subject: encodeName("tilt") }],
  ["subject-exact", "no subject", { subject: toSequence() }, { subject: toSequence() }],
  [
    "subject-other",
    "the subject of the authority above",
    { subject: template.authority.subject },
    { subject: template.authority.subject },
  ],
  ["name-constraints", "another trust domain", { scope: { ...scope, trustDomain: "pay.example" } }],
  ["name-constraints", "another DNS name", { scope: { ...scope, dnsNames: ["shop.example", "pay.example"] } }],
  ["name-constraints", "a DNS name more", { scope: { ...scope, dnsNames: [...scope.dnsNames, "pay.example"] } }],
  ["name-constraints", "all DNS names", { scope: { ...scope, dnsNames: [""] } }],
  ["key-exact", "another key", { spki: keys("P-384").spki }],
  ["serial-length", "a short serial", { serial: Uint8Array.of(1, 2) }],
];

for (const [lint, what, made, wanted] of broken)
  test(`${lint}: ${what} is not signed`, () => {
    assert.throws(
      () => lintNamedAuthorityTbs(toNamedAuthorityTbs(template, content(made)), { ...expected, ...wanted }),
      new RegExp(`lint ${lint}:`),
    );
  });

test("path-length: no CA is signed by what signs leaves", async () => {
  const own = toLeafTemplate(await authorities("P-256"), "workload");
  const tbs = toNamedAuthorityTbs(own, content());
  assert.throws(() => lintNamedAuthorityTbs(tbs, { ...expected, authority: own.authority }), /lint path-length:/);
});

test("a leaf's bytes are no CA's, whatever they are taken for", () => {
  const usages = ["digital signature"] as const;
  const leaf = toNamedTbs(template, { ...content(), names: [], usages });
  assert.equal(readTbs(leaf).isCa, false);
  assert.throws(() => lintNamedAuthorityTbs(leaf, expected), /lint basic-constraints:/);
});
