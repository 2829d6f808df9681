import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import { fromHex, toBitString, toElement, toSequence } from "../../src/pki/encode.ts";
import { keyBits, readPublicKey, toKeyId } from "../../src/pki/key.ts";
import { flipBit, keyKinds, keys } from "../support/pki.ts";

const refused = { name: "Refusal", code: "csr-key" };
const spkiDer = { format: "der", type: "spki" } as const;

for (const kind of keyKinds) {
  test(`a key ${kind} as node:crypto writes it is accepted`, () => {
    assert.equal(readPublicKey(keys(kind).spki), kind);
  });
}

for (const namedCurve of ["P-521", "secp256k1", "brainpoolP256r1", "prime192v1"]) {
  test(`a key on ${namedCurve} is refused`, () => {
    assert.throws(() => readPublicKey(generateKeyPairSync("ec", { namedCurve }).publicKey.export(spkiDer)), refused);
  });
}

for (const type of ["ed448", "x25519", "dsa"] as const) {
  test(`a key ${type} is refused`, () => {
    const { publicKey } =
      type === "dsa"
        ? generateKeyPairSync("dsa", { modulusLength: 1024, divisorLength: 160 })
        : type === "ed448"
          ? generateKeyPairSync("ed448")
          : generateKeyPairSync("x25519");
    assert.throws(() => readPublicKey(publicKey.export(spkiDer)), refused);
  });
}

for (const modulusLength of [1024, 1536, 2047, 2056]) {
  test(`an RSA key of ${modulusLength} bits is refused`, () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength });
    assert.throws(() => readPublicKey(publicKey.export(spkiDer)), refused);
  });
}

test("an RSA-PSS key is refused", () => {
  const { publicKey } = generateKeyPairSync("rsa-pss", { modulusLength: 2048 });
  assert.throws(() => readPublicKey(publicKey.export(spkiDer)), refused);
});

const modulus = Uint8Array.from([0, 0xc5, ...new Uint8Array(254).fill(0x77), 0x01]);

function rsa(n: Uint8Array, exponent: string): Uint8Array {
  const key = toSequence(toElement(2, n), toElement(2, fromHex(exponent)));
  return toSequence(fromHex("300d06092a864886f70d0101010500"), toBitString(key));
}

test("an RSA exponent is odd and from 65537 to 2^32 - 1", () => {
  for (const exponent of ["010001", "010003", "00ffffffff"])
    assert.equal(readPublicKey(rsa(modulus, exponent)), "RSA-2048");
  for (const exponent of ["00", "01", "03", "11", "010000", "00ffff", "00fffffffe", "0100000001", "ff", "80000001"]) {
    assert.throws(() => readPublicKey(rsa(modulus, exponent)), refused, exponent);
  }
  assert.throws(() => readPublicKey(rsa(modulus, "00".repeat(4) + "010001")), { code: "malformed" });
});

test("an RSA modulus is odd and positive", () => {
  assert.throws(() => readPublicKey(rsa(flipBit(modulus, modulus.length * 8 - 1), "010001")), refused);
  assert.throws(() => readPublicKey(rsa(modulus.subarray(1), "010001")), refused);
  const negative = Uint8Array.from(modulus);
  negative[0] = 0x80;
  assert.throws(() => readPublicKey(rsa(negative, "010001")), refused);
});

test("an RSA key has NULL parameters and nothing beside", () => {
  const key = toSequence(toElement(2, modulus), toElement(2, fromHex("010001")));
  const absent = toSequence(fromHex("300b06092a864886f70d010101"), toBitString(key));
  assert.throws(() => readPublicKey(absent), refused);
  const longer = toSequence(toElement(2, modulus), toElement(2, fromHex("010001")), toElement(2, fromHex("01")));
  assert.throws(() => readPublicKey(toSequence(fromHex("300d06092a864886f70d0101010500"), toBitString(longer))), {
    code: "malformed",
  });
});

test("a compressed or hybrid point, or explicit parameters, are refused", () => {
  const { spki } = keys("P-256");
  for (const form of [0x02, 0x03, 0x06, 0x00]) {
    const other = Uint8Array.from(spki);
    other[26] = form;
    assert.throws(() => readPublicKey(other), refused);
  }
  const compressed = toSequence(spki.subarray(2, 23), toBitString(Uint8Array.of(2, ...spki.subarray(27, 59))));
  assert.throws(() => readPublicKey(compressed), refused);
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256", paramEncoding: "explicit" });
  assert.throws(() => readPublicKey(publicKey.export(spkiDer)), refused);
});

for (const kind of keyKinds) {
  test(`the key bits of ${kind} are those pkijs finds, and so is what the identifier hashes`, async () => {
    const { spki } = keys(kind);
    const info = new pkijs.PublicKeyInfo({ schema: asn1js.fromBER(spki).result });
    const bits = new Uint8Array(info.subjectPublicKey.valueBlock.valueHexView);
    assert.deepEqual(Uint8Array.from(keyBits(spki)), bits);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bits)).subarray(0, 20);
    assert.deepEqual(Uint8Array.from(toKeyId(spki)), digest);
  });
}
