import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import * as fc from "fast-check";
import { Refusal } from "../../src/errors.ts";
import { readCsr, verifyCsr } from "../../src/pki/csr.ts";
import { fromHex, toAscii, toBitString, toElement, toOctetString, toSequence } from "../../src/pki/encode.ts";
import { toCsr } from "../../src/pki/request.ts";
import { mutate, mutations } from "../support/mutation.ts";
import {
  attribute,
  buildCsr,
  dnsName,
  extension,
  flipBit,
  keys,
  makeKey,
  notCritical,
  quickKinds,
  replaceHex,
  san,
  toAttributes,
  uri,
  uriName,
} from "../support/pki.ts";
import { csrByPkijs } from "../support/pkijs-csr.ts";

const malformed = { name: "Refusal", code: "malformed" };
const csrKey = { name: "Refusal", code: "csr-key" };
const csrSignature = { name: "Refusal", code: "csr-signature" };

const keyUsage = (bits: string) => extension(15, toElement(3, fromHex(bits)));
const usages = (...oids: string[]) =>
  extension(37, toSequence(...oids.map((oid) => toElement(6, fromHex(oid)))), notCritical);
const serverAuth = "2b06010505070301";
const clientAuth = "2b06010505070302";

/** One real CSR of every kind of key and shape. */
const real = quickKinds.flatMap((kind) => {
  const { privateKey } = keys(kind);
  return [
    { kind, der: toCsr({ privateKey, uri, subject: "istio" }) },
    { kind, der: toCsr({ privateKey, uri }) },
    { kind, der: toCsr({ privateKey }) },
  ];
});

for (const kind of quickKinds) {
  test(`a CSR by ${kind} as pilot-agent and as ztunnel send it is read and proven`, () => {
    const { privateKey, spki } = keys(kind);
    for (const subject of ["istio", "empty"] as const) {
      const csr = readCsr(toCsr({ privateKey, uri, subject }));
      assert.equal(csr.identity, uri);
      assert.equal(csr.keyKind, kind);
      assert.deepEqual(Uint8Array.from(csr.spki), spki);
      verifyCsr(csr);
    }
  });
}

test("a CSR without names has no identity", () => {
  const { privateKey } = keys("P-256");
  for (const der of [toCsr({ privateKey }), buildCsr({ extensions: [keyUsage("0780")] })]) {
    const csr = readCsr(der);
    assert.equal("identity" in csr, false);
    verifyCsr(csr);
  }
});

test("every SHA-2 with RSA, and either with either curve, is read and proven", () => {
  for (const [kind, hash, algorithm] of [
    ["RSA-2048", "sha384", "300d06092a864886f70d01010c0500"],
    ["RSA-2048", "sha512", "300d06092a864886f70d01010d0500"],
    ["P-256", "sha384", "300a06082a8648ce3d040303"],
    ["P-384", "sha256", "300a06082a8648ce3d040302"],
  ] as const) {
    const { privateKey, spki } = keys(kind);
    const info = toSequence(fromHex("020100"), toSequence(), spki, toAttributes());
    verifyCsr(readCsr(toSequence(info, fromHex(algorithm), toBitString(sign(hash, info, privateKey)))));
  }
});

test("key usages are tolerated with Istio's values", () => {
  for (const extra of [
    keyUsage("0780"),
    keyUsage("05a0"),
    extension(15, fromHex("03020780"), notCritical),
    usages(serverAuth),
    usages(clientAuth, serverAuth),
  ]) {
    const csr = readCsr(buildCsr({ extensions: [extra, san(uriName(uri))] }));
    assert.equal(csr.identity, uri);
    verifyCsr(csr);
  }
});

const o = (text: string) =>
  toSequence(toElement(0x31, toSequence(fromHex("060355040a"), toElement(0x13, toAscii(text)))));
const good = () => san(uriName(uri));
const challenge = toSequence(fromHex("06092a864886f70d010907"), toElement(0x31, toElement(0x0c, toAscii("secret"))));

