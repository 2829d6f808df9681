import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { readCertificate, readTbs } from "../../src/pki/certificate.ts";
import { openDer } from "../../src/pki/der.ts";
import { fromHex, toSequence } from "../../src/pki/encode.ts";
import type { GeneralName } from "../../src/pki/general-name.ts";
import { newSerialAt, toLeafTemplate } from "../../src/pki/leaf.ts";
import {
  lintNamedTbs,
  type NamedContent,
  type NamedExpected,
  namedSecondsCap,
  namesOf,
  toNamedTbs,
} from "../../src/pki/named-leaf.ts";
import { type NamedUsage, namedUsages } from "../../src/pki/named-usage.ts";
import { toPem } from "../../src/pki/pem.ts";
import { readSubject } from "../../src/pki/subject.ts";
import { authorities, keys, later, now, quickAlgorithms, signTbs } from "../support/pki.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";

const names: readonly GeneralName[] = [
  { kind: "dns", value: "*.shop.example" },
  { kind: "ip", value: "10.0.0.1" },
  { kind: "ip", value: "2001:db8:0:0:0:0:0:1" },
  { kind: "email", value: "till@shop.example" },
  { kind: "uri", value: "https://shop.example/" },
];
const empty = toSequence();
/** CN=till */
const subject = fromHex("300f310d300b06035504030c0474696c6c");
const usages: readonly NamedUsage[] = ["digital signature", "decipher only", "server auth", "code signing"];

function content(overrides: Partial<NamedContent> = {}): NamedContent {
  return {
    serial: newSerialAt(randomBytes, now),
    notBefore: later(-120),
    notAfter: later(3480),
    spki: keys("P-256").spki,
    subject,
    names,
    usages,
    ...overrides,
  };
}

const authority = await authorities("P-256");
const template = toLeafTemplate(authority, "workload");
const expected: NamedExpected = { subject, names, usages, spki: keys("P-256").spki, authority: template.authority };

for (const algorithm of quickAlgorithms)
  test(`a leaf under a ${algorithm} authority is what was asked for, as OpenSSL and Node read it`, async () => {
    const ca = await authorities(algorithm);
    const own = toLeafTemplate(ca, "workload");
    const tbs = toNamedTbs(own, content());
    lintNamedTbs(tbs, { ...expected, authority: own.authority });
    const leaf = await signTbs(ca, tbs);
    const judge = new X509Certificate(leaf);
    assert.equal(judge.subject, "CN=till");
    assert.equal(
      judge.subjectAltName,
      "DNS:*.shop.example, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, email:till@shop.example, URI:https://shop.example/",
    );
    assert.deepEqual(judge.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.3"]);
    assert.equal(judge.ca, false);
    assert.ok(judge.verify(new X509Certificate(ca.certificate).publicKey));
    assert.deepEqual(namesOf(readCertificate(leaf)), names);
    if (!hasOpenssl) return;
    const pem = (der: Uint8Array): string => toPem("CERTIFICATE", der);
    const files = { leaf: pem(leaf), root: pem(ca.root), between: pem(ca.certificate) };
    const at = String(Math.floor(now.getTime() / 1000));
    openssl(["verify", "-x509_strict", "-attime", at, "-CAfile", "{root}", "-untrusted", "{between}", "{leaf}"], files);
    assert.match(
      openssl(["x509", "-in", "{leaf}", "-noout", "-ext", "keyUsage"], files),
      /critical\s+Digital Signature, Decipher Only/,
    );
  });

test("every usage by itself is written as it is read", () => {
  for (const usage of namedUsages) {
    const tbs = toNamedTbs(template, content({ usages: [usage] }));
    lintNamedTbs(tbs, { ...expected, usages: [usage] });
  }
});

test("names without a subject are critical, and a subject without names has none", () => {
  const bare = toNamedTbs(template, content({ subject: empty }));
  lintNamedTbs(bare, { ...expected, subject: empty });
  const nameless = toNamedTbs(template, content({ names: [] }));
  lintNamedTbs(nameless, { ...expected, names: [] });
  assert.deepEqual(namesOf(readTbs(nameless)), []);
});

const identity: GeneralName = { kind: "uri", value: "spiffe://a.example/ns/a/sa/b" };
const broken: readonly (readonly [lint: string, what: string, Partial<NamedContent>, Partial<NamedExpected>?])[] = [
  ["validity-order", "no time at all", { notAfter: later(-121) }],
  ["validity-authority", "a leaf that outlives its authority", { notAfter: later(366 * 86_400) }],
  ["validity-cap", "more than 398 days", { notBefore: later(-120 - namedSecondsCap) }],
  ["subject-exact", "another subject", { subject: fromHex("300f310d300b06035504030c0474696c6d") }],
  ["names-exact", "another name", { names: [{ kind: "dns", value: "pay.example" }] }],
  ["names-exact", "a name less", { names: names.slice(1) }],
  ["names-or-subject", "nobody", { names: [], subject: empty }, { names: [], subject: empty }],
  ["names-identity", "a SPIFFE ID beside a URI", { names: [...names, identity] }, { names: [...names, identity] }],
  [
    "names-identity",
    "a SPIFFE ID that does not sign",
    { names: [identity], usages: ["key encipherment"] },
    { names: [identity], usages: ["key encipherment"] },
  ],
  ["key-usage", "another key usage", { usages: ["key agreement", "server auth", "code signing"] }],
  ["extended-usage", "another extended usage", { usages: ["digital signature", "decipher only", "client auth"] }],
  ["key-exact", "another key", { spki: keys("P-384").spki }],
  ["serial-length", "a short serial", { serial: Uint8Array.of(1, 2) }],
];

for (const [lint, what, made, wanted] of broken)
  test(`${lint}: ${what} is not signed`, () => {
    assert.throws(
      () => lintNamedTbs(toNamedTbs(template, content(made)), { ...expected, ...wanted }),
      new RegExp(`^Error: lint ${lint}: `),
    );
  });

test("the subject of these tests is one", () => {
  assert.deepEqual(readSubject(openDer(subject, "it")).attributes, [{ kind: "commonNames", value: "till" }]);
});
