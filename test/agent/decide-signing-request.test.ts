import assert from "node:assert/strict";
import { test } from "node:test";
import { decideSigningRequest } from "../../src/agent/decide-signing-request.ts";
import type { KnownIssuer, Step } from "../../src/agent/request-step.ts";
import { readSigningRequest } from "../../src/agent/signing-request.ts";
import { readTenantIssuer } from "../../src/agent/tenant-issuer.ts";
import { heard, shopTrust } from "../support/heard.ts";
import { csrOf, toRequest } from "../support/named-csr.ts";

const csr = csrOf("DNS:a.shop.example");
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const request = toRequest(csr);
const meta = { uid: "u", resourceVersion: "1" };
const own = readTenantIssuer("TenantIssuer", {
  metadata: { namespace: "shop", name: "own", ...meta },
  spec: { tenant: "shop" },
});
const cluster = readTenantIssuer("TenantClusterIssuer", {
  metadata: { name: "shop", ...meta },
  spec: { tenant: "shop", namespaces: ["shop", "till-*"] },
});

function accountOf(namespace: string, name = "cart") {
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
  return { username: `system:serviceaccount:${namespace}:${name}`, groups };
}

const approved = { type: "Approved", status: "True", reason: "people", message: "" };
const clusterSigner = "tenantclusterissuers.espalier.dev/shop";
const ownSigner = "tenantissuers.espalier.dev/shop.own";

/** Of `cart` in `shop`, for the cluster's issuer, approved. */
function signingRequest(spec: object = {}, status: object = { conditions: [approved] }) {
  const usages = ["digital signature", "server auth"];
  return readSigningRequest({
    metadata: { name: "csr-1", ...meta },
    spec: { signerName: clusterSigner, request, usages, ...accountOf("shop"), ...spec },
    status,
  });
}

function decide(spec: object = {}, status?: object, known: Partial<KnownIssuer> = {}): Step {
  return decideSigningRequest(signingRequest(spec, status), { issuer: cluster, ...heard(shopTrust), ...known });
}

test("an approved one is signed for the namespace of the ServiceAccount that made it, with all that it asks", () => {
  const step = decide({ expirationSeconds: 3600 });
  assert.ok(step.kind === "sign");
  assert.deepEqual(Buffer.from(step.der), Buffer.from(csr));
  assert.deepEqual([step.tenant, step.profile, step.validitySeconds], ["shop", "request", 3600]);
  assert.deepEqual(step.usages, ["digital signature", "server auth"]);
  const issuer = { kind: "TenantClusterIssuer", namespace: "", name: "shop" };
  assert.deepEqual(step.asker, { ...accountOf("shop"), namespace: "shop", issuer, isCa: false });
});

test("without expirationSeconds none are asked for", () => {
  const step = decide();
  assert.equal(step.kind === "sign" && step.validitySeconds, 0);
});

test("a signer's name is a namespace and an issuer's name, or the name of an issuer of the cluster", () => {
  const signerOf = (signerName: string) => signingRequest({ signerName }).ask?.issuer;
  assert.deepEqual(signerOf(clusterSigner), { kind: "TenantClusterIssuer", namespace: "", name: "shop" });
  assert.deepEqual(signerOf(ownSigner), { kind: "TenantIssuer", namespace: "shop", name: "own" });
  assert.deepEqual(signerOf("tenantissuers.espalier.dev/shop"), { kind: "TenantIssuer", namespace: "shop", name: "" });
  for (const other of [
    "kubernetes.io/kube-apiserver-client",
    "clusterissuers.cert-manager.io/shop",
    "tenantclusterissuers.espalier.dev.evil/shop",
    "evil.tenantclusterissuers.espalier.dev/shop",
    "tenantissuers.espalier.devil/shop.own",
  ])
    assert.equal(signerOf(other), undefined, other);
});

