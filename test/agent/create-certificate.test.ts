import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, X509Certificate } from "node:crypto";
import { test } from "node:test";
import type { RefusalCode } from "../../src/errors.ts";
import { toElement, toSequence } from "../../src/pki/encode.ts";
import { toPem } from "../../src/pki/pem.ts";
import { ago } from "../support/clock.ts";
import {
  agentToken,
  checkout,
  checkoutId,
  clusterDocument,
  clusterTokens,
  podToken,
  tokenIssuerUrl,
  usualDocuments,
} from "../support/documents.ts";
import {
  attribute,
  buildCsr,
  type CsrParts,
  dnsName,
  flipBit,
  keys,
  san,
  toAttributes,
  uriName,
} from "../support/pki.ts";
import { startStack } from "../support/stack.ts";
import { assertTraces, traces } from "../support/traces.ts";
import { type AskOptions, assertIssued, assertRefused, csrFor } from "../support/workload.ts";

interface Case {
  readonly title: string;
  readonly ask: AskOptions;
  readonly code: RefusalCode;
  /** Who refuses it: what the agent can see, it does not send on. */
  readonly at: "agent" | "issuer";
  readonly message?: RegExp;
}

const good = (): Uint8Array => san(uriName(checkoutId));
const built = (parts: CsrParts): Uint8Array => buildCsr({ extensions: [good()], ...parts });
const named = (uri: string): Uint8Array => buildCsr({ extensions: [san(uriName(uri))] });
const spki = (type: "rsa" | "ec", options: { modulusLength: number; namedCurve: string }): Uint8Array => {
  const { publicKey } = type === "rsa" ? generateKeyPairSync("rsa", options) : generateKeyPairSync("ec", options);
  return publicKey.export({ format: "der", type: "spki" });
};
const sound = csrFor();

const csrs: readonly Case[] = [
  ...[0, 1, 2, 40, sound.length >> 1, sound.length - 1].map(
    (length): Case => ({
      title: `a CSR cut at ${length} of its bytes`,
      ask: { csr: sound.subarray(0, length) },
      code: "malformed",
      at: "agent",
    }),
  ),
  {
    title: "a CSR with a byte behind it",
    ask: { csr: Buffer.concat([sound, Buffer.alloc(1)]) },
    code: "malformed",
    at: "agent",
  },
  {
    title: "two CSRs in one PEM",
    ask: { csr: toPem("CERTIFICATE REQUEST", sound).repeat(2) },
    code: "malformed",
    at: "agent",
  },
  { title: "a CSR that is not PEM", ask: { csr: "garbage" }, code: "malformed", at: "agent" },
  { title: "no CSR", ask: { csr: "" }, code: "malformed", at: "agent" },
  {
    title: "a certificate's label on a CSR",
    ask: { csr: toPem("CERTIFICATE", sound) },
    code: "malformed",
    at: "agent",
  },
  { title: "two SANs", ask: { csr: built({ extensions: [good(), good()] }) }, code: "malformed", at: "agent" },
  {
    title: "two names in one SAN",
    ask: {
      csr: built({ extensions: [san(uriName(checkoutId), uriName("spiffe://media.example/ns/media/sa/player"))] }),
    },
    code: "malformed",
    at: "agent",
  },
  {
    title: "a DNS name beside the identity",
    ask: { csr: built({ extensions: [san(uriName(checkoutId), dnsName("istiod.istio-system.svc"))] }) },
    code: "malformed",
    at: "agent",
  },
  {
    title: "the SAN attribute twice",
    ask: { csr: built({ attributes: toAttributes(attribute(toSequence(good())), attribute(toSequence(good()))) }) },
    code: "malformed",
    at: "agent",
  },
  {
    title: "no SAN",
    ask: { csr: buildCsr({ attributes: toAttributes() }) },
    code: "malformed",
    at: "agent",
    message: /no identity/,
  },
  {
    title: "a version that is none",
    ask: { csr: built({ version: Uint8Array.of(2, 1, 7) }) },
    code: "malformed",
    at: "agent",
  },
  {
    title: "an RSA key of 1024 bits",
    ask: { csr: built({ spki: spki("rsa", { modulusLength: 1024, namedCurve: "" }), key: keys("RSA-2048") }) },
    code: "csr-key",
    at: "agent",
  },
  {
    title: "a key on secp256k1",
    ask: { csr: built({ spki: spki("ec", { modulusLength: 0, namedCurve: "secp256k1" }) }) },
    code: "csr-key",
    at: "agent",
  },
  {
    title: "a key on P-521",
    ask: { csr: built({ spki: spki("ec", { modulusLength: 0, namedCurve: "P-521" }) }) },
    code: "csr-key",
    at: "agent",
  },
  {
    title: "an RSA key with exponent 1",
    ask: {
      csr: built({
        key: keys("RSA-2048"),
        spki: shortExponent(keys("RSA-2048").spki),
      }),
    },
    code: "csr-key",
    at: "agent",
  },
  {
    title: "a point that is not on its curve",
    ask: { csr: built({ spki: flipBit(keys("P-256").spki, keys("P-256").spki.length * 8 - 1) }) },
    code: "csr-key",
    at: "issuer",
  },
  {
    title: "a signature by another key",
    ask: { csr: built({ spki: keys("P-384").spki, key: keys("P-256") }) },
    code: "csr-signature",
    at: "issuer",
  },
  {
    title: "a signature with one bit flipped",
    ask: { csr: flipBit(sound, sound.length * 8 - 1) },
    code: "csr-signature",
    at: "issuer",
  },
  {
    title: "an identity beyond ASCII",
    ask: { csr: named("spiffe://payments.example/ns/pay-shop/sa/ch\xe9ckout") },
    code: "malformed",
    at: "agent",
  },
  {
    title: "an identity of 2049 bytes",
    ask: { csr: named(`spiffe://td/${"a".repeat(2037)}`) },
    code: "malformed",
    at: "agent",
    message: /longer than 2048 bytes/,
  },
  {
    title: "a comma in the trust domain, which istiod's SAN builder would split at",
    ask: { csr: named("spiffe://td,evil/ns/pay-shop/sa/checkout") },
    code: "malformed",
    at: "agent",
  },
  {
    title: "a dot segment",
    ask: { csr: named("spiffe://payments.example/ns/../sa/checkout") },
    code: "malformed",
    at: "agent",
  },
  {
    title: "an escaped slash",
    ask: { csr: named("spiffe://payments.example/ns/pay-shop%2fsa/sa/checkout") },
    code: "malformed",
    at: "agent",
  },
  {
    title: "an identity of 2048 bytes, well-formed and not the caller's",
    ask: { csr: named(`spiffe://td/${"a".repeat(2036)}`) },
    code: "identity-denied",
    at: "issuer",
  },
  {
    title: "the identity of another tenant",
    ask: { csr: csrFor("spiffe://media.example/ns/media/sa/player") },
    code: "identity-denied",
    at: "issuer",
  },
  {
    title: "the caller's own namespace and account in another trust domain",
    ask: { csr: csrFor("spiffe://media.example/ns/pay-shop/sa/checkout") },
    code: "identity-denied",
    at: "issuer",
  },
  {
    title: "another account of the caller's namespace",
    ask: { csr: csrFor(`${checkoutId}-else`) },
    code: "identity-denied",
    at: "issuer",
  },
];

