import assert from "node:assert/strict";
import { createHash, createHmac, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import * as fc from "fast-check";
import { Refusal } from "../../src/errors.ts";
import { clockSkewSeconds, readServiceAccount, type ServiceAccount } from "../../src/token/account.ts";
import { readJwks } from "../../src/token/jwk.ts";
import { createTokenIssuer, type TokenRequest } from "../support/kubernetes.ts";

const issuer = "https://kubernetes.default.svc";
const at = new Date("2026-11-21T10:00:00Z");
const kubernetes = {
  RS256: createTokenIssuer(issuer),
  ES256: createTokenIssuer(issuer, generateKeyPairSync("ec", { namedCurve: "P-256" })),
};
const keys = Object.values(kubernetes).flatMap((one) => readJwks(one.jwks));

function after(seconds: number): Date {
  return new Date(at.getTime() + seconds * 1000);
}

function mint(request: Partial<TokenRequest> = {}, by = kubernetes.ES256): string {
  return by.token({ namespace: "shop", serviceAccount: "cart", issuedAt: at, expiresInSeconds: 600, ...request });
}

function read(token: string, when = at, audiences: readonly string[] = ["istio-ca"]): ServiceAccount {
  return readServiceAccount(token, { issuer, audiences, keys, at: when });
}

/** A token with these bytes as its claims, signed as it should be. */
function signedClaims(claims: Readonly<Record<string, unknown>>): string {
  return mint({ claims });
}

for (const [alg, by] of Object.entries(kubernetes)) {
  test(`a token by ${alg} proves its account and pod, and is remembered by its hash`, () => {
    const token = mint({}, by);
    const account = read(token);
    assert.deepEqual([account.namespace, account.name, account.expiresAt], ["shop", "cart", after(600)]);
    assert.match(account.pod?.name ?? "", /^cart-/);
    assert.deepEqual(Buffer.from(account.tokenSha256), createHash("sha256").update(token).digest());
    assert.equal(read(mint({ pod: false }, by)).pod, undefined);
  });
}

test("clocks may differ by exactly 60 s, at either end", () => {
  assert.equal(clockSkewSeconds, 60);
  const token = mint();
  read(token, after(660));
  assert.throws(() => read(token, after(661)), { code: "proof-invalid", message: /expired/ });
  read(token, after(-60));
  assert.throws(() => read(token, after(-61)), { code: "proof-invalid", message: /not valid yet/ });
  const late = mint({ claims: { nbf: at.getTime() / 1000 + 60 } });
  read(late);
  assert.throws(() => read(mint({ claims: { iat: at.getTime() / 1000 + 61 } })), { code: "proof-invalid" });
});

test("one of the audiences is enough, as text or in a list", () => {
  read(mint({ claims: { aud: "istio-ca" } }));
  read(mint({ claims: { aud: ["vault", "istio-ca"] } }));
  read(mint({ audience: "b" }), at, ["a", "b"]);
  for (const aud of [undefined, null, "", [], "ISTIO-CA", ["istio-ca "], { "0": "istio-ca" }, 7])
    assert.throws(
      () => read(mint({ claims: { aud } })),
      { code: "proof-invalid", message: /audience/ },
      JSON.stringify(aud),
    );
  assert.throws(() => read(mint(), at, []), { code: "proof-invalid" });
});

test("a token is refused where any of its claims is not kube-apiserver's", () => {
  const bound = { namespace: "shop", serviceaccount: { name: "cart", uid: "1" } };
  const wrong: readonly Readonly<Record<string, unknown>>[] = [
    { exp: undefined },
    { exp: null },
    { exp: "1" },
    { exp: 1e300 },
    { exp: -1 },
    { nbf: "x" },
    { iat: {} },
    { iss: undefined },
    { iss: [issuer] },
    { iss: `${issuer}/` },
    { sub: undefined },
    { sub: ["system:serviceaccount:shop:cart"] },
    { sub: "system:serviceaccount:shop" },
    { sub: "system:serviceaccount::cart" },
    { sub: "system:serviceaccount:shop:cart:x" },
    {
      sub: "system:serviceaccount:shop:Cart",
      "kubernetes.io": { ...bound, serviceaccount: { name: "Cart", uid: "1" } },
    },
    {
      sub: "system:serviceaccount:shop:../x",
      "kubernetes.io": { ...bound, serviceaccount: { name: "../x", uid: "1" } },
    },
    { sub: "system:node:shop:cart" },
    { "kubernetes.io": undefined },
    { "kubernetes.io": [] },
    { "kubernetes.io": "x" },
    { "kubernetes.io": { ...bound, namespace: "bank" } },
    { "kubernetes.io": { ...bound, serviceaccount: { name: "admin", uid: "1" } } },
    { "kubernetes.io": { ...bound, serviceaccount: { name: "cart" } } },
    { "kubernetes.io": { ...bound, serviceaccount: "cart" } },
    { "kubernetes.io": { ...bound, pod: null } },
    { "kubernetes.io": { ...bound, pod: { name: "p", uid: "" } } },
    { "kubernetes.io": { ...bound, pod: { name: 7, uid: "1" } } },
  ];
  for (const claims of wrong)
    assert.throws(() => read(signedClaims(claims)), { name: "Refusal", code: "proof-invalid" }, JSON.stringify(claims));
});

test("no algorithm is taken but those of the table, by keys of their kind", () => {
  const [, payload = ""] = mint().split(".");
  const encode = (header: unknown): string => Buffer.from(JSON.stringify(header)).toString("base64url");
  const publicPem = JSON.stringify(kubernetes.RS256.jwks.keys[0]);
  for (const alg of [
    "none",
    "None",
    "NONE",
    "",
    "HS256",
    "hs256",
    "PS256",
    "EdDSA",
    "ES512",
    "toString",
    "__proto__",
  ]) {
    const signed = `${encode({ alg })}.${payload}`;
    const mac = createHmac("sha256", publicPem).update(signed).digest("base64url");
    for (const signature of ["", mac]) {
      assert.throws(() => read(`${signed}.${signature}`), { code: "proof-invalid", message: /its alg is not/ }, alg);
    }
  }
  for (const [by, alg] of [
    ["RS256", "ES256"],
    ["ES256", "RS256"],
    ["ES256", "ES384"],
    ["RS256", "RS512"],
  ] as const) {
    assert.throws(() => read(mint({ header: { alg } }, kubernetes[by])), { code: "proof-invalid" }, `${by} as ${alg}`);
  }
  assert.throws(() => read(mint({ header: { kid: "another" } })), { code: "proof-invalid" });
  read(mint({ header: { kid: undefined } }));
  assert.throws(() => readServiceAccount(mint(), { issuer, audiences: ["istio-ca"], keys: [], at }), {
    code: "proof-invalid",
  });
});

test("the key that a header brings along is not looked at", () => {
  const own = createTokenIssuer(issuer, generateKeyPairSync("ec", { namedCurve: "P-256" }));
  for (const header of [{ jwk: own.jwks.keys[0] }, { jku: "https://evil.example" }, { x5c: ["AAAA"] }, { crit: [] }])
    assert.throws(() => read(mint({ header }, own)), { code: "proof-invalid" });
});

test("no bit of a token can be flipped, and no token has a second spelling", () => {
  const token = mint();
  for (let bit = 0; bit < token.length * 8; bit += 3) {
    const bytes = Buffer.from(token, "latin1");
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.throws(() => read(bytes.toString("latin1")), { name: "Refusal", code: "proof-invalid" }, `bit ${bit}`);
  }
  for (const other of [`${token}=`, `${token}\n`, ` ${token}`, `${token}.`, token.replaceAll("-", "+"), `${token}A`]) {
    if (other !== token) assert.throws(() => read(other), { code: "proof-invalid" });
  }
  for (let length = 1; length < token.length; length += 7)
    assert.throws(() => read(token.slice(0, length)), { code: "proof-invalid" });
  assert.throws(() => read(""), { code: "proof-missing" });
});

test("whatever is sent is an account or a refusal that quotes nothing of it", () => {
  const token = mint();
  const part = fc.oneof(
    fc.constantFrom(...token.split(".")),
    fc.json().map((text) => Buffer.from(text).toString("base64url")),
    fc.string({ unit: "binary" }),
    fc.base64String(),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      const text = parts.join(".");
      if (text === token) return;
      try {
        read(text);
        assert.fail("it was accepted");
      } catch (error) {
        assert.ok(error instanceof Refusal, String(error));
        assert.ok(text.length < 20 || !error.message.includes(text));
      }
    }),
    { numRuns: 2000 },
  );
});

test("whatever well-signed claims say, no account comes of them but the one their subject names", () => {
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom("shop", "cart", "system:serviceaccount:shop:cart"),
  );
  const names = ["aud", "exp", "nbf", "iat", "iss", "sub", "kubernetes.io"];
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 3 }), (claims) => {
      try {
        const { namespace, name } = read(signedClaims(claims));
        assert.deepEqual([namespace, name], ["shop", "cart"]);
      } catch (error) {
        assert.ok(error instanceof Refusal && error.code === "proof-invalid", String(error));
      }
    }),
    { numRuns: 500 },
  );
});