for (const [rule, parts] of [
  ["a version other than 1", { version: fromHex("020101") }],
  ["a subject with a name", { subject: o("x") }],
  [
    "a subject O= as UTF8String",
    { subject: toSequence(toElement(0x31, toSequence(fromHex("060355040a"), fromHex("0c00")))) },
  ],
  ["no attributes field", { attributes: new Uint8Array() }],
  ["another attribute", { attributes: toAttributes(challenge) }],
  ["another attribute beside", { attributes: toAttributes(challenge, attribute(toSequence(good()))) }],
  [
    "the extensionRequest twice",
    { attributes: toAttributes(attribute(toSequence(good())), attribute(toSequence(good()))) },
  ],
  ["an extensionRequest without a value", { attributes: toAttributes(attribute()) }],
  [
    "an extensionRequest of two values",
    { attributes: toAttributes(attribute(toSequence(good()), toSequence(good()))) },
  ],
  ["something behind its attributes", { attributes: Buffer.concat([toAttributes(), toElement(0xa1)]) }],
  ["no extension in its extensionRequest", { extensions: [] }],
  ["two SANs", { extensions: [good(), good()] }],
  ["two different SANs", { extensions: [good(), san(uriName("spiffe://other/a"))] }],
  ["two names in one SAN", { extensions: [san(uriName(uri), uriName(uri))] }],
  ["a DNS name beside the URI", { extensions: [san(uriName(uri), dnsName("a.example"))] }],
  ["a DNS name", { extensions: [san(dnsName("a.example"))] }],
  ["an empty SAN", { extensions: [san()] }],
  ["a SAN that is not critical", { extensions: [extension(17, toSequence(uriName(uri)), notCritical)] }],
  ["a critical FALSE written out", { extensions: [extension(17, toSequence(uriName(uri)), fromHex("010100"))] }],
  ["a critical BOOLEAN 0x01", { extensions: [extension(17, toSequence(uriName(uri)), fromHex("010101"))] }],
  [
    "something behind the SAN's names",
    { extensions: [extension(17, Buffer.concat([toSequence(uriName(uri)), fromHex("0500")]))] },
  ],
  [
    "something behind the SAN's value",
    { extensions: [toSequence(fromHex("0603551d110101ff"), toOctetString(toSequence(uriName(uri))), fromHex("0500"))] },
  ],
  ["basic constraints", { extensions: [good(), extension(19, toSequence())] }],
  ["basic constraints with cA", { extensions: [good(), extension(19, toSequence(fromHex("0101ff")))] }],
  ["an unknown extension", { extensions: [good(), extension(99, fromHex("0500"), notCritical)] }],
  ["keyCertSign", { extensions: [good(), keyUsage("0284")] }],
  ["keyEncipherment alone", { extensions: [good(), keyUsage("0520")] }],
  ["an empty key usage", { extensions: [good(), keyUsage("00")] }],
  ["a key usage with trailing zero bits", { extensions: [good(), keyUsage("0080")] }],
  ["the same key usage twice", { extensions: [keyUsage("0780"), good(), keyUsage("0780")] }],
  ["an empty extended key usage", { extensions: [good(), usages()] }],
  ["another extended key usage", { extensions: [good(), usages(serverAuth, "2b06010505070303")] }],
  ["the same extended key usage twice", { extensions: [good(), usages(serverAuth, serverAuth)] }],
  ["an identity with a comma", { extensions: [san(uriName("spiffe://td,evil/ns/a/sa/b"))] }],
  ["an identity beyond ASCII", { extensions: [san(uriName("spiffe://td/ns/a/sa/\xe9"))] }],
  ["an identity with a NUL", { extensions: [san(uriName("spiffe://td/ns/a/sa/b\0"))] }],
  ["an identity of 2049 bytes", { extensions: [san(uriName(`spiffe://td/${"a".repeat(2037)}`))] }],
  ["a URI of another scheme", { extensions: [san(uriName("https://td/ns/a/sa/b"))] }],
  ["more than 16 KiB", { extensions: [san(uriName(`spiffe://td/${"a".repeat(17_000)}`))] }],
  ["a signature algorithm of another key", { algorithm: fromHex("300d06092a864886f70d01010b0500") }],
  ["ECDSA with NULL parameters", { algorithm: fromHex("300c06082a8648ce3d0403020500") }],
  ["ECDSA with SHA-1", { algorithm: fromHex("300906072a8648ce3d0401") }],
  ["RSA without parameters", { key: keys("RSA-2048"), algorithm: fromHex("300b06092a864886f70d01010b") }],
  ["RSA with SHA-1", { key: keys("RSA-2048"), algorithm: fromHex("300d06092a864886f70d0101050500") }],
] as const) {
  test(`a CSR with ${rule} is refused`, () => {
    assert.throws(() => readCsr(buildCsr(parts)), malformed);
  });
}

test("a CSR of bytes that are not DER is refused", () => {
  const der = buildCsr();
  const hex = Buffer.from(der).toString("hex");
  const body = hex.slice(8);
  assert.equal(hex.slice(0, 4), "3082");
  for (const other of [
    `${hex}00`,
    `${hex}${hex}`,
    `308300${hex.slice(4)}`,
    `3080${hex.slice(8)}0000`,
    `3084000${hex.slice(4, 5)}${hex.slice(5)}`,
    body,
    "",
    "3000",
  ]) {
    assert.throws(() => readCsr(fromHex(other)), malformed);
  }
  // The 91 bytes of the key with their length in two octets: the outer lengths are mended, the signature made anew.
  const spki = Buffer.concat([fromHex("308159"), keys("P-256").spki.subarray(2)]);
  assert.throws(() => readCsr(buildCsr({ spki })), malformed);
});

