import assert from "node:assert/strict";
import { test } from "node:test";
import { bigInt, assert as check, property } from "fast-check";
import { readSerial } from "../../src/pki/serial.ts";

for (const [title, text, octets] of [
  ["lower case is as it is", "34a19f0012", "34a19f0012"],
  ["upper case, as OpenSSL and Go write it", "34A19F0012", "34a19f0012"],
  ["colons, as openssl x509 -text has them", "34:A1:9f:00:12", "34a19f0012"],
  ["0x and spaces", "0x34 a1 9f 00 12", "34a19f0012"],
  ["an odd number of digits", "1", "01"],
  ["leading zeros", "0000000034a1", "34a1"],
  ["the highest bit is the sign", "ff00", "00ff00"],
  ["with the sign's octet shown", "00:ff:00", "00ff00"],
  ["zero", "0", "00"],
  ["20 octets", "7f".repeat(20), "7f".repeat(20)],
  ["21 octets", "01".repeat(21), undefined],
  ["20 octets that need a 21st for the sign", "ff".repeat(20), undefined],
  ["nothing", "", undefined],
  ["only 0x", "0x", undefined],
  ["SQL", "1' OR '1'='1", undefined],
  ["a number below zero", "-1", undefined],
  ["digits of another script", "١٢", undefined],
  ["no end of zeros", "0".repeat(10_000), undefined],
] as const) {
  test(`a serial number: ${title}`, () => assert.equal(readSerial(text), octets));
}

test("what is read is minimal DER, and reads as itself", () => {
  check(
    property(bigInt({ min: 1n, max: 2n ** 159n - 1n }), (value) => {
      const hex = readSerial(value.toString(16));
      assert.ok(hex !== undefined && hex.length % 2 === 0);
      assert.equal(BigInt(`0x${hex}`), value);
      assert.match(hex, /^(?:0[0-9a-f]|[1-7][0-9a-f]|00[89a-f])/);
      assert.doesNotMatch(hex, /^00[0-7]/);
      assert.equal(readSerial(hex), hex);
    }),
  );
});
