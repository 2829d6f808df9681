import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { assert as check, integer, property } from "fast-check";
import { readCertificate } from "../../src/pki/certificate.ts";
import { verifySignature } from "../../src/pki/chain.ts";
import { createCrl } from "../../src/pki/crl.ts";
import { fromHex } from "../../src/pki/encode.ts";
import { crlLabel, readPem } from "../../src/pki/pem.ts";
import { readCrl } from "../../src/pki/read-crl.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { authorities, flipBit, later, replaceHex } from "../support/pki.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";

const authority = await authorities("P-256");
const bytesMax = 16_384;
const serial = fromHex("0102030405");
const made = await createCrl({
  signer: authority.rootSigner,
  certificate: authority.root,
  number: 300,
  thisUpdate: later(-60),
  nextUpdate: later(86_400),
  revoked: [
    { serial, at: later(-60), reason: 1 },
    { serial: fromHex("00ff"), at: later(-60), reason: 0 },
  ],
});

test("what we write is read, and verifies under its own CA alone", () => {
  const { serials, number, thisUpdate, nextUpdate, issuer, ...rest } = readCrl(made, bytesMax);
  assert.deepEqual([...serials], ["0102030405", "00ff"]);
  assert.deepEqual([number, thisUpdate, nextUpdate], [300n, later(-60), later(86_400)]);
  assert.deepEqual(issuer, readCertificate(authority.root).subject);
  assert.equal(verifySignature(rest, authority.root), true);
  assert.equal(verifySignature(rest, authority.certificate), false);
});

/** Another critical extension in the place of the key identifier, of the same length so that no other has to be mended. */
function withCritical(id: number): Uint8Array {
  const ski = Buffer.from(readCertificate(authority.root).ski ?? []).toString("hex");
  const value = `0413${ski.slice(2)}`;
  return replaceHex(made, `301f0603551d23041830168014${ski}`, `301f0603551d${id.toString(16)}0101ff0415${value}`);
}

for (const [title, bytes, says] of [
  ["version 1", replaceHex(made, "020101300a", "020100300a"), /version is not 2/],
  ["no number", replaceHex(made, "0603551d14", "0603551d13"), /without a number/],
  ["a number below zero", replaceHex(made, "0603551d1404040202012c", "0603551d1404040202812c"), /negative/],
  ["an entry that is taken back", replaceHex(made, "0603551d1504030a0101", "0603551d1504030a0108"), /removeFromCRL/],
  ["a delta's base", withCritical(27), /a critical extension in a CRL/],
  ["a distribution point", withCritical(28), /a critical extension in a CRL/],
] as const) {
  test(`a CRL with ${title} is refused`, () => {
    assert.throws(() => readCrl(bytes, bytesMax), { code: "malformed", message: says });
  });
}

test("a CRL that is too long, cut off or followed by something is refused", () => {
  assert.throws(() => readCrl(made, made.length - 1), { code: "malformed" });
  assert.throws(() => readCrl(Buffer.concat([made, Uint8Array.of(0)]), bytesMax), { code: "malformed" });
  for (let length = 0; length < made.length; length += 1)
    assert.throws(() => readCrl(made.subarray(0, length), bytesMax), { code: "malformed" });
});

test("a flipped bit is refused, or does not verify", () => {
  check(
    property(integer({ min: 0, max: made.length * 8 - 1 }), (bit) => {
      try {
        assert.equal(verifySignature(readCrl(flipBit(made, bit), bytesMax), authority.root), false);
      } catch (error) {
        assert.ok(
          error instanceof Error && !(error instanceof TypeError || error instanceof RangeError),
          String(error),
        );
      }
    }),
  );
});

test("what openssl ca makes is read", { skip: !hasOpenssl }, () => {
  using folder = temporaryDirectory();
  const at = (name: string): string => join(folder.path, name);
  const own = ["database = index", "crlnumber = number", "default_md = sha256", "default_crl_days = 30"];
  const config = `[ca]
default_ca = own
[own]
${own.join("\n").replaceAll(/= (index|number)/g, (_, name: string) => `= ${at(name)}`)}
crl_extensions = extensions
[extensions]
authorityKeyIdentifier = keyid
[req]
distinguished_name = name
[name]
`;
  writeFileSync(at("config"), config);
  writeFileSync(at("index"), "R\t300101000000Z\t260101000000Z,keyCompromise\t0A0B\tunknown\t/CN=gone\n");
  writeFileSync(at("number"), "1F\n");
  openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", at("key")], {});
  const usage = ["basicConstraints=critical,CA:true", "keyUsage=critical,keyCertSign,cRLSign"];
  const ca = [
    "req",
    "-x509",
    "-new",
    "-key",
    at("key"),
    "-subj",
    "/CN=offline",
    "-days",
    "30",
    "-config",
    at("config"),
  ];
  openssl([...ca, ...usage.flatMap((one) => ["-addext", one]), "-out", at("root")], {});
  const text = openssl(["ca", "-gencrl", "-config", at("config"), "-keyfile", at("key"), "-cert", at("root")], {});
  const crl = readCrl(readPem(text, [crlLabel]), bytesMax);
  assert.deepEqual([...crl.serials], ["0a0b"]);
  assert.equal(crl.number, 0x1fn);
  assert.ok(verifySignature(crl, readPem(readFileSync(at("root"), "utf8"), ["CERTIFICATE"])));
});
