import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { test } from "node:test";
import {
  type AuthorityRequest,
  checkAuthority,
  createAuthority,
  createRoot,
  type RootRequest,
} from "../../src/pki/authority.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { newSerial, toCertificate } from "../../src/pki/leaf.ts";
import { toPem } from "../../src/pki/pem.ts";
import {
  authorities,
  keyAlgorithms,
  keys,
  later,
  makeAuthority,
  makeLeaf,
  makeSigner,
  now,
  replaceHex,
} from "../support/pki.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";

const authority = await authorities("P-256");
const serial = newSerial(randomBytes);

const rootRequest: RootRequest = {
  signer: authority.rootSigner,
  commonName: "a root",
  notBefore: later(-3600),
  notAfter: later(86_400),
  serial,
};
const request: AuthorityRequest = {
  signer: authority.rootSigner,
  parent: authority.root,
  spki: authority.signer.spki,
  commonName: "an authority",
  notBefore: later(-3600),
  notAfter: later(86_400),
  serial,
  pathLength: 0,
};

for (const algorithm of keyAlgorithms) {
  test(`OpenSSL accepts a ${algorithm} root and authority by its strict rules`, { skip: !hasOpenssl }, async () => {
    const { rootSigner, root, certificate } = await makeAuthority(algorithm, {
      rootSigner: makeSigner(algorithm, keys(algorithm)),
      signer: makeSigner("P-256"),
    });
    assert.equal(rootSigner.algorithm, algorithm);
    const at = String(now.getTime() / 1000);
    const files = { "root.pem": toPem("CERTIFICATE", root), "ca.pem": toPem("CERTIFICATE", certificate) };
    const verify = ["verify", "-x509_strict", "-check_ss_sig", "-attime", at, "-CAfile", "{root.pem}"];
    assert.match(openssl([...verify, "{ca.pem}"], files), /OK/);
    assert.match(openssl([...verify, "{root.pem}"], files), /OK/);
    checkAuthority(certificate, root, now);
    checkAuthority(root, root, now);
  });
}

test("a root and an authority say exactly what a CA certificate has to", async () => {
  const root = readCertificate(await createRoot({ ...rootRequest, organization: "Espalier" }));
  assert.deepEqual(root.issuer, root.subject);
  assert.equal("pathLength" in root, false);
  assert.deepEqual(
    root.extensions.map(({ id, critical }) => [id, critical]),
    [
      [19, true],
      [15, true],
      [14, false],
    ],
  );
  const ca = readCertificate(await createAuthority(request));
  assert.equal(ca.pathLength, 0);
  assert.deepEqual(ca.issuer, readCertificate(authority.root).subject);
  assert.deepEqual(ca.aki, readCertificate(authority.root).ski);
  assert.deepEqual(ca.serial, serial);
  assert.deepEqual(
    ca.extensions.map(({ id, critical }) => [id, critical]),
    [
      [19, true],
      [15, true],
      [14, false],
      [35, false],
    ],
  );
  for (const one of [root, ca]) {
    assert.equal(one.isCa, true);
    assert.deepEqual(one.keyUsage, ["keyCertSign", "cRLSign"]);
    assert.deepEqual(one.usages, []);
    assert.deepEqual(one.uris, []);
  }
  assert.equal(readCertificate(await createAuthority({ ...request, pathLength: 1 })).pathLength, 1);
});

test("names are UTF-8 and of 1 to 64 characters", async () => {
  const root = new X509Certificate(await createRoot({ ...rootRequest, commonName: "Bäume", organization: "O" }));
  assert.equal(root.subject, "O=O\nCN=Bäume");
  const refused = { name: "Refusal", code: "config" };
  await assert.rejects(createRoot({ ...rootRequest, commonName: "" }), refused);
  await assert.rejects(createRoot({ ...rootRequest, commonName: "a".repeat(65) }), refused);
  await createRoot({ ...rootRequest, commonName: "a".repeat(64) });
});

test("the same words make the same bytes to be signed, to the second", async () => {
  const one = readCertificate(await createAuthority(request));
  const two = readCertificate(
    await createAuthority({ ...request, notAfter: new Date(request.notAfter.getTime() + 999) }),
  );
  assert.deepEqual(one.tbs, two.tbs);
});

test("a validity beyond 2049 is encoded as RFC 5280 has it", async () => {
  const root = new X509Certificate(await createRoot({ ...rootRequest, notAfter: new Date("2056-01-01T00:00:00Z") }));
  assert.equal(root.validToDate.toISOString(), "2056-01-01T00:00:00.000Z");
});

test("an authority is not made with a key that is not its parent's", async () => {
  await assert.rejects(createAuthority({ ...request, signer: authority.signer }), /another key/);
});

const other = await makeAuthority("P-256");
const strangers = await createRoot({ ...rootRequest, commonName: "stranger" });
const outliving = await createAuthority({ ...request, notAfter: later(3651 * 86_400) });
const leaf = await makeLeaf(authority);
const below = await createAuthority({
  ...request,
  signer: authority.signer,
  parent: authority.certificate,
  spki: keys("P-256").spki,
});

for (const [rule, certificate, parent, at, reason] of [
  ["is a leaf", leaf, authority.certificate, now, /no critical basic constraints with cA/],
  ["has a leaf for a parent", authority.certificate, leaf, now, /no critical basic constraints with cA/],
  ["is not valid yet", authority.certificate, authority.root, later(-3601), /it is valid from/],
  ["has expired", authority.certificate, authority.root, later(366 * 86_400), /it is valid from/],
  ["outlives its parent", outliving, authority.root, now, /outlives/],
  [
    "has a parent of another name",
    authority.certificate,
    strangers,
    now,
    /another CA has issued it: the parent's name/,
  ],
  [
    "has a parent of another key",
    authority.certificate,
    other.root,
    now,
    /another CA has issued it: the parent's key identifier/,
  ],
  ["stands below a path length of 0", below, authority.certificate, now, /path length/],
  [
    "has a changed validity",
    replaceHex(authority.certificate, hex("271121101112Z"), hex("281121101112Z")),
    authority.root,
    now,
    /signature/,
  ],
  ["lacks cRLSign", replaceHex(authority.certificate, "03020106", "03020204"), authority.root, now, /cRLSign/],
] as const) {
  test(`an authority that ${rule} may not sign`, () => {
    assert.throws(() => checkAuthority(certificate, parent, at), reason);
  });
}

test("a self-signed root whose signature is wrong may not sign", async () => {
  const { tbs } = readCertificate(authority.root);
  const wrong = toCertificate("P-256", tbs, await makeSigner("P-256").sign(tbs));
  assert.throws(() => checkAuthority(wrong, wrong, now), /signature/);
});

function hex(text: string): string {
  return Buffer.from(text, "latin1").toString("hex");
}
