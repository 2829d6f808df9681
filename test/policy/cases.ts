/** Who asks, what the documents say, and what comes of it: one line each, to be read by whoever answers for it. */
import type { Tenant } from "../../src/policy/rule.ts";
import type { Workload } from "../../src/policy/workload.ts";
import { rule, tenant, workload } from "./build.ts";

export interface Case {
  readonly says: string;
  readonly who: Workload;
  /** `CertSigner`, when the request has one. */
  readonly signer?: string;
  /** The URI of the CSR; left out, the right one for `grants`, or one of shop's for a refusal. */
  readonly csr?: string;
  /** `tenant/rule`, or the code of the refusal. */
  readonly verdict: string;
}

const reader = "requester:cert-manager/istio-csr";

/**
 * shop: its own namespaces, everywhere. pay: inside shop's prefix, one namespace in one cluster, another trust domain.
 * vm, gone and lab share nothing with them.
 */
export const documents: readonly Tenant[] = [
  tenant({
    name: "shop",
    trustDomain: "shop.example",
    rules: [
      rule({ name: "all", namespaces: ["shop-*"], proofs: ["token", "impersonated", "request", reader] }),
      rule({ name: "admin", namespaces: ["shop-*"], serviceAccounts: ["admin"], proofs: ["token"] }),
    ],
  }),
  tenant({
    name: "pay",
    trustDomain: "pay.example",
    rules: [
      rule({
        name: "till",
        clusters: ["east"],
        namespaces: ["shop-till"],
        serviceAccounts: ["till-*"],
        proofs: ["token"],
      }),
    ],
  }),
  tenant({
    name: "vm",
    trustDomain: "shop.example",
    rules: [rule({ name: "machines", clusters: ["west"], namespaces: ["vm"], proofs: ["token", "certificate"] })],
  }),
  tenant({ name: "gone", trustDomain: "gone.example", suspended: true, rules: [rule({ namespaces: ["gone"] })] }),
  tenant({
    name: "lab",
    trustDomain: "lab.example",
    rules: [rule({ name: "guests", namespaces: ["gone"], serviceAccounts: ["guest"] })],
  }),
];

const till = workload({ namespace: "shop-till", serviceAccount: "till-1" });
const admin = workload({ serviceAccount: "admin" });
const machine = workload({ cluster: "west", namespace: "vm", serviceAccount: "db" });
const shopWeb = "spiffe://shop.example/ns/shop-web/sa/web";

export const cases: readonly Case[] = [
  // which tenant
  { says: "a workload gets its tenant", who: workload(), verdict: "shop/all" },
  { says: "in any cluster, when the rule says any", who: workload({ cluster: "west" }), verdict: "shop/all" },
  { says: "a namespace that no rule names has none", who: workload({ namespace: "bank" }), verdict: "no-rule" },
  { says: "a prefix is not its own stem", who: workload({ namespace: "shop" }), verdict: "no-rule" },
  { says: "a prefix does not match in the middle", who: workload({ namespace: "my-shop-web" }), verdict: "no-rule" },
  { says: "names are compared as they are", who: workload({ namespace: "SHOP-web" }), verdict: "no-rule" },
  { says: "the narrower tenant wins", who: till, verdict: "pay/till" },
  { says: "only in its cluster", who: { ...till, cluster: "west" }, verdict: "shop/all" },
  { says: "only for its accounts", who: { ...till, serviceAccount: "web" }, verdict: "shop/all" },
  { says: "the narrower rule of one tenant wins", who: admin, verdict: "shop/admin" },
  { says: "a name that is a pattern is no pattern", who: workload({ namespace: "*" }), verdict: "no-rule" },

  // which proofs
  { says: "a ztunnel's word, where the rule takes it", who: workload({ proof: "impersonated" }), verdict: "shop/all" },
  { says: "a VM renews, where the rule lets it", who: { ...machine, proof: "certificate" }, verdict: "vm/machines" },
  { says: "a proof the rule does not name", who: workload({ proof: "certificate" }), verdict: "proof-not-accepted" },
  { says: "istio-csr's word, where the rule names it", who: workload({ proof: reader }), verdict: "shop/all" },
  {
    says: "another requester's word",
    who: workload({ proof: "requester:shop-web/istio-csr" }),
    verdict: "proof-not-accepted",
  },
  {
    says: "the winner's proofs are final, across tenants",
    who: { ...till, proof: "impersonated" },
    verdict: "proof-not-accepted",
  },
  { says: "and within one", who: { ...admin, proof: "impersonated" }, verdict: "proof-not-accepted" },
  {
    says: "a request cannot name an account singled out",
    who: { ...admin, proof: "request" },
    verdict: "proof-not-accepted",
  },
  {
    says: "a request without an account has no identity",
    who: workload({ serviceAccount: "", proof: "request" }),
    verdict: "identity-denied",
  },

  // which signer
  { says: "an empty CertSigner is none", who: workload(), signer: "", verdict: "shop/all" },
  { says: "one's own tenant may be asked for", who: workload(), signer: "shop", verdict: "shop/all" },
  { says: "a wider tenant that matches may be", who: till, signer: "shop", verdict: "shop/all" },
  {
    says: "and is then asked for its own proofs",
    who: { ...till, proof: "impersonated" },
    signer: "shop",
    verdict: "shop/all",
  },
  {
    says: "with its own narrowest rule",
    who: { ...admin, namespace: "shop-till", proof: "impersonated" },
    signer: "shop",
    verdict: "proof-not-accepted",
  },
  { says: "a tenant whose rules do not match may not", who: workload(), signer: "pay", verdict: "signer-denied" },
  { says: "nor one of the same trust domain", who: workload(), signer: "vm", verdict: "signer-denied" },
  { says: "nor one that is not there", who: workload(), signer: "nobody", verdict: "signer-denied" },
  {
    says: "a signer cannot make up for a missing rule",
    who: workload({ namespace: "bank" }),
    signer: "shop",
    verdict: "no-rule",
  },

  // which identity
  {
    says: "the CSR names another account",
    who: workload(),
    csr: "spiffe://shop.example/ns/shop-web/sa/admin",
    verdict: "identity-denied",
  },
  {
    says: "another namespace",
    who: workload(),
    csr: "spiffe://shop.example/ns/shop-db/sa/web",
    verdict: "identity-denied",
  },
  {
    says: "another trust domain",
    who: workload(),
    csr: "spiffe://pay.example/ns/shop-web/sa/web",
    verdict: "identity-denied",
  },
  {
    says: "the trust domain of the wider tenant",
    who: till,
    csr: "spiffe://shop.example/ns/shop-till/sa/till-1",
    verdict: "identity-denied",
  },
  { says: "more path than there is", who: workload(), csr: `${shopWeb}/x`, verdict: "identity-denied" },
  {
    says: "another cluster's agent",
    who: workload(),
    csr: "spiffe://hub.example/cluster/east",
    verdict: "identity-denied",
  },

  // suspended
  { says: "a suspended tenant gets nothing", who: workload({ namespace: "gone" }), verdict: "suspended" },
  { says: "whatever the proof", who: workload({ namespace: "gone", proof: "request" }), verdict: "suspended" },
  {
    says: "its suspension is not another's",
    who: workload({ namespace: "gone", serviceAccount: "guest" }),
    verdict: "lab/guests",
  },
  {
    says: "and asking for it does not help",
    who: workload({ namespace: "gone", serviceAccount: "guest" }),
    signer: "gone",
    verdict: "suspended",
  },
];
