import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import * as fc from "fast-check";
import { Refusal } from "../../src/errors.ts";
import { readJwk, readJwks, toJwks } from "../../src/token/jwk.ts";

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

// RFC 7638 3.1
const example = {
  kty: "RSA",
  n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
  e: "AQAB",
  alg: "RS256",
  kid: "2011-04-29",
};

test("the thumbprint is the one of RFC 7638's example", () => {
  const { thumbprint, kid } = readJwk(example);
  assert.equal(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  assert.equal(kid, "2011-04-29");
});

test("a key has one thumbprint however it is written", () => {
  const padded = Buffer.concat([Buffer.alloc(1), Buffer.from(example.n, "base64url")]).toString("base64url");
  assert.equal(readJwk({ ...example, n: padded }).thumbprint, readJwk(example).thumbprint);
});

test("a private key is refused, loudly and without quoting it", () => {
  for (const key of [ec.privateKey, rsa.privateKey]) {
    const jwk = key.export({ format: "jwk" });
    assert.throws(
      () => readJwks({ keys: [jwk] }),
      (error: Error) =>
        /private member "d": only public keys/.test(error.message) && !error.message.includes(jwk.d ?? "?"),
    );
  }
});

const publicEc = ec.publicKey.export({ format: "jwk" });
const refused: readonly (readonly [string, unknown, RegExp])[] = [
  ["a shared secret", { kty: "oct", k: "c2VjcmV0" }, /private member "k"/],
  ["an OKP key", generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }), /kty is not RSA or EC/],
  [
    "RSA of 1024 bits",
    generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "jwk" }),
    /1024 bits/,
  ],
  ["a small exponent", { ...example, e: "Aw" }, /exponent/],
  ["an exponent as long as the modulus", { ...example, e: Buffer.alloc(256, 0x5f).toString("base64url") }, /exponent/],
  ["P-521", generateKeyPairSync("ec", { namedCurve: "P-521" }).publicKey.export({ format: "jwk" }), /P-256 or P-384/],
  ["a point off the curve", { ...publicEc, y: publicEc.x }, /no public key/],
  ["a key for encryption", { ...publicEc, use: "enc" }, /use is not "sig"/],
  ["a number as kid", { ...publicEc, kid: 7 }, /kid/],
  ["a list", [publicEc], /not an object/],
];
for (const [what, jwk, rule] of refused) test(`${what} is refused`, () => assert.throws(() => readJwk(jwk), rule));

test("a set is read from text or from an object, and not from anything else", () => {
  assert.equal(readJwks(JSON.stringify({ keys: [publicEc] })).length, 1);
  assert.equal(readJwks({ keys: [publicEc, example] }).length, 2);
  for (const wrong of ["", "{", "null", "[]", "{}", '{"keys":{}}', '{"keys":[]}', null, undefined]) {
    assert.throws(() => readJwks(wrong), { code: "malformed" });
  }
});

test("a set of more keys than one bad token may be tried with is refused", () => {
  assert.equal(readJwks({ keys: Array.from({ length: 16 }, () => publicEc) }).length, 16);
  assert.throws(() => readJwks({ keys: Array.from({ length: 17 }, () => publicEc) }), /more than 16 keys/);
});

test("whatever is sent, a set is refused by its rule, or is public keys that are read again as they are", () => {
  const member = fc.constantFrom(
    "kty",
    "crv",
    "x",
    "y",
    "n",
    "e",
    "use",
    "key_ops",
    "kid",
    "d",
    "k",
    "alg",
    "__proto__",
  );
  const value = fc.oneof(
    fc.constantFrom<unknown>("RSA", "EC", "P-384", "sig", "AQAB", ["verify"], example.n, publicEc.x, ""),
    fc.anything(),
  );
  const key = fc
    .tuple(
      fc.constantFrom(example, publicEc, rsa.publicKey.export({ format: "jwk" })),
      fc.dictionary(member, value, { maxKeys: 2 }),
    )
    .map(([good, changes]) => ({ ...good, ...changes }));
  const set = fc.oneof(
    { weight: 8, arbitrary: fc.array(key, { maxLength: 3 }).map((keys) => ({ keys })) },
    fc.anything(),
    fc.json(),
    fc.string(),
  );
  let accepted = 0;
  fc.assert(
    fc.property(set, (input) => {
      let keys: ReturnType<typeof readJwks>;
      try {
        keys = readJwks(input);
      } catch (error) {
        assert.ok(error instanceof Refusal && error.code === "malformed", String(error));
        assert.ok(!error.message.includes(example.n), "a key is quoted");
        return;
      }
      accepted += 1;
      for (const { key, jwk, kid } of keys) {
        assert.equal(key.type, "public");
        assert.deepEqual({ ...key.export({ format: "jwk" }) }, { ...jwk });
        assert.ok(Object.keys(jwk).every((name) => ["kty", "crv", "x", "y", "n", "e"].includes(name)));
        assert.ok(kid === undefined || kid.length <= 256);
      }
      const again = readJwks(toJwks(keys));
      const told = ({ thumbprint, kid }: (typeof keys)[number]) => ({ thumbprint, kid });
      assert.deepEqual(again.map(told), keys.map(told));
    }),
    { numRuns: 1000 },
  );
  assert.ok(accepted > 100, `only ${accepted} were read, so this says little`);
});
