import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { CertificateRevocationList } from "pkijs";
import { readCertificate } from "../../src/pki/certificate.ts";
import { type CrlRequest, createCrl } from "../../src/pki/crl.ts";
import { crlLabel, toPem } from "../../src/pki/pem.ts";
import { authorities, keyAlgorithms, keys, later, makeAuthority, makeLeaf, makeSigner, now } from "../support/pki.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";

const authority = await authorities("P-256");
const good = await makeLeaf(authority);
const bad = await makeLeaf(authority);

const times = { number: 1, thisUpdate: later(-3600), nextUpdate: later(86_400) };

function revoked(certificate: Uint8Array, reason = 1): CrlRequest["revoked"][number] {
  return { serial: readCertificate(certificate).serial, at: later(-60), reason };
}

function ofAuthority(more: Partial<CrlRequest> = {}): Promise<Uint8Array> {
  return createCrl({ ...times, signer: authority.signer, certificate: authority.certificate, revoked: [], ...more });
}

function ofRoot(more: Partial<CrlRequest> = {}): Promise<Uint8Array> {
  return createCrl({ ...times, signer: authority.rootSigner, certificate: authority.root, revoked: [], ...more });
}

/** What OpenSSL says of a leaf with these CRLs, every CA's asked for. */
function judge(leaf: Uint8Array, crls: readonly Uint8Array[], at = now): string {
  const files = {
    "root.pem": toPem("CERTIFICATE", authority.root),
    "ca.pem": toPem("CERTIFICATE", authority.certificate),
    "leaf.pem": toPem("CERTIFICATE", leaf),
    "crls.pem": crls.map((crl) => toPem(crlLabel, crl)).join(""),
  };
  const strict = ["verify", "-x509_strict", "-crl_check_all", "-attime", String(at.getTime() / 1000)];
  try {
    return openssl(
      [...strict, "-CAfile", "{root.pem}", "-untrusted", "{ca.pem}", "-CRLfile", "{crls.pem}", "{leaf.pem}"],
      files,
    );
  } catch (error) {
    return error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
  }
}

test("OpenSSL takes a chain whose CAs all have a CRL, and refuses what is in one", { skip: !hasOpenssl }, async () => {
  const crls = [await ofRoot(), await ofAuthority({ number: 300, revoked: [revoked(bad)] })];
  assert.match(judge(good, crls), /OK/);
  assert.match(judge(bad, crls), /certificate revoked/);
  assert.match(judge(good, crls.slice(0, 1)), /unable to get certificate CRL/, "one of every CA, or none");
  assert.match(judge(good, crls, later(86_401)), /CRL has expired/);
  const revokedAuthority = await ofRoot({ revoked: [revoked(authority.certificate, 2)] });
  assert.match(judge(good, [revokedAuthority, await ofAuthority()]), /certificate revoked/);
});

for (const algorithm of keyAlgorithms) {
  test(`OpenSSL verifies a CRL that a ${algorithm} key has signed`, { skip: !hasOpenssl }, async () => {
    const signer = makeSigner(algorithm, keys(algorithm));
    const { certificate } = await makeAuthority(algorithm, { signer });
    const crl = await createCrl({ ...times, signer, certificate, revoked: [revoked(bad, 0), revoked(good, 9)] });
    const files = { "ca.pem": toPem("CERTIFICATE", certificate), "crl.pem": toPem(crlLabel, crl) };
    const text = openssl(["crl", "-in", "{crl.pem}", "-CAfile", "{ca.pem}", "-noout", "-text"], files);
    for (const [words, hex] of [
      [/X509v3 CRL Reason Code:\s+Privilege Withdrawn/, new X509Certificate(good).serialNumber],
      [/Version 2/, new X509Certificate(bad).serialNumber],
    ] as const) {
      assert.match(text, words);
      assert.ok(text.includes(hex));
    }
    assert.doesNotMatch(text, /Unspecified/, "RFC 5280 5.3.1: it should be absent");
  });
}

test("pkijs reads back what was written: number, times, reasons, key identifier", async () => {
  for (const number of [1, 127, 128, 255, 256, 2 ** 40]) {
    const crl = await ofAuthority({ number, revoked: number === 1 ? [] : [revoked(bad, 1)] });
    const list = CertificateRevocationList.fromBER(Uint8Array.from(crl));
    assert.deepEqual([list.thisUpdate.value, list.nextUpdate?.value], [times.thisUpdate, times.nextUpdate]);
    const [aki, numbered] = list.crlExtensions?.extensions ?? [];
    assert.deepEqual([aki?.extnID, numbered?.extnID], ["2.5.29.35", "2.5.29.20"]);
    assert.deepEqual([aki?.critical, numbered?.critical], [false, false]);
    const octets = Buffer.from(numbered?.extnValue.valueBlock.valueHexView ?? []);
    assert.equal(BigInt(`0x${octets.subarray(2).toString("hex")}`), BigInt(number));
    // X.690 8.3: the highest bit is the sign.
    assert.ok((octets[2] ?? 0) < 0x80);
    const [entry] = list.revokedCertificates ?? [];
    assert.equal(list.revokedCertificates?.length ?? 0, number === 1 ? 0 : 1);
    if (entry !== undefined) assert.deepEqual(entry.revocationDate.value, later(-60));
  }
});

test("a key that is not the certificate's signs no CRL, nor does a leaf's", async () => {
  await assert.rejects(ofAuthority({ signer: authority.rootSigner }), /another key/);
  const signer = makeSigner("P-256");
  const leaf = await makeLeaf(authority, { spki: signer.spki });
  await assert.rejects(ofAuthority({ signer, certificate: leaf }), /for no CRLs/);
});
