import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../../src/errors.ts";
import type { GeneralName } from "../../src/pki/general-name.ts";
import type { NamedRequest } from "../../src/policy/decide-request.ts";
import { decideForOther, type Maker, type Requester, requesterOf } from "../../src/policy/requester.ts";
import { toRuleTable } from "../../src/policy/table.ts";
import { rule, tenant } from "./build.ts";

const istioCsr: Requester = { account: "cert-manager/istio-csr", namespace: "istio-system", servingNames: [] };
const istiod: Requester = { account: "istio-system/istiod", namespace: "istio-system", servingNames: [] };
const byCsr = "requester:cert-manager/istio-csr";

const makers: readonly (readonly [what: string, maker: Partial<Maker>, is: Requester | undefined])[] = [
  ["its account, in its namespace", {}, istioCsr],
  ["its account, in its own namespace and not in the declared one", { namespace: "cert-manager" }, undefined],
  ["its account, in somebody's namespace", { namespace: "shop-web" }, undefined],
  ["another account there", { username: "system:serviceaccount:istio-system:default" }, undefined],
  ["an account of its name elsewhere", { username: "system:serviceaccount:istio-system:istio-csr" }, undefined],
  ["a user who is called so", { username: "cert-manager/istio-csr" }, undefined],
  ["a user whose name begins so", { username: "system:serviceaccount:cert-manager:istio-csr:x" }, undefined],
  ["a user whose name ends so", { username: "x:system:serviceaccount:cert-manager:istio-csr" }, undefined],
  ["its account, by a CertificateSigningRequest", { door: "csr", namespace: "cert-manager" }, istioCsr],
  ["a CertificateSigningRequest that is said to be another's", { door: "csr" }, undefined],
  [
    "another declared account",
    { door: "csr", username: "system:serviceaccount:istio-system:istiod", namespace: "istio-system" },
    istiod,
  ],
];

for (const [what, overrides, is] of makers)
  test(`who made it: ${what}`, () => {
    const username = "system:serviceaccount:cert-manager:istio-csr";
    const maker: Maker = { door: "certificate-request", namespace: "istio-system", username, ...overrides };
    assert.equal(requesterOf([istioCsr, istiod], maker), is);
    assert.equal(requesterOf([], maker), undefined);
  });

const table = toRuleTable([
  tenant({
    rules: [
      rule({ name: "all", clusters: ["east"], namespaces: ["shop-*"], proofs: ["token", byCsr] }),
      rule({ name: "admin", clusters: ["east"], namespaces: ["shop-web"], serviceAccounts: ["admin"] }),
    ],
    profiles: { workload: { defaultSeconds: 7200, minimumSeconds: 600, maximumSeconds: 86_400 } },
  }),
  tenant({
    name: "pay",
    trustDomain: "pay.example",
    rules: [rule({ clusters: ["east"], namespaces: ["shop-till"], proofs: ["token"] })],
  }),
  tenant({ name: "bank", trustDomain: "bank.example", rules: [rule({ namespaces: ["bank"], proofs: [byCsr] })] }),
  tenant({
    name: "gone",
    trustDomain: "gone.example",
    suspended: true,
    rules: [rule({ namespaces: ["gone"], proofs: [byCsr] })],
  }),
]);

const uri = (value: string): GeneralName => ({ kind: "uri", value });
const web = "spiffe://shop.example/ns/shop-web/sa/web";
const both = ["client auth", "server auth"];

function request(overrides: Partial<NamedRequest> = {}): NamedRequest {
  return {
    cluster: "east",
    namespace: "istio-system",
    tenant: "shop",
    subject: [],
    names: [uri(web)],
    usages: both,
    isCa: false,
    validitySeconds: 3600,
    ...overrides,
  };
}

test("a workload that the rules give the requester's tenant", () => {
  assert.deepEqual(decideForOther(table, istioCsr, request()), {
    tenant: "shop",
    profile: "workload",
    identity: web,
    validitySeconds: 3600,
    rule: "shop/all",
    proof: byCsr,
  });
});

