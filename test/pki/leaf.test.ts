import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as asn1js from "asn1js";
import * as fc from "fast-check";
import * as pkijs from "pkijs";
import { readCertificate } from "../../src/pki/certificate.ts";
import { fromHex } from "../../src/pki/encode.ts";
import { newSerial, newSerialAt, toCertificate, toLeafTemplate, toTbs } from "../../src/pki/leaf.ts";
import { lintTbs } from "../../src/pki/lint.ts";
import { type ProfileName, profiles } from "../../src/pki/profile.ts";
import {
  authorities,
  keyAlgorithms,
  keyKinds,
  keys,
  later,
  makeLeaf,
  makeTbs,
  namesOf,
  now,
  profileNames,
  uri,
} from "../support/pki.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";
import { anyProfileNames, emitProfiles, purposes } from "../support/profiles.ts";

test("openssl verify -x509_strict accepts every profile under every authority", { skip: !hasOpenssl }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "espalier-profiles-"));
  try {
    const paths = await emitProfiles(dir);
    assert.equal(paths.length, anyProfileNames.length * keyAlgorithms.length);
    const rules = ["verify", "-x509_strict", "-attime", String(now.getTime() / 1000)];
    for (const algorithm of keyAlgorithms)
      for (const profile of anyProfileNames) {
        const of = (file: string) => join(dir, `${profile}-${algorithm}`, `${file}.pem`);
        const above = ["-CAfile", of("root"), "-untrusted", of("intermediate")];
        for (const purpose of purposes[profile])
          assert.match(openssl([...rules, "-purpose", purpose, ...above, of("leaf")], {}), /: OK$/m);
      }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

for (const kind of keyKinds) {
  test(`node:crypto finds a workload's leaf for a ${kind} key to be what was asked`, async () => {
    const authority = await authorities("P-256");
    const leaf = new X509Certificate(await makeLeaf(authority, { spki: keys(kind).spki }));
    assert.equal(leaf.subject, undefined);
    assert.equal(leaf.subjectAltName, `URI:${uri}`);
    assert.equal(leaf.ca, false);
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    assert.equal(leaf.validFromDate.getTime(), later(-120).getTime());
    assert.equal(leaf.validToDate.getTime(), later(3600).getTime());
    assert.ok(leaf.checkPrivateKey(keys(kind).privateKey));
    const issuer = new X509Certificate(authority.certificate);
    assert.ok(leaf.checkIssued(issuer));
    assert.ok(leaf.verify(issuer.publicKey));
  });
}

/** The same leaf as pkijs would build it. */
async function byPkijs(profile: ProfileName, serial: Uint8Array): Promise<Uint8Array> {
  const authority = await authorities("P-256");
  const parent = new pkijs.Certificate({ schema: asn1js.fromBER(Uint8Array.from(authority.certificate)).result });
  const leaf = new pkijs.Certificate();
  leaf.version = 2;
  leaf.serialNumber = new asn1js.Integer({ valueHex: Uint8Array.from(serial).buffer });
  leaf.signature = new pkijs.AlgorithmIdentifier({ algorithmId: "1.2.840.10045.4.3.2" });
  leaf.issuer = parent.subject;
  // By default pkijs writes an empty name as one empty RDN, 30023100, which RFC 5280 4.1.2.4 does not allow.
  leaf.subject = new pkijs.RelativeDistinguishedNames({ schema: asn1js.fromBER(fromHex("3000")).result });
  leaf.notBefore = new pkijs.Time({ type: pkijs.TimeType.UTCTime, value: later(-120) });
  leaf.notAfter = new pkijs.Time({ type: pkijs.TimeType.UTCTime, value: later(3600) });
  leaf.subjectPublicKeyInfo = new pkijs.PublicKeyInfo({ schema: asn1js.fromBER(keys("P-256").spki).result });
  const ids = { serverAuth: "1.3.6.1.5.5.7.3.1", clientAuth: "1.3.6.1.5.5.7.3.2" };
  const names = namesOf(profile);
  const altNames = names.dns.map((value) => new pkijs.GeneralName({ type: 2, value }));
  if (names.uri !== undefined) altNames.push(new pkijs.GeneralName({ type: 6, value: names.uri }));
  const bits = leaf.subjectPublicKeyInfo.subjectPublicKey.valueBlock.valueHexView;
  const ski = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(bits))).slice(0, 20);
  const parentSki = parent.extensions?.find(({ extnID }) => extnID === "2.5.29.14")?.parsedValue;
  assert.ok(parentSki instanceof asn1js.OctetString);
  const keyIdentifier = new asn1js.OctetString({ valueHex: parentSki.getValue() });
  const extension = (extnID: string, critical: boolean, value: asn1js.BaseBlock) =>
    new pkijs.Extension({ extnID, critical, extnValue: value.toBER() });
  const usage = profiles[profile].keyEncipherment ? { octet: 0xa0, unusedBits: 5 } : { octet: 0x80, unusedBits: 7 };
  leaf.extensions = [
    extension(
      "2.5.29.15",
      true,
      new asn1js.BitString({ valueHex: Uint8Array.of(usage.octet).buffer, unusedBits: usage.unusedBits }),
    ),
    extension(
      "2.5.29.37",
      false,
      new pkijs.ExtKeyUsage({ keyPurposes: profiles[profile].usages.map((usage) => ids[usage]) }).toSchema(),
    ),
    extension("2.5.29.19", true, new pkijs.BasicConstraints({ cA: false }).toSchema()),
    extension("2.5.29.14", false, new asn1js.OctetString({ valueHex: ski.buffer })),
    extension("2.5.29.35", false, new pkijs.AuthorityKeyIdentifier({ keyIdentifier }).toSchema()),
    extension("2.5.29.17", true, new pkijs.AltName({ altNames }).toSchema()),
  ];
  return new Uint8Array(leaf.encodeTBS().toBER());
}

