import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuthorityCsr, readAuthorityCsr } from "../../src/pki/authority-request.ts";
import { readPem, toPem } from "../../src/pki/pem.ts";
import { buildCsr, flipBit, makeSigner, quickAlgorithms } from "../support/pki.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";

const signer = makeSigner("P-256");
const request = await createAuthorityCsr(signer, "Espalier authority 1f0a2b3c shop");

for (const algorithm of quickAlgorithms) {
  test(`OpenSSL verifies a ${algorithm} authority's request, and reads what is asked for`, {
    skip: !hasOpenssl,
  }, async () => {
    const csr = await createAuthorityCsr(makeSigner(algorithm), "an authority");
    const text = openssl(["req", "-in", "{csr}", "-verify", "-noout", "-text"], {
      csr: toPem("CERTIFICATE REQUEST", csr),
    });
    assert.match(text, /Subject: CN ?= ?an authority\n/);
    assert.match(text, /Basic Constraints: critical\n\s+CA:TRUE, pathlen:0\n/);
    assert.match(text, /Key Usage: critical\n\s+Certificate Sign, CRL Sign\n/);
  });
}

test("a request is read back as it was made", () => {
  const read = readAuthorityCsr(request);
  assert.equal(read.commonName, "Espalier authority 1f0a2b3c shop");
  assert.deepEqual(Buffer.from(read.spki), Buffer.from(signer.spki));
});

test("a request that was changed in any bit is refused", () => {
  for (let bit = 0; bit < request.length * 8; bit += 1)
    assert.throws(() => readAuthorityCsr(flipBit(request, bit)), { name: "Refusal" }, `bit ${bit}`);
});

test("a request is refused that is cut off, a workload's, or signed by another key", async () => {
  for (let length = 0; length < request.length; length += 7)
    assert.throws(() => readAuthorityCsr(request.subarray(0, length)), { name: "Refusal" });
  assert.throws(() => readAuthorityCsr(buildCsr()), { code: "malformed" });
  const lying = await createAuthorityCsr({ ...signer, sign: makeSigner("P-256").sign }, "x");
  assert.throws(() => readAuthorityCsr(lying), { code: "csr-signature" });
});

test("a request that asks for more is refused", { skip: !hasOpenssl }, () => {
  const asks = (extensions: string): Uint8Array => {
    const config = `[req]\ndistinguished_name=dn\nreq_extensions=ext\nprompt=no\n[dn]\nCN=x\n[ext]\n${extensions}\n`;
    const args = [
      "req",
      "-new",
      "-nodes",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-keyout",
      "/dev/null",
    ];
    return readPem(openssl([...args, "-config", "{config}"], { config }), ["CERTIFICATE REQUEST"]);
  };
  for (const extensions of [
    "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign",
    "basicConstraints=critical,CA:true,pathlen:1\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash",
    "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectAltName=DNS:example.com",
  ])
    assert.throws(() => readAuthorityCsr(asks(extensions)), { code: "malformed", message: /nothing else/ });
});
