import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import * as asn1js from "asn1js";
import * as fc from "fast-check";
import * as pkijs from "pkijs";
import { Refusal } from "../../src/errors.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { fromHex } from "../../src/pki/encode.ts";
import { readPem } from "../../src/pki/pem.ts";
import {
  authorities,
  flipBit,
  keys,
  makeLeaf,
  makeTbs,
  namesOf,
  profileNames,
  quickAlgorithms,
  replaceHex,
  signTbs,
} from "../support/pki.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";

const malformed = { name: "Refusal", code: "malformed" };
const authority = await authorities("P-256");
const leaf = await makeLeaf(authority);

for (const algorithm of quickAlgorithms) {
  test(`certificates of a ${algorithm} authority are read as node:crypto reads them`, async () => {
    const { root, certificate } = await authorities(algorithm);
    const leaves = await Promise.all(
      profileNames.map(async (profile) => makeLeaf(await authorities(algorithm), { profile })),
    );
    for (const der of [root, certificate, ...leaves]) {
      const ours = readCertificate(der);
      const theirs = new X509Certificate(der);
      assert.equal(
        Buffer.from(ours.serial).toString("hex").toUpperCase().replace(/^0/, ""),
        theirs.serialNumber.replace(/^0/, ""),
      );
      assert.equal(ours.notBefore.getTime(), theirs.validFromDate.getTime());
      assert.equal(ours.notAfter.getTime(), theirs.validToDate.getTime());
      assert.equal(ours.isCa, theirs.ca);
      assert.deepEqual(Buffer.from(ours.spki), theirs.publicKey.export({ format: "der", type: "spki" }));
      const names = [...ours.dns.map((name) => `DNS:${name}`), ...ours.uris.map((name) => `URI:${name}`)].join(", ");
      assert.equal(names, theirs.subjectAltName ?? "");
      const parsed = new pkijs.Certificate({ schema: asn1js.fromBER(Uint8Array.from(der)).result });
      assert.deepEqual(Uint8Array.from(ours.tbs), new Uint8Array(parsed.tbsView));
      assert.deepEqual(Uint8Array.from(ours.signature), new Uint8Array(parsed.signatureValue.valueBlock.valueHexView));
      assert.deepEqual(Uint8Array.from(ours.issuer), new Uint8Array(parsed.issuer.toSchema().toBER()));
    }
  });
}

test("what a certificate says is read", async () => {
  const ca = readCertificate(authority.certificate);
  assert.equal(ca.isCa, true);
  assert.equal(ca.pathLength, 0);
  assert.deepEqual(ca.keyUsage, ["keyCertSign", "cRLSign"]);
  assert.deepEqual(ca.aki, readCertificate(authority.root).ski);
  const serving = readCertificate(await makeLeaf(authority, { profile: "serving" }));
  assert.deepEqual(serving.dns, namesOf("serving").dns);
  assert.deepEqual(serving.usages, ["serverAuth"]);
  assert.deepEqual(serving.keyUsage, ["digitalSignature"]);
  assert.equal("pathLength" in serving, false);
  assert.deepEqual(serving.aki, ca.ski);
});

test("a foreign certificate with extensions that we do not know is read, unless they are critical", {
  skip: !hasOpenssl,
}, () => {
  const make = (critical: string) =>
    openssl(
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-days",
        "30",
        "-config",
        "{config}",
      ],
      {
        config: `[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nO=Foreign\nCN=root\n[ext]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always,issuer:always\ncertificatePolicies=${critical}1.2.3.4\nsubjectAltName=email:root@foreign.example,IP:10.0.0.1,DNS:foreign.example\nnsComment=hello\n1.2.3.5=${critical}DER:ffff\n`,
      },
    );
  const foreign = readCertificate(readPem(make(""), ["CERTIFICATE"]));
  assert.equal(foreign.otherNames, 2);
  assert.deepEqual(foreign.dns, ["foreign.example"]);
  assert.deepEqual(foreign.aki, foreign.ski);
  assert.throws(() => readCertificate(readPem(make("critical,"), ["CERTIFICATE"])), malformed);
});

const tbs = makeTbs(authority);
const signature = "300a06082a8648ce3d040302";
for (const [rule, from, to] of [
  ["version 1", "a003020102", "a003020100"],
  ["version 2", "a003020102", "a003020101"],
  ["an unknown signature algorithm", signature, "300a06082a8648ce3d040309"],
  ["another signature algorithm inside than outside", signature, "300a06082a8648ce3d040303"],
  ["a critical extension that we do not know", "300e0603551d0f0101ff", "300e0603551d1e0101ff"],
  ["the same extension twice", "301d0603551d0e0416", "301d0603551d230416"],
  ["a critical FALSE written out", "0603551d0f0101ff", "0603551d0f010100"],
  ["a key usage with trailing zeros", "030205a0", "030204a0"],
  ["a cA FALSE that is written out", "300c0603551d130101ff04023000", "300f0603551d130101ff04053003010100"],
] as const) {
  test(`a certificate with ${rule} is refused`, async () => {
    assert.throws(() => readCertificate(Uint8Array.from([0])), malformed);
    const changed = replaceHex(tbs, from, to);
    const der = await signTbs(authority, changed);
    assert.throws(() => readCertificate(der), malformed);
  });
}

test("a certificate with control characters or bytes beyond ASCII in a name is refused", async () => {
  for (const dns of ["a\0.example", "a b", "\xe9.example", "a\n"]) {
    const der = await makeLeaf(authority, { profile: "serving", names: { dns: [dns] } });
    assert.throws(() => readCertificate(der), malformed);
  }
});

test("a truncated or longer certificate is refused", () => {
  for (let length = 0; length < leaf.length; length++) {
    assert.throws(() => readCertificate(leaf.subarray(0, length)), malformed);
  }
  assert.throws(() => readCertificate(Buffer.concat([leaf, fromHex("00")])), malformed);
});

test("a mutated certificate is refused, or read as pkijs reads it", () => {
  fc.assert(
    fc.property(fc.nat(leaf.length * 8 - 1), fc.nat(leaf.length * 8 - 1), (first, second) => {
      const der = flipBit(flipBit(leaf, first), second);
      let ours: ReturnType<typeof readCertificate>;
      try {
        ours = readCertificate(der);
      } catch (error) {
        assert.ok(error instanceof Refusal, String(error));
        return;
      }
      const { offset, result } = asn1js.fromBER(Uint8Array.from(der));
      assert.notEqual(offset, -1);
      const theirs = new pkijs.Certificate({ schema: result });
      assert.deepEqual(Uint8Array.from(ours.serial), new Uint8Array(theirs.serialNumber.valueBlock.valueHexView));
      assert.equal(ours.notAfter.getTime(), theirs.notAfter.value.getTime());
      const alt = theirs.extensions?.find(({ extnID }) => extnID === "2.5.29.17")?.parsedValue;
      const uris =
        alt instanceof pkijs.AltName ? alt.altNames.filter(({ type }) => type === 6).map(({ value }) => value) : [];
      assert.deepEqual(ours.uris, uris);
    }),
    { numRuns: 1000 },
  );
  assert.ok(readCertificate(leaf).spki.length === keys("P-256").spki.length);
});
