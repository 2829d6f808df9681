import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { fromHex } from "../../src/pki/encode.ts";
import { toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import { keys, quickKinds, uri } from "../support/pki.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";

for (const kind of quickKinds) {
  test(`OpenSSL reads our CSR by ${kind} and verifies it`, { skip: !hasOpenssl }, () => {
    const pem = toPem("CERTIFICATE REQUEST", toCsr({ privateKey: keys(kind).privateKey, uri, subject: "istio" }));
    const text = openssl(["req", "-verify", "-noout", "-text", "-in", "{csr.pem}"], { "csr.pem": pem });
    assert.match(
      text,
      /Subject Alternative Name: critical\s+URI:spiffe:\/\/tenant-a\.example\/ns\/default\/sa\/productpage/,
    );
  });
}

test("the subject is O= of no length as pilot-agent has it, or empty as ztunnel has it", () => {
  const { privateKey } = keys("P-256");
  const istio = Buffer.from(toCsr({ privateKey, uri, subject: "istio" }));
  assert.ok(istio.includes(fromHex("020100300b31093007060355040a13003059")));
  assert.ok(Buffer.from(toCsr({ privateKey, uri })).includes(fromHex("02010030003059")));
});

test("a CSR is not made with a key that we would not certify", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-521" });
  assert.throws(() => toCsr({ privateKey, uri }), { code: "csr-key" });
});
