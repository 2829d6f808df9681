import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../../src/errors.ts";
import type { GeneralName } from "../../src/pki/general-name.ts";
import type { SubjectAttribute } from "../../src/pki/subject.ts";
import { decideRequest, type NamedRequest } from "../../src/policy/decide-request.ts";
import type { RequestLimits } from "../../src/policy/requests.ts";
import { toRuleTable } from "../../src/policy/table.ts";
import { noSubjects, rule, tenant } from "./build.ts";

const limits: RequestLimits = {
  dnsNames: ["shop.example", "*.shop.example", "*.{namespace}.svc", "*.istio-system.svc"],
  ips: ["10.0.0.0/8", "2001:db8::/32"],
  emails: ["*@shop.example", "ada@other.example"],
  uris: ["https://shop.example/*", "urn:till"],
  identities: true,
  subject: { ...noSubjects, commonNames: ["till-*"], organizations: ["Shop"] },
  usages: ["digital signature", "key encipherment", "server auth", "client auth"],
  maximumSeconds: 86_400,
};

const documents = [
  tenant({
    requests: limits,
    rules: [
      rule({ name: "all", namespaces: ["shop-*"], proofs: ["token", "request"] }),
      rule({ name: "admin", namespaces: ["shop-*"], serviceAccounts: ["admin"], proofs: ["token"] }),
      rule({ name: "closed", namespaces: ["shop-closed"], proofs: ["token"] }),
      rule({ name: "some", namespaces: ["else"], serviceAccounts: ["web-*"], proofs: ["token"] }),
    ],
  }),
  tenant({ name: "pay", trustDomain: "pay.example", rules: [rule({ namespaces: ["pay"], proofs: ["request"] })] }),
  tenant({
    name: "gone",
    trustDomain: "gone.example",
    suspended: true,
    requests: limits,
    rules: [rule({ namespaces: ["gone"], proofs: ["request"] })],
  }),
];
const table = toRuleTable(documents);
const serving = ["istiod.istio-system.svc", "agent.east.example"];

const dns = (value: string): GeneralName => ({ kind: "dns", value });
const uri = (value: string): GeneralName => ({ kind: "uri", value });
const ip = (value: string): GeneralName => ({ kind: "ip", value });
const email = (value: string): GeneralName => ({ kind: "email", value });
const commonName = (value: string): SubjectAttribute => ({ kind: "commonNames", value });

function request(overrides: Partial<NamedRequest> = {}): NamedRequest {
  return {
    cluster: "east",
    namespace: "shop-web",
    tenant: "shop",
    subject: [],
    names: [dns("shop.example")],
    usages: ["digital signature", "server auth"],
    isCa: false,
    validitySeconds: 3600,
    ...overrides,
  };
}

const decide = (overrides: Partial<NamedRequest> = {}) => decideRequest(table, request(overrides), serving);

test("a name that the tenant gives is granted, for exactly as long as was asked", () => {
  assert.deepEqual(decide(), {
    profile: "request",
    tenant: "shop",
    usages: ["digital signature", "server auth"],
    validitySeconds: 3600,
    rule: "shop/all",
    proof: "request",
  });
});

test("where no duration is asked, it is 90 days or the tenant's most", () => {
  assert.equal(decide({ validitySeconds: 0 }).validitySeconds, 86_400);
  const longer = toRuleTable([
    tenant({ requests: { ...limits, maximumSeconds: 398 * 86_400 }, rules: [rule({ proofs: ["request"] })] }),
  ]);
  assert.equal(decideRequest(longer, request({ validitySeconds: 0 }), []).validitySeconds, 90 * 86_400);
});

const given: readonly (readonly [what: string, Partial<NamedRequest>])[] = [
  ["a name below a pattern", { names: [dns("a.b.shop.example")] }],
  ["a wildcard below a pattern", { names: [dns("*.shop.example")] }],
  ["a label of 63", { names: [dns(`${"a".repeat(63)}.shop.example`)] }],
  ["the namespace's own services", { names: [dns("till.shop-web.svc")] }],
  ["an address of a range", { names: [ip("10.255.0.1"), ip("2001:db8:0:0:0:0:0:1")] }],
  ["an e-mail address", { names: [email("till@shop.example"), email("ada@other.example")] }],
  ["a URI below a prefix, and one by itself", { names: [uri("https://shop.example/a"), uri("urn:till")] }],
  ["a common name that would be given as a name", { subject: [commonName("www.shop.example")] }],
  ["a common name of an address", { subject: [commonName("10.1.2.3")] }],
  ["a common name that is given as one, and nothing else", { names: [], subject: [commonName("till-1")] }],
  ["an organization", { subject: [{ kind: "organizations", value: "Shop" }] }],
  [
    "a SPIFFE ID of the namespace's own",
    { names: [uri("spiffe://shop.example/ns/shop-web/sa/web")], usages: ["digital signature"] },
  ],
  [
    "one beside a DNS name",
    {
      names: [uri("spiffe://shop.example/ns/shop-web/sa/web"), dns("shop.example")],
      usages: ["digital signature", "server auth", "client auth"],
    },
  ],
];

for (const [what, overrides] of given) test(`given: ${what}`, () => void decide(overrides));