test("usages in any order, with those of the key or without; no duration is the tenant's default", () => {
  for (const more of [[], ["digital signature"], ["signing", "key encipherment"]])
    decideForOther(table, istioCsr, request({ usages: [...more, "server auth", "client auth"] }));
  assert.equal(decideForOther(table, istioCsr, request({ validitySeconds: 0 })).validitySeconds, 7200);
});

const denied: readonly (readonly [what: string, Partial<NamedRequest>, code: string])[] = [
  ["a namespace without a rule", { names: [uri("spiffe://shop.example/ns/else/sa/web")] }, "no-rule"],
  [
    "the requester's own namespace without a rule",
    { names: [uri("spiffe://shop.example/ns/istio-system/sa/x")] },
    "no-rule",
  ],
  ["a cluster without a rule", { cluster: "west" }, "no-rule"],
  [
    "an account whose own rule does not take its word",
    { names: [uri("spiffe://shop.example/ns/shop-web/sa/admin")] },
    "proof-not-accepted",
  ],
  [
    "a narrower tenant's workload, in its own name",
    { names: [uri("spiffe://pay.example/ns/shop-till/sa/web")], tenant: "pay" },
    "proof-not-accepted",
  ],
  [
    "a narrower tenant's workload, through the wider one's issuer",
    { names: [uri("spiffe://shop.example/ns/shop-till/sa/web")] },
    "proof-not-accepted",
  ],
  ["another tenant's workload", { names: [uri("spiffe://bank.example/ns/bank/sa/web")] }, "signer-denied"],
  ["its own tenant's, through another's issuer", { tenant: "bank" }, "signer-denied"],
  ["through an issuer of nobody", { tenant: "nobody" }, "signer-denied"],
  ["another trust domain's", { names: [uri("spiffe://pay.example/ns/shop-web/sa/web")] }, "identity-denied"],
  ["a SPIFFE ID of another form", { names: [uri("spiffe://shop.example/cluster/east")] }, "identity-denied"],
  ["a suspended tenant", { names: [uri("spiffe://gone.example/ns/gone/sa/web")], tenant: "gone" }, "suspended"],
  ["a scheme that only looks different", { names: [uri(web.replace("spiffe", "SPIFFE"))] }, "malformed"],
  ["a comma and another name", { names: [uri(`${web},evil.example`)] }, "malformed"],
  ["two SPIFFE IDs", { names: [uri(web), uri(web.replace("/web", "/api"))] }, "request-denied"],
  ["a DNS name beside it", { names: [uri(web), { kind: "dns", value: "shop.example" }] }, "request-denied"],
  ["a subject", { subject: [{ kind: "commonNames", value: "shop.example" }] }, "request-denied"],
  ["a CA", { isCa: true }, "request-denied"],
  ["one side of a handshake", { usages: ["server auth"] }, "request-denied"],
  ["no usages of a handshake", { usages: ["digital signature"] }, "request-denied"],
  ["another usage beside", { usages: [...both, "code signing"] }, "request-denied"],
  ["a usage that signs certificates", { usages: [...both, "cert sign"] }, "request-denied"],
];

for (const [what, overrides, code] of denied)
  test(`refused: ${what}`, () => {
    assert.throws(
      () => decideForOther(table, istioCsr, request(overrides)),
      (error) => error instanceof Refusal && error.code === code,
    );
  });

test("another requester's word counts for nothing", () => {
  assert.throws(() => decideForOther(table, istiod, request()), { code: "proof-not-accepted" });
});

test("a tenant that is not there and one whose workload it is not are refused in the same words", () => {
  const wordsOf = (tenant: string): string => {
    try {
      decideForOther(table, istioCsr, request({ tenant }));
    } catch (error) {
      return String(error).replaceAll(tenant, "T");
    }
    return "";
  };
  assert.equal(wordsOf("nobody"), wordsOf("bank"));
});