function shortExponent(der: Uint8Array): Uint8Array {
  // The exponent 65537 becomes 1 with the two bytes it then lacks taken off every length around it.
  const { n = "" } = keys("RSA-2048").privateKey.export({ format: "jwk" });
  const modulus = toElement(2, Uint8Array.of(0), Buffer.from(n, "base64url"));
  const key = toSequence(modulus, Uint8Array.of(2, 1, 1));
  return toSequence(der.subarray(4, 19), toElement(3, Uint8Array.of(0), key));
}

const [, payload = ""] = podToken().split(".");
const header = (fields: object): string => Buffer.from(JSON.stringify(fields)).toString("base64url");
const hs256 = (): string => {
  const signed = `${header({ alg: "HS256", typ: "JWT" })}.${payload}`;
  const secret = JSON.stringify(clusterTokens("east").jwks.keys[0]);
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
};
const token = (overrides: Parameters<typeof podToken>[1]): string => podToken("east", overrides);
const bitOf = (text: string, part: number): string => {
  const parts = text.split(".");
  const bytes = Buffer.from(parts[part] ?? "", "base64url");
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  parts[part] = bytes.toString("base64url");
  return parts.join(".");
};

const tokens: readonly Case[] = [
  ["no token", undefined, "proof-missing"],
  ["an empty token", "", "proof-missing"],
  ["a token that is none", "garbage", "proof-invalid"],
  ["a token of two parts", "a.b", "proof-invalid"],
  ["a token of four parts", `${podToken()}.e30`, "proof-invalid"],
  ["a token with alg none and no signature", `${header({ alg: "none" })}.${payload}.`, "proof-invalid"],
  ["a token with alg none and a signature", `${header({ alg: "none" })}.${payload}.AAAA`, "proof-invalid"],
  ["a token with alg None", `${header({ alg: "None" })}.${payload}.`, "proof-invalid"],
  ["a token with HS256 over the public key", hs256(), "proof-invalid"],
  ["a token with RS256 by an EC key", token({ header: { alg: "RS256" } }), "proof-invalid"],
  ["a token whose alg is a list", token({ header: { alg: ["ES256"] } }), "proof-invalid"],
  ["a token with critical header members", token({ header: { crit: ["exp"] } }), "proof-invalid"],
  [
    "a token with a key of its own",
    token({ header: { kid: "other", jwk: clusterTokens("west").jwks.keys[0] } }),
    "proof-invalid",
  ],
  ["a token with a bit of its header flipped", bitOf(podToken(), 0), "proof-invalid"],
  ["a token with a bit of its claims flipped", bitOf(podToken(), 1), "proof-invalid"],
  ["a token with a bit of its signature flipped", bitOf(podToken(), 2), "proof-invalid"],
  ["a token whose signature is in DER", `${header({ alg: "ES256" })}.${payload}.MEUCIQ`, "proof-invalid"],
  ["a token with padding", `${podToken()}=`, "proof-invalid"],
  ["a token of more than 8 KiB", token({ claims: { padding: "a".repeat(8 * 1024) } }), "proof-invalid"],
  ["a token without exp", token({ claims: { exp: undefined } }), "proof-invalid"],
  ["a token whose exp is text", token({ claims: { exp: "4000000000" } }), "proof-invalid"],
  ["a token whose exp is beyond all time", token({ claims: { exp: 1e300 } }), "proof-invalid"],
  ["a token that expired 70 s ago", token({ issuedAt: ago(3600 + 70) }), "proof-invalid"],
  ["a token that begins in an hour", token({ issuedAt: ago(-3600) }), "proof-invalid"],
  ["a token whose nbf is null", token({ claims: { nbf: null } }), "proof-invalid"],
  ["a token for the API server", token({ audience: "https://kubernetes.default.svc" }), "proof-invalid"],
  ["a token for nobody", token({ claims: { aud: undefined } }), "proof-invalid"],
  ["a token for a list of lists", token({ claims: { aud: [["istio-ca"]] } }), "proof-invalid"],
  ["a token of another issuer", token({ claims: { iss: "https://evil.example" } }), "proof-invalid"],
  ["a token of another cluster", podToken("west"), "proof-invalid"],
  ["the agent's own token", agentToken("east"), "proof-invalid"],
  ["a user's token", token({ claims: { sub: "admin" } }), "proof-invalid"],
  [
    "a token whose subject has a part too many",
    token({ claims: { sub: "system:serviceaccount:pay-shop:checkout:x" } }),
    "proof-invalid",
  ],
  [
    "a token whose subject and claims differ",
    token({ claims: { sub: "system:serviceaccount:pay-shop:admin" } }),
    "proof-invalid",
  ],
  ["a token without the cluster's claims", token({ claims: { "kubernetes.io": undefined } }), "proof-invalid"],
  [
    "a token bound to a pod without a uid",
    token({
      claims: {
        "kubernetes.io": {
          namespace: checkout.namespace,
          serviceaccount: { name: checkout.serviceAccount, uid: "1" },
          pod: { name: "p" },
        },
      },
    }),
    "proof-invalid",
  ],
].map(
  ([title, text, code]): Case => ({
    title: `${title}`,
    ask: { token: text },
    code: code === "proof-missing" ? code : "proof-invalid",
    at: "agent",
  }),
);