for (const profile of profileNames) {
  test(`a leaf of profile ${profile} is byte for byte what pkijs builds from the same words`, async () => {
    const serial = newSerial(randomBytes);
    const ours = makeTbs(await authorities("P-256"), { profile, serial });
    assert.deepEqual(Buffer.from(ours), Buffer.from(await byPkijs(profile, serial)));
  });
}

test("a leaf of any key, names and times reads back as it was asked", async () => {
  const authority = await authorities("P-256");
  const template = toLeafTemplate(authority, "workload");
  const seconds = { min: 0, max: 3 * 86_400 };
  fc.assert(
    fc.property(
      fc.constantFrom(...keyKinds),
      fc.stringMatching(/^[a-z0-9-]{1,200}$/),
      fc.integer(seconds),
      (kind, name, length) => {
        const names = { uri: `spiffe://td.example/ns/${name}/sa/${name}`, dns: [] };
        const { spki } = keys(kind);
        const notAfter = later(length);
        const tbs = toTbs(template, { serial: newSerial(randomBytes), notBefore: later(-120), notAfter, spki, names });
        lintTbs(tbs, { profile: "workload", names, spki, authority: template.authority });
        const read = readCertificate(toCertificate("P-256", tbs, new Uint8Array(70)));
        assert.deepEqual(read.uris, [names.uri]);
        assert.equal(read.notAfter.getTime(), notAfter.getTime());
        assert.deepEqual(Uint8Array.from(read.spki), spki);
      },
    ),
  );
});

test("a time in 2050 is a GeneralizedTime, and OpenSSL reads it", async () => {
  const authority = await authorities("P-256");
  for (const date of ["2049-12-31T23:59:59Z", "2050-01-01T00:00:00Z", "2060-02-29T12:34:56.789Z"]) {
    const leaf = await makeLeaf(authority, { notAfter: new Date(date) });
    assert.equal(new X509Certificate(leaf).validToDate.toISOString(), `${date.slice(0, 19)}.000Z`);
  }
});

test("a serial number at a time is positive, and sorts by it before its 128 random bits", () => {
  const serial = (at: string): string =>
    Buffer.from(newSerialAt((n) => new Uint8Array(n).fill(0xff), new Date(at))).toString("hex");
  assert.equal(serial("2026-11-21T10:11:12Z"), `7fb2d540${"ff".repeat(16)}`);
  assert.ok(serial("2026-11-21T10:11:12.000Z") < serial("2026-11-21T10:11:12.008Z"));
  // Whenever it is: the first octet is neither zero, which a number must not begin with, nor above 0x7f.
  for (let days = 0; days < 200; days++) {
    const first = Number.parseInt(serial(new Date(days * 86_400_000).toISOString()).slice(0, 2), 16);
    assert.ok(first >= 0x40 && first < 0x80);
  }
});

test("a serial number is 0x01 and 128 random bits", () => {
  const serial = newSerial((n) => new Uint8Array(n).fill(0xff));
  assert.deepEqual(serial, Uint8Array.from([1, ...new Uint8Array(16).fill(0xff)]));
  assert.equal(newSerial(randomBytes).length, 17);
  assert.notDeepEqual(newSerial(randomBytes), newSerial(randomBytes));
});

test("the authority key identifier is copied, not made", async () => {
  const authority = await authorities("P-384");
  const { ski } = readCertificate(authority.certificate);
  assert.deepEqual(readCertificate(await makeLeaf(authority)).aki, ski);
  assert.throws(() => toLeafTemplate({ algorithm: "P-256", certificate: new Uint8Array(3) }, "workload"), {
    code: "malformed",
  });
});
