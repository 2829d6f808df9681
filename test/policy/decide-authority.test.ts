import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../../src/errors.ts";
import type { SubjectAttribute } from "../../src/pki/subject.ts";
import { decideRequest, type NamedRequest } from "../../src/policy/decide-request.ts";
import type { RequestLimits } from "../../src/policy/requests.ts";
import type { Tenant } from "../../src/policy/rule.ts";
import { sharingOf } from "../../src/policy/sharing.ts";
import { toRuleTable } from "../../src/policy/table.ts";
import { noSubjects, rule, tenant } from "./build.ts";

const limits: RequestLimits = {
  dnsNames: ["*.shop.example"],
  ips: [],
  emails: [],
  uris: [],
  identities: false,
  subject: { ...noSubjects, commonNames: ["till-*"] },
  usages: ["digital signature", "server auth"],
  maximumSeconds: 86_400,
  authorities: { namespaces: ["shop-ca", "shop-issuer-*"], dnsNames: ["shop.example"], maximumSeconds: 864_000 },
};

function alone(overrides: Partial<Tenant> = {}): Tenant {
  const rules = [rule({ namespaces: ["shop-*"], proofs: ["request"] })];
  return tenant({ root: "shop", requests: limits, rules, ...overrides });
}

function other(overrides: Partial<Tenant> = {}): Tenant {
  return tenant({ name: "pay", trustDomain: "pay.example", rules: [rule({ namespaces: ["pay"] })], ...overrides });
}

const commonName = (value: string): SubjectAttribute => ({ kind: "commonNames", value });

function request(overrides: Partial<NamedRequest> = {}): NamedRequest {
  return {
    cluster: "east",
    namespace: "shop-ca",
    tenant: "shop",
    subject: [commonName("till-1")],
    names: [],
    usages: ["digital signature", "key encipherment"],
    isCa: true,
    validitySeconds: 432_000,
    ...overrides,
  };
}

function decide(overrides: Partial<NamedRequest> = {}, tenants: readonly Tenant[] = [alone(), other()]) {
  return decideRequest(toRuleTable(tenants), request(overrides), ["istiod.istio-system.svc", "till-agent"]);
}

test("a tenant with a root of its own gives a namespace that it names a CA, bound to its trust domain", () => {
  assert.deepEqual(decide(), {
    profile: "authority",
    tenant: "shop",
    validitySeconds: 432_000,
    rule: "shop/all",
    proof: "request",
    scope: { trustDomain: "shop.example", dnsNames: ["shop.example"] },
  });
});

test("what is asked in the words of a CA is given too; no duration is 90 days or the tenant's most", () => {
  decide({ usages: ["cert sign", "crl sign"] });
  decide({ namespace: "shop-issuer-1" });
  assert.equal(decide({ validitySeconds: 0 }).validitySeconds, 864_000);
});

const denied: readonly (readonly [what: string, Partial<NamedRequest>, RegExp, code?: string])[] = [
  ["a namespace that the tenant does not name", { namespace: "shop-web" }, /gives none to namespace "shop-web"/],
  ["a namespace that only begins as one", { namespace: "shop-ca-2" }, /gives none/],
  ["another tenant's namespace", { namespace: "pay" }, /no rule/, "no-rule"],
  ["another tenant, that gives none", { tenant: "pay", namespace: "pay" }, /"request"/, "proof-not-accepted"],
  ["nobody", { subject: [] }, /subject/],
  ["a DNS name beside", { names: [{ kind: "dns", value: "a.shop.example" }] }, /no names beside/],
  ["a SPIFFE ID beside", { names: [{ kind: "uri", value: "spiffe://shop.example" }] }, /no names beside/],
  ["a subject that is not given", { subject: [commonName("root")] }, /spec\.requests\.subject\.commonNames/],
  ["a subject that an agent serves with", { subject: [commonName("till-agent")] }, /serve with/],
  ["a usage of leaves", { usages: ["cert sign", "server auth"] }, /"server auth"/],
  ["a usage that nobody is given", { usages: ["ocsp signing"] }, /"ocsp signing"/],
  ["any usage", { usages: ["any"] }, /"any"/],
  ["more than the tenant's most", { validitySeconds: 864_001 }, /authorities\.maximumSeconds/],
  ["next to no time", { validitySeconds: 599 }, /600/],
];

for (const [what, overrides, says, code = "request-denied"] of denied)
  test(`refused: ${what}`, () => {
    assert.throws(
      () => decide(overrides),
      (error) => error instanceof Refusal && error.code === code && says.test(error.message),
    );
  });

const shared: readonly (readonly [what: string, readonly Tenant[]])[] = [
  ["a root that another tenant has too", [alone(), other({ root: "shop" })]],
  ["a root that another tenant has too, with nothing but a rule for one token", [other({ root: "shop" }), alone()]],
  ["a trust domain that another tenant has too", [alone(), other({ root: "pay", trustDomain: "shop.example" })]],
  ["a trust domain above another's", [alone(), other({ root: "pay", trustDomain: "eu.shop.example" })]],
];

for (const [what, tenants] of shared)
  test(`refused, and nobody is told whose it is: ${what}`, () => {
    assert.throws(
      () => decide({}, tenants),
      (error) =>
        error instanceof Refusal &&
        error.code === "request-denied" &&
        /isCA.* is not its own/.test(error.message) &&
        !/pay/.test(error.message),
    );
  });

test("a tenant that says nothing of it gives none, though its root is its own", () => {
  const { authorities: _, ...rest } = limits;
  assert.throws(() => decide({}, [alone({ requests: rest })]), { code: "request-denied", message: /isCA/ });
  assert.throws(() => decide({}, [alone({ suspended: true })]), { code: "suspended" });
});

test("what ends as a trust domain does, and is no sub-domain, shares nothing with it", () => {
  assert.equal(sharingOf(alone(), [alone(), other({ root: "pay", trustDomain: "myshop.example" })]), undefined);
  assert.equal(sharingOf(alone(), [alone(), other({ root: "pay", trustDomain: "example" })]), undefined);
});