const identity = "spiffe://shop.example/ns/shop-web/sa/web";
const denied: readonly (readonly [what: string, Partial<NamedRequest>, code: string, says?: RegExp])[] = [
  ["a tenant that is not there", { tenant: "nobody" }, "no-rule"],
  ["another tenant's", { tenant: "pay" }, "no-rule"],
  ["a namespace without a rule", { namespace: "media" }, "no-rule"],
  ["a namespace whose only rule singles accounts out", { namespace: "else" }, "no-rule"],
  ["a cluster without a rule", { cluster: "west", namespace: "elsewhere" }, "no-rule"],
  ["a namespace whose narrower rule takes no requests", { namespace: "shop-closed" }, "proof-not-accepted"],
  ["a tenant that gives nothing to requests", { tenant: "pay", namespace: "pay" }, "request-denied", /spec\.requests/],
  ["a suspended tenant", { tenant: "gone", namespace: "gone" }, "suspended"],
  ["a CA", { isCa: true }, "request-denied", /isCA/],
  ["nobody", { names: [] }, "request-denied", /names nobody/],
  ["another name", { names: [dns("shop.example"), dns("pay.example")] }, "request-denied", /spec\.requests\.dnsNames/],
  ["a name that ends as one without its dot", { names: [dns("evilshop.example")] }, "request-denied"],
  ["a name in upper case", { names: [dns("SHOP.example")] }, "request-denied"],
  ["a name with a dot at its end", { names: [dns("shop.example.")] }, "request-denied"],
  ["a wildcard in the middle", { names: [dns("a.*.shop.example")] }, "request-denied"],
  ["a wildcard above", { names: [dns("*.example")] }, "request-denied"],
  ["a wildcard over everything", { names: [dns("*")] }, "request-denied"],
  ["another namespace's service", { names: [dns("till.shop-till.svc")] }, "request-denied"],
  ["an address outside", { names: [ip("11.0.0.1")] }, "request-denied", /spec\.requests\.ips/],
  ["another domain's e-mail", { names: [email("a@b@shop.example")] }, "request-denied", /emails/],
  ["a URI beside the prefix", { names: [uri("https://shop.example.evil/")] }, "request-denied", /uris/],
  ["another common name", { subject: [commonName("pay.example")] }, "request-denied", /commonNames/],
  [
    "another organization",
    { subject: [{ kind: "organizations", value: "Shop Ltd" }] },
    "request-denied",
    /organizations/,
  ],
  ["what istiod serves with", { names: [dns("istiod.istio-system.svc")] }, "request-denied", /serve with/],
  ["a wildcard over what istiod serves with", { names: [dns("*.istio-system.svc")] }, "request-denied", /serve with/],
  [
    "what istiod serves with, as a common name",
    { subject: [commonName("istiod.istio-system.svc")] },
    "request-denied",
    /serve with/,
  ],
  ["a usage that is not given", { usages: ["code signing"] }, "request-denied", /spec\.requests\.usages/],
  ["a usage that nobody is given", { usages: ["cert sign"] }, "request-denied", /"cert sign"/],
  ["any usage", { usages: ["any"] }, "request-denied"],
  ["more than the tenant's most", { validitySeconds: 86_401 }, "request-denied", /maximumSeconds/],
  ["next to no time", { validitySeconds: 599 }, "request-denied", /600/],
  ["another namespace's SPIFFE ID", { names: [uri("spiffe://shop.example/ns/shop-till/sa/web")] }, "identity-denied"],
  ["another trust domain's SPIFFE ID", { names: [uri("spiffe://pay.example/ns/shop-web/sa/web")] }, "identity-denied"],
  ["a SPIFFE ID of another form", { names: [uri("spiffe://shop.example/web")] }, "identity-denied"],
  [
    "an account with a rule of its own",
    { names: [uri("spiffe://shop.example/ns/shop-web/sa/admin")] },
    "identity-denied",
    /rule of its own/,
  ],
  ["a scheme that only looks different", { names: [uri("SPIFFE://shop.example/ns/shop-web/sa/web")] }, "malformed"],
  [
    "a SPIFFE ID beside another URI",
    { names: [uri(identity), uri("urn:till")] },
    "request-denied",
    /beside another URI/,
  ],
  ["two SPIFFE IDs", { names: [uri(identity), uri(identity)] }, "request-denied", /beside another URI/],
  [
    "a SPIFFE ID that does not sign",
    { names: [uri(identity)], usages: ["key encipherment"] },
    "request-denied",
    /X509-SVID/,
  ],
  [
    "a SPIFFE ID of one side alone",
    { names: [uri(identity)], usages: ["digital signature", "server auth"] },
    "request-denied",
    /X509-SVID/,
  ],
];

for (const [what, overrides, code, says] of denied)
  test(`refused: ${what}`, () => {
    assert.throws(
      () => decide(overrides),
      (error) => error instanceof Refusal && error.code === code && (says === undefined || says.test(error.message)),
    );
  });

test("SPIFFE IDs are refused where the tenant gives requests none", () => {
  const closed = toRuleTable([
    tenant({ requests: { ...limits, identities: false }, rules: [rule({ proofs: ["request"] })] }),
  ]);
  assert.throws(() => decideRequest(closed, request({ names: [uri(identity)] }), []), { code: "identity-denied" });
});

test("a tenant that is not there and one that is somebody else's are refused in the same words", () => {
  const wordsOf = (tenant: string): string => {
    try {
      decide({ tenant });
    } catch (error) {
      return String(error).replaceAll(tenant, "T");
    }
    return "";
  };
  assert.equal(wordsOf("nobody"), wordsOf("pay"));
});
