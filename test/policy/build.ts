/** Builders with overrides, and what a pattern stands for when it is written out. */
import * as fc from "fast-check";
import type { RequestLimits } from "../../src/policy/requests.ts";
import type { Facts, Rule, Tenant } from "../../src/policy/rule.ts";
import type { ProofKind, Workload } from "../../src/policy/workload.ts";

export function rule(overrides: Partial<Rule> = {}): Rule {
  return { name: "all", clusters: ["*"], namespaces: ["*"], serviceAccounts: ["*"], proofs: ["token"], ...overrides };
}

export function tenant(overrides: Partial<Tenant> = {}): Tenant {
  return {
    name: "shop",
    trustDomain: "shop.example",
    root: "main",
    rules: [rule()],
    profiles: { workload: { defaultSeconds: 86_400, minimumSeconds: 600, maximumSeconds: 86_400 } },
    suspended: false,
    ...overrides,
  };
}

/** Of a tenant that gives requests nothing of a subject. */
export const noSubjects: RequestLimits["subject"] = {
  commonNames: [],
  organizations: [],
  organizationalUnits: [],
  countries: [],
  provinces: [],
  localities: [],
  streetAddresses: [],
  postalCodes: [],
  serialNumbers: [],
  domainComponents: [],
  userIds: [],
};

export function workload(overrides: Partial<Workload> = {}): Workload {
  return { cluster: "east", namespace: "shop-web", serviceAccount: "web", proof: "token", ...overrides };
}

/** A world small enough to look at every workload in it. */
const letters = ["a", "b", "aa", "ab", "ba"];
const pattern = fc.constantFrom("a", "b", "aa", "ab", "a*", "aa*", "b*", "*");
const cluster = fc.constantFrom(["a"], ["b"], ["a", "b"], ["*"]);
const list = fc.uniqueArray(pattern, { minLength: 1, maxLength: 3 });
const proofs = fc.constantFrom<ProofKind[]>(["token"], ["token"], ["token", "certificate"]);

export const anyPattern = pattern;
export const anyName = fc.constantFrom(...letters);
export const anyRule: fc.Arbitrary<Rule> = fc.record({
  name: fc.constantFrom("r", "s", "t"),
  clusters: cluster,
  namespaces: list,
  serviceAccounts: list,
  proofs,
});
export const anyTenants: fc.Arbitrary<readonly Tenant[]> = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom("x", "y", "z"),
      trustDomain: fc.constantFrom("one.example", "two.example"),
      rules: fc.uniqueArray(anyRule, { minLength: 1, maxLength: 3, selector: ({ name }) => name }),
    }),
    { minLength: 1, maxLength: 3, selector: ({ name }) => name },
  )
  .map((tenants) => tenants.map((one) => tenant(one)));

export const world: readonly Facts[] = ["a", "b"].flatMap((cluster) =>
  letters.flatMap((namespace) => letters.map((serviceAccount) => ({ cluster, namespace, serviceAccount }))),
);

/** Independent of src: by regular expression. */
export function saysYes(rule: Rule, facts: Facts): boolean {
  const within = (patterns: readonly string[], name: string) =>
    patterns.some((pattern) => new RegExp(`^${pattern.replace("*", ".*")}$`).test(name));
  return (
    within(rule.clusters, facts.cluster) &&
    within(rule.namespaces, facts.namespace) &&
    within(rule.serviceAccounts, facts.serviceAccount)
  );
}