test("a CSR with a key we do not certify is refused for its key", () => {
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "der", type: "spki" });
  const wrongCurve = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey.export({
    format: "der",
    type: "spki",
  });
  const p521 = generateKeyPairSync("ec", { namedCurve: "P-521" }).publicKey.export({ format: "der", type: "spki" });
  const exponentOne = replaceHex(keys("RSA-2048").spki, "0203010001", "0203000001");
  for (const spki of [weak, wrongCurve, p521]) assert.throws(() => readCsr(buildCsr({ spki })), csrKey);
  assert.throws(() => readCsr(buildCsr({ key: keys("RSA-2048"), spki: exponentOne })), malformed);
});

test("a point that is not on its curve is refused for its key, without an OpenSSL error", () => {
  for (const kind of ["P-256", "P-384"] as const) {
    const { spki } = keys(kind);
    const csr = readCsr(buildCsr({ key: keys(kind), spki: flipBit(spki, spki.length * 8 - 1) }));
    assert.throws(() => verifyCsr(csr), csrKey);
    const zero = Uint8Array.from(spki).fill(0, spki.length - (kind === "P-256" ? 64 : 96));
    assert.throws(() => verifyCsr(readCsr(buildCsr({ key: keys(kind), spki: zero }))), csrKey);
  }
});

for (const kind of quickKinds) {
  test(`a CSR with a signature by another key ${kind} is refused`, () => {
    const other = makeKey(kind);
    const csr = readCsr(buildCsr({ key: other, spki: keys(kind).spki }));
    assert.throws(() => verifyCsr(csr), csrSignature);
  });
}

test("a signature that is no signature is refused as such", () => {
  for (const kind of quickKinds) {
    const csr = readCsr(buildCsr({ key: keys(kind) }));
    for (const signature of [
      new Uint8Array(),
      new Uint8Array(1),
      new Uint8Array(64),
      new Uint8Array(5000),
      fromHex("3006020101020101"),
      fromHex("3006020100020100"),
    ]) {
      assert.throws(() => verifyCsr({ ...csr, signature }), csrSignature, kind);
    }
  }
});

test("a CSR truncated at any length is refused", () => {
  for (const { der } of real) {
    const step = der.length > 500 ? 3 : 1;
    for (let length = 0; length < der.length; length += step)
      assert.throws(() => readCsr(der.subarray(0, length)), malformed);
  }
});

function isAccepted(der: Uint8Array): boolean {
  try {
    verifyCsr(readCsr(der));
    return true;
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return false;
  }
}

for (const [kind, step] of [
  ["P-256", 1],
  ["P-384", 3],
  ["Ed25519", 1],
] as const) {
  test(`a CSR by ${kind} with ${step === 1 ? "any one" : "a"} bit flipped is refused`, () => {
    const der = toCsr({ privateKey: keys(kind).privateKey, uri, subject: "istio" });
    assert.ok(isAccepted(der));
    for (let bit = 0; bit < der.length * 8; bit += step)
      assert.equal(isAccepted(flipBit(der, bit)), false, `bit ${bit}`);
  });
}

test("a CSR by RSA with any one bit flipped outside its modulus is refused", () => {
  const { privateKey, spki } = keys("RSA-2048");
  const der = toCsr({ privateKey, uri });
  const key = Buffer.from(der).indexOf(spki);
  for (let bit = 0; bit < der.length * 8; bit++) {
    const inModulus = bit > (key + 60) * 8 && bit < (key + 250) * 8 && bit % 61 !== 0;
    if (!inModulus) assert.equal(isAccepted(flipBit(der, bit)), false, `bit ${bit}`);
  }
});

const ders = real.map(({ der }) => der);

test("what is read is never what pkijs refuses, nor another key or name than it reads", () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.constantFrom(...ders), mutations, (start, done) => {
      const der = mutate(start, done, ders);
      let csr: ReturnType<typeof readCsr>;
      try {
        csr = readCsr(der);
      } catch (error) {
        assert.ok(error instanceof Refusal, String(error));
        return;
      }
      accepted += 1;
      const oracle = csrByPkijs(der);
      assert.deepEqual(Uint8Array.from(csr.spki), oracle.spki);
      assert.deepEqual(csr.identity === undefined ? [] : [`uri:${csr.identity}`], oracle.names);
    }),
    { numRuns: 3000 },
  );
  assert.ok(accepted > 300, `only ${accepted} were read, so this says little`);
});
