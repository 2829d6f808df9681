import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { readRequest } from "../../src/agent/request.ts";
import { Refusal } from "../../src/errors.ts";
import { csrLabels, toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import type { Value__Output } from "../../src/rpc/gen/google/protobuf/Value.ts";
import { mutate, mutations } from "../support/mutation.ts";
import { keys, uri } from "../support/pki.ts";
import { csrByPkijs } from "../support/pkijs-csr.ts";

const ders = (["P-256", "RSA-2048", "Ed25519"] as const).map((kind) =>
  toCsr({ privateKey: keys(kind).privateKey, uri, subject: "istio" }),
);
const value: fc.Arbitrary<Value__Output> = fc.oneof(
  fc.record({ stringValue: fc.string({ maxLength: 300 }) }),
  fc.constant({ stringValue: "a".repeat(254) }),
  fc.record({ numberValue: fc.double() }),
  fc.record({ boolValue: fc.boolean() }),
  fc.constant({ structValue: { fields: { stringValue: { stringValue: "inner" } } } }),
  fc.constant({}),
);
const metadata = fc.oneof(
  fc.constant(null),
  fc
    .dictionary(fc.constantFrom("CertSigner", "ImpersonatedIdentity", "ClusterID", "__proto__"), value)
    .map((fields) => ({ fields })),
);
const labels = fc.constantFrom(...csrLabels, "CERTIFICATE", "EC PRIVATE KEY");

test("whatever a client asks is refused by its rule, or read as it was said", () => {
  let accepted = 0;
  const request = fc.record({
    der: fc.tuple(fc.constantFrom(...ders), mutations).map(([der, done]) => mutate(der, done, ders)),
    label: fc.oneof({ weight: 9, arbitrary: fc.constant("CERTIFICATE REQUEST") }, labels),
    around: fc.oneof({ weight: 9, arbitrary: fc.constant("") }, fc.string()),
    seconds: fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-5n, 86_400n)),
    metadata,
  });
  fc.assert(
    fc.property(request, ({ der, label, around, seconds, metadata }) => {
      const csr = `${toPem(label, der)}${around}`;
      let read: ReturnType<typeof readRequest>;
      try {
        read = readRequest({ csr, validityDuration: String(seconds), metadata });
      } catch (error) {
        assert.ok(error instanceof Refusal && ["malformed", "csr-key"].includes(error.code), String(error));
        assert.ok(!error.message.includes(csr.slice(30, 90)), "the CSR is quoted");
        return;
      }
      accepted += 1;
      const { names, spki } = csrByPkijs(read.csr);
      assert.deepEqual(Buffer.from(read.csr), Buffer.from(der));
      assert.deepEqual(Uint8Array.from(read.spki), spki);
      assert.deepEqual([`uri:${read.identity}`], names);
      const asked = seconds < 0n ? 0n : seconds;
      assert.equal(BigInt(read.validitySeconds), asked < 2n ** 31n ? asked : 2n ** 31n - 1n);
      const said = new Map(Object.entries(metadata?.fields ?? {}).map(([key, one]) => [key, one.stringValue ?? ""]));
      assert.equal(read.signer, said.get("CertSigner") ?? "");
      assert.equal(read.impersonated, said.get("ImpersonatedIdentity") ?? "");
      assert.ok(read.signer.length <= 253);
    }),
    { numRuns: 1500 },
  );
  assert.ok(accepted > 100, `only ${accepted} were read, so this says little`);
});