const policy: readonly Case[] = [
  {
    title: "a clusterid header that names another cluster",
    ask: { headers: { clusterid: "west" } },
    code: "proof-invalid",
    at: "agent",
    message: /clusterid header/,
  },
  {
    title: "a namespace that no tenant has",
    ask: {
      token: token({ namespace: "kube-system", serviceAccount: "default" }),
      csr: csrFor("spiffe://payments.example/ns/kube-system/sa/default"),
    },
    code: "no-rule",
    at: "issuer",
  },
  {
    title: "the CertSigner of another tenant",
    ask: { metadata: { CertSigner: "media" } },
    code: "signer-denied",
    at: "issuer",
  },
  {
    title: "the CertSigner of nobody",
    ask: { metadata: { CertSigner: "nobody" } },
    code: "signer-denied",
    at: "issuer",
  },
  {
    title: "a CertSigner that is cut inside a character",
    ask: { metadata: { CertSigner: `${"a".repeat(62)}\u{1f332}` } },
    code: "signer-denied",
    at: "issuer",
  },
  {
    title: "a CertSigner of 254 characters",
    ask: { metadata: { CertSigner: "a".repeat(254) } },
    code: "malformed",
    at: "agent",
  },
  {
    title: "an impersonated identity, and is told that this agent serves none",
    ask: { metadata: { ImpersonatedIdentity: checkoutId } },
    code: "impersonation-refused",
    at: "agent",
    message: /no Kubernetes API to check/,
  },
];

