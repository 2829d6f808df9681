import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Refusal } from "../../src/errors.ts";
import { verifyCsr } from "../../src/pki/csr.ts";
import { toNameText } from "../../src/pki/general-name.ts";
import { readNamedCsr } from "../../src/pki/named-csr.ts";
import { mutate, mutations } from "../support/mutation.ts";
import { csrOf, namedCsr } from "../support/named-csr.ts";
import { flipBit } from "../support/pki.ts";
import { csrByPkijs } from "../support/pkijs-csr.ts";
import { csrFor } from "../support/workload.ts";

test("names, subject and usages of OpenSSL's CSRs are read as they were asked for", () => {
  const csr = readNamedCsr(
    csrOf("DNS:*.shop.example,IP:10.0.0.1,IP:2001:db8::1,email:till@shop.example,URI:https://shop.example/a", {
      subject: "/O=Shöp/CN=shop.example",
      extensions: ["keyUsage=critical,digitalSignature,keyAgreement", "extendedKeyUsage=clientAuth,codeSigning"],
      key: "RSA-2048",
    }),
  );
  verifyCsr(csr);
  assert.deepEqual(csr.names.map(toNameText), [
    "dns:*.shop.example",
    "ip:10.0.0.1",
    "ip:2001:db8:0:0:0:0:0:1",
    "email:till@shop.example",
    "uri:https://shop.example/a",
  ]);
  assert.deepEqual(csr.subject.attributes, [
    { kind: "organizations", value: "Shöp" },
    { kind: "commonNames", value: "shop.example" },
  ]);
  assert.deepEqual(csr.keyUsage, ["digitalSignature", "keyAgreement"]);
  assert.deepEqual(csr.extended, ["clientAuth", "2b06010505070303"]);
  assert.equal(csr.isCa, undefined);
});

test("a CSR of a subject alone is one", () => {
  const csr = readNamedCsr(namedCsr({ subject: "/CN=till", key: "Ed25519" }));
  verifyCsr(csr);
  assert.deepEqual(csr.names, []);
  assert.equal(csr.keyUsage, undefined);
});

test('Istio\'s O="" is no subject, and no other empty value is one', () => {
  const csr = readNamedCsr(csrFor("spiffe://shop.example/ns/a/sa/b"));
  verifyCsr(csr);
  assert.deepEqual(csr.subject.attributes, []);
  assert.deepEqual(Buffer.from(csr.subject.der).toString("hex"), "3000");
  assert.deepEqual(csr.names.map(toNameText), ["uri:spiffe://shop.example/ns/a/sa/b"]);
  // The same as an empty UTF8String.
  const other = Buffer.from(csrFor("spiffe://shop.example/ns/a/sa/b")).toString("hex").replace("040a1300", "040a0c00");
  assert.throws(() => readNamedCsr(Buffer.from(other, "hex")), Refusal);
});

test("a CA that is smuggled into the extensions is seen, with its path length", () => {
  for (const [value, isCa, pathLength] of [
    ["critical,CA:TRUE", true],
    ["CA:TRUE,pathlen:0", true, 0],
    ["CA:TRUE,pathlen:3", true, 3],
    ["critical,CA:TRUE,pathlen:200", true, 200],
    ["CA:FALSE", false],
  ] as const) {
    const csr = readNamedCsr(csrOf("DNS:a.example", { extensions: [`basicConstraints=${value}`] }));
    assert.deepEqual([csr.isCa, csr.pathLength], [isCa, pathLength], value);
  }
});

const refused: readonly (readonly [what: string, csr: () => Uint8Array, rule: RegExp])[] = [
  [
    "another kind of name",
    () => csrOf("otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@a.example"),
    /neither DNS, IP, e-mail nor URI/,
  ],
  [
    "an extension that is none of ours",
    () => csrOf("DNS:a.example", { extensions: ["nameConstraints=permitted;DNS:a"] }),
    /extension other than/,
  ],
  [
    "a subject's attribute that is none of ours",
    () => namedCsr({ subject: "/CN=a/GN=Ada" }),
    /attribute that is none of/,
  ],
  ["a control character in a subject", () => namedCsr({ subject: "/CN=a\u0007b" }), /printable text/],
  [
    "more than a hundred names",
    () => csrOf(Array.from({ length: 101 }, (_, at) => `DNS:a${at}.example`).join(",")),
    /more than 100 names/,
  ],
];

for (const [what, csr, rule] of refused)
  test(`${what} is refused`, () => {
    assert.throws(
      () => readNamedCsr(csr()),
      (error) => error instanceof Refusal && error.code === "malformed" && rule.test(error.message),
    );
  });

test("no flipped bit and no truncation is read as anything but a refusal or another signature", () => {
  const good = csrOf("DNS:a.example,IP:10.0.0.1", { subject: "/CN=a.example" });
  for (let bit = 0; bit < good.length * 8; bit++)
    assert.throws(() => verifyCsr(readNamedCsr(flipBit(good, bit))), Refusal, `bit ${bit}`);
  for (let length = 0; length < good.length; length++)
    assert.throws(() => readNamedCsr(good.subarray(0, length)), Refusal, `length ${length}`);
});

test("what is read is never what pkijs refuses, nor another key, subject, name or usage than it reads", () => {
  const ders = [
    csrOf("DNS:*.shop.example,IP:10.0.0.1,IP:2001:db8::1,email:till@shop.example,URI:https://shop.example/a"),
    csrOf("DNS:shop.example", {
      subject: "/C=DE/O=Shöp/OU=a/CN=till/serialNumber=7/DC=shop/UID=9",
      extensions: ["keyUsage=critical,digitalSignature,decipherOnly", "extendedKeyUsage=clientAuth,codeSigning"],
      key: "RSA-2048",
    }),
    csrOf("DNS:shop.example", { extensions: ["basicConstraints=critical,CA:TRUE,pathlen:200"] }),
    csrOf("DNS:shop.example", { extensions: ["basicConstraints=CA:FALSE", "keyUsage=keyCertSign"], key: "Ed25519" }),
    namedCsr({ subject: "/CN=till" }),
    csrFor("spiffe://shop.example/ns/a/sa/b"),
  ];
  let accepted = 0;
  fc.assert(
    fc.property(fc.constantFrom(...ders), mutations, (start, done) => {
      const der = mutate(start, done, ders);
      let csr: ReturnType<typeof readNamedCsr>;
      try {
        csr = readNamedCsr(der);
      } catch (error) {
        assert.ok(error instanceof Refusal, String(error));
        return;
      }
      accepted += 1;
      const { spki, subject, names, extended, ...rest } = csrByPkijs(der);
      const { isCa, pathLength, keyUsage } = csr;
      assert.deepEqual(Uint8Array.from(csr.spki), spki);
      // Istio's O="" counts as none.
      const said = subject.filter((attribute) => attribute !== "organizations=");
      assert.deepEqual(
        csr.subject.attributes.map(({ kind, value }) => `${kind}=${value}`),
        said,
      );
      assert.deepEqual(csr.names.map(toNameText), names);
      assert.deepEqual(
        csr.extended?.map((usage) => known[usage] ?? usage),
        extended,
      );
      assert.deepEqual(defined({ isCa, pathLength, keyUsage }), rest);
    }),
    { numRuns: 2000 },
  );
  assert.ok(accepted > 200, `only ${accepted} were read, so this says little`);
});

const known: Readonly<Record<string, string>> = {
  serverAuth: "2b06010505070301",
  clientAuth: "2b06010505070302",
};

function defined(record: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}
