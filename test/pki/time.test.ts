import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { openDer } from "../../src/pki/der.ts";
import { toAscii, toElement, toTime } from "../../src/pki/encode.ts";
import { readTime } from "../../src/pki/time.ts";

const utc = (text: string) => readTime(openDer(toElement(0x17, toAscii(text)), "it"));
const generalized = (text: string) => readTime(openDer(toElement(0x18, toAscii(text)), "it"));
const malformed = { name: "Refusal", code: "malformed" };

test("UTCTime goes from 1950 through 2049", () => {
  assert.equal(utc("500101000000Z").toISOString(), "1950-01-01T00:00:00.000Z");
  assert.equal(utc("491231235959Z").toISOString(), "2049-12-31T23:59:59.000Z");
  assert.equal(utc("280229120000Z").toISOString(), "2028-02-29T12:00:00.000Z");
});

test("GeneralizedTime begins in 2050", () => {
  assert.equal(generalized("20500101000000Z").toISOString(), "2050-01-01T00:00:00.000Z");
  assert.equal(generalized("99991231235959Z").toISOString(), "9999-12-31T23:59:59.000Z");
  assert.throws(() => generalized("20491231235959Z"), malformed);
});

for (const text of [
  "2601010000Z",
  "260101000000+0100",
  "260101000000z",
  "260230000000Z",
  "261301000000Z",
  "260001000000Z",
  "260100000000Z",
  "260101240000Z",
  "260101006000Z",
  "260101000060Z",
  "26010100000 Z",
  "2601010000000Z",
  "",
]) {
  test(`UTCTime "${text}" is refused`, () => {
    assert.throws(() => utc(text), malformed);
  });
}

for (const text of ["20600101000000.123Z", "20600101000000", "206001010000Z", "20600101000000+0000"]) {
  test(`GeneralizedTime "${text}" is refused`, () => {
    assert.throws(() => generalized(text), malformed);
  });
}

test("what is written is read, to the second below", () => {
  const range = { min: new Date("1950-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true };
  fc.assert(
    fc.property(fc.date(range), (date) => {
      const read = readTime(openDer(toTime(date), "it"));
      assert.equal(read.getTime(), Math.floor(date.getTime() / 1000) * 1000);
    }),
  );
});

test("a time that a certificate cannot hold is not written", () => {
  assert.throws(() => toTime(new Date("1949-12-31T23:59:59Z")), /cannot be written/);
  assert.throws(() => toTime(new Date("+010000-01-01T00:00:00Z")), /cannot be written/);
});