test("hostile requests get their code, a line, a count and nothing in the ledger", async (t) => {
  await using stack = await startStack({ clusters: ["east"] });
  const workload = await stack.workload("east");
  for (const { title, ask, code, at, message } of [...csrs, ...tokens, ...policy]) {
    await t.test(`${title} is refused`, async () => {
      const before = await traces(stack);
      assertRefused(await workload.ask(ask), code, message);
      await assertTraces(stack, before, code, at);
    });
  }

  for (const { title, bytes } of [
    { title: "a message of more than 64 KiB", bytes: Buffer.alloc(64 * 1024 + 1) },
    { title: "a message of 1 MiB", bytes: Buffer.alloc(1024 * 1024) },
    { title: "a message that is not protobuf", bytes: Buffer.from("ffffffffff", "hex") },
    { title: "a message cut in a field", bytes: Buffer.from("0a7f41", "hex") },
  ]) {
    await t.test(`${title} is refused`, async () => {
      const before = await traces(stack);
      assertRefused(await workload.send(bytes), "malformed");
      await assertTraces(stack, before, "malformed", "agent");
    });
  }

  await t.test("and after all of it the caller gets its certificate", async () => {
    assertIssued(await workload.ask());
    assert.ok((await stack.site.verify()).length > 0);
  });
});

test("what Istio's clients send beside the CSR is taken as they mean it", async (t) => {
  await using stack = await startStack({
    agent: { tokens: { audiences: ["istio-ca", "vault"] }, config: { aliases: ["Kubernetes"] } },
  });
  const workload = await stack.workload("east");
  const seconds = async (validity: string): Promise<number> => {
    const [leaf = ""] = assertIssued(await workload.ask({ validity }));
    const { validFromDate, validToDate } = new X509Certificate(leaf);
    return (validToDate.getTime() - validFromDate.getTime()) / 1000 - 120;
  };
  for (const [validity, expected, why] of [
    ["0", 86_400, "the default"],
    ["-1", 86_400, "the default"],
    ["-9223372036854775808", 86_400, "the default"],
    ["1", 600, "raised to the minimum"],
    ["601", 601, "given"],
    ["9223372036854775807", 60 * 86_400, "clamped to the maximum"],
  ] as const) {
    await t.test(`a validity of ${validity} is ${why}`, async () => assert.equal(await seconds(validity), expected));
  }
  for (const id of ["", "east", "Kubernetes"]) {
    await t.test(`the clusterid "${id}" is this cluster`, async () => {
      assertIssued(await workload.ask({ headers: { clusterid: id } }));
    });
  }
  await t.test("the CertSigner of the caller's own tenant is granted", async () => {
    assertIssued(await workload.ask({ metadata: { CertSigner: "payments" } }));
  });
  await t.test("clocks may differ by 60 s and by no more", async () => {
    const at = (seconds: number): AskOptions => ({ token: token({ issuedAt: ago(seconds) }) });
    assertIssued(await workload.ask(at(3600 + 58)));
    assertIssued(await workload.ask(at(-59)));
    assertRefused(await workload.ask(at(3600 + 61)), "proof-invalid", /expired/);
    assertRefused(await workload.ask(at(-62)), "proof-invalid", /not valid yet/);
  });
  await t.test("an audience that only the agent is told of stops at the issuer", async () => {
    const before = await traces(stack);
    assertRefused(await workload.ask({ token: token({ audience: "vault" }) }), "proof-invalid", /audience/);
    await assertTraces(stack, before, "proof-invalid", "issuer");
  });
});

test("audiences are configured at the agent and in the MeshCluster", async () => {
  const documents = usualDocuments().map((one) =>
    JSON.stringify(one["metadata"]) === '{"name":"east"}'
      ? clusterDocument("east", {
          tokens: { issuer: tokenIssuerUrl, keys: { jwks: clusterTokens("east").jwks }, audiences: ["mesh.example"] },
        })
      : one,
  );
  await using stack = await startStack({ documents, agent: { tokens: { audiences: ["mesh.example"] } } });
  const workload = await stack.workload("east");
  assertIssued(await workload.ask({ token: token({ audience: "mesh.example" }) }));
  assertRefused(await workload.ask(), "proof-invalid", /its audience is not "mesh.example"/);
});