const nothing: readonly (readonly [what: string, spec: object, status: object])[] = [
  ["another signer's", { signerName: "example.com/shop" }, { conditions: [approved] }],
  ["what nobody has approved", {}, {}],
  ["what is approved by halves", {}, { conditions: [{ ...approved, status: "False" }] }],
  ["what is denied", {}, { conditions: [{ ...approved, type: "Denied" }] }],
  ["what is approved and denied", {}, { conditions: [approved, { ...approved, type: "Denied" }] }],
  [
    "what is denied in any other words",
    {},
    { conditions: [approved, { ...approved, type: "Denied", status: "False" }] },
  ],
  ["what has a certificate, whoever wrote it", {}, { conditions: [approved], certificate: base64("x") }],
  ["what has failed", {}, { conditions: [approved, { ...approved, type: "Failed" }] }],
];
for (const [what, spec, status] of nothing)
  test(`${what} is left alone`, () => assert.deepEqual(decide(spec, status), { kind: "none" }));

const nobody: readonly (readonly [what: string, who: object])[] = [
  ["a person", { username: "admin", groups: ["system:masters", "system:authenticated"] }],
  ["a node", { username: "system:node:n", groups: ["system:nodes"] }],
  ["the name of an account without its groups", { ...accountOf("shop"), groups: ["system:authenticated"] }],
  ["the groups of another namespace", { ...accountOf("shop"), groups: accountOf("till").groups }],
  ["a name with more in it", { ...accountOf("shop"), username: "system:serviceaccount:shop:cart:x" }],
  ["a name with less in it", { ...accountOf("shop"), username: "system:serviceaccount:shop" }],
  ["no namespace", { username: "system:serviceaccount::cart", groups: accountOf("").groups }],
];
for (const [what, who] of nobody)
  test(`who asks as ${what} is told that ServiceAccounts ask`, () => {
    const step = decide(who);
    assert.ok(step.kind === "end");
    assert.equal(step.event, "NoServiceAccount");
  });

test("an issuer is for the namespaces it names, and one in a namespace for that alone", () => {
  const eventOf = (step: Step) => ("event" in step ? step.event : step.kind);
  assert.equal(eventOf(decide(accountOf("till-1"))), "sign");
  assert.equal(eventOf(decide(accountOf("media"))), "IssuerNotForNamespace");
  assert.equal(eventOf(decide({ signerName: ownSigner }, undefined, { issuer: own })), "sign");
  const other = decide({ signerName: ownSigner, ...accountOf("till-1") }, undefined, { issuer: own });
  assert.equal(eventOf(other), "IssuerNotForNamespace");
});

test("a signer's name without an issuer's can never be signed for", () => {
  const step = decide({ signerName: "tenantissuers.espalier.dev/shop" }, undefined, { issuer: undefined });
  assert.equal(step.kind === "end" && step.event, "InvalidRequest");
});

test("whether another namespace has an issuer, nobody learns", () => {
  const of = (issuer: typeof own | undefined) =>
    decide({ signerName: ownSigner, ...accountOf("media") }, undefined, { issuer });
  assert.deepEqual(of(own), of(undefined));
});

test("what others can mend is waited for", () => {
  const missing = decide({}, undefined, { issuer: undefined });
  assert.deepEqual([missing.kind, "event" in missing && missing.event], ["wait", "IssuerNotFound"]);
  const unheard = decide({}, undefined, heard(undefined));
  assert.deepEqual([unheard.kind, "event" in unheard && unheard.event], ["wait", "IssuerNotReady"]);
});

for (const [what, wrong] of [
  ["no CSR", base64("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")],
  ["a CSR of a megabyte", base64("A".repeat(1_000_000))],
] as const)
  test(`${what} ends it for good`, () => {
    const step = decide({ request: wrong });
    assert.ok(step.kind === "end");
    assert.deepEqual([step.event, step.invalid], ["InvalidRequest", true]);
    assert.ok(!step.message.includes("AAAA"));
  });

test("of one that has ended, its CSR is not kept", () => {
  assert.equal(signingRequest({}, { conditions: [approved], certificate: base64("x") }).ask?.request, "");
});
