import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { test } from "node:test";
import * as fc from "fast-check";
import { csrLabels, readPem, readPemAll, toPem } from "../../src/pki/pem.ts";
import { authorities } from "../support/pki.ts";

const malformed = { name: "Refusal", code: "malformed" };
const labels = ["CERTIFICATE"];
const der = randomBytes(200);
const pem = toPem("CERTIFICATE", der);

test("what is written is read, with LF and with CRLF", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (bytes) => {
      const text = toPem("CERTIFICATE", bytes);
      assert.deepEqual(Uint8Array.from(readPem(text, labels)), bytes);
      assert.deepEqual(Uint8Array.from(readPem(text.replaceAll("\n", "\r\n"), labels)), bytes);
    }),
  );
});

test("what is written is what OpenSSL writes", async () => {
  const { root } = await authorities("P-256");
  assert.equal(toPem("CERTIFICATE", root), new X509Certificate(root).toString());
});

test("both labels of a CSR are read, and no others", () => {
  for (const label of csrLabels) assert.deepEqual(readPem(toPem(label, der), csrLabels), der);
  assert.throws(() => readPem(pem, csrLabels), malformed);
  assert.throws(() => readPem(pem.replace("END CERTIFICATE", "END CERTIFICATE REQUEST"), labels), malformed);
});

test("white space may stand around a block", () => {
  assert.deepEqual(readPem(`\n  ${pem}\r\n\t `, labels), der);
  assert.deepEqual(readPem(pem.trim(), labels), der);
});

for (const [rule, text] of [
  ["nothing", ""],
  ["text before it", `subject=x\n${pem}`],
  ["text behind it", `${pem}x`],
  ["text behind its end line", pem.replace(/\n$/, " x\n")],
  ["a second block", pem + pem],
  ["a header", pem.replace("-----\n", "-----\nProc-Type: 4\n\n")],
  ["an empty line", pem.replace("-----\n", "-----\n\n")],
  ["a space within a line", pem.replace("-----\n", "-----\n ")],
  ["no end line", pem.slice(0, -30)],
  ["no line end before its base64", pem.replace("-----\n", "-----")],
  ["base64url", toPem("CERTIFICATE", Buffer.alloc(30, 0xff)).replaceAll("/", "_")],
  ["base64 without its padding", toPem("CERTIFICATE", Buffer.alloc(31, 1)).replaceAll("=", "")],
  ["base64 with too much padding", toPem("CERTIFICATE", Buffer.alloc(31, 1)).replace("==", "===")],
  ["base64 whose last bits are not zero", toPem("CERTIFICATE", Buffer.alloc(1, 1)).replace("AQ==", "AR==")],
  ["padding in the middle", pem.replace(/(?<=-\n.{8})./, "=")],
  ["bytes beyond ASCII", pem.replace(/(?<=-\n.{8})./, "é")],
  ["no content", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"],
] as const) {
  test(`PEM with ${rule} is refused`, () => {
    assert.throws(() => readPem(text, labels), malformed);
  });
}

test("size is bounded, in text and in bytes", () => {
  assert.throws(() => readPem(toPem("CERTIFICATE", randomBytes(201)), labels, 200), malformed);
  assert.throws(() => readPem(`${pem}${" ".repeat(100_000)}`, labels), malformed);
  readPem(toPem("CERTIFICATE", randomBytes(16 * 1024)), labels);
});

test("a bundle is read in its order, and is only certificates", () => {
  const other = randomBytes(50);
  const bundle = pem + toPem("CERTIFICATE", other);
  assert.deepEqual(readPemAll(bundle), [der, other]);
  assert.deepEqual(readPemAll(`${pem}\n\r\n${pem}`), [der, der]);
  assert.throws(() => readPemAll(`${pem}# comment\n${pem}`), malformed);
  assert.throws(() => readPemAll(pem + toPem("PRIVATE KEY", other)), malformed);
  assert.throws(() => readPemAll(pem.trim() + pem), malformed);
  assert.throws(() => readPemAll(""), malformed);
  assert.throws(() => readPemAll(pem.repeat(65)), malformed);
});
