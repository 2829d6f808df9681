/** What documents may say and somebody may not have meant. Nothing here refuses anything. */
import { shadowed } from "../policy/shadow.ts";
import type { Resources } from "./declared.ts";
import { type Finding, toFinding } from "./finding.ts";
import type { MeshTenant } from "./mesh-tenant.ts";

export function warn(declared: Resources): readonly Finding[] {
  const tenants = [...declared.tenants.values()];
  return [
    ...wide(tenants),
    ...shadowed(tenants).map((problem) => toFinding(declared, problem)),
    ...sharedTrustDomains(tenants),
    ...nestedTrustDomains(tenants),
    ...unheardZtunnels(declared),
    ...unheardRequests(tenants),
    ...unheardRequesters(declared),
    ...everybodysRequesters(declared),
    ...takenKeys(declared),
    ...delegations(tenants),
  ];
}

function* wide(tenants: readonly MeshTenant[]): Generator<Finding> {
  for (const { name, rules } of tenants) {
    for (const [at, rule] of rules.entries()) {
      const path = (field: string) => ["spec", "rules", at, field, 0];
      if (rule.clusters.includes("*")) {
        yield {
          kind: "MeshTenant",
          name,
          path: path("clusters"),
          rule: "* is every cluster, also those declared later",
        };
      }
      if (rule.namespaces.includes("*")) {
        yield {
          kind: "MeshTenant",
          name,
          path: path("namespaces"),
          rule: "* is every namespace: whoever makes a new one there makes it this tenant's",
        };
      }
    }
  }
}

/** Under one root they can meet; under two the data plane keeps them apart, and whoever trusts both roots does not. */
function* sharedTrustDomains(tenants: readonly MeshTenant[]): Generator<Finding> {
  for (const [trustDomain, group] of Map.groupBy(tenants, (tenant) => tenant.trustDomain)) {
    for (const { name, root } of group) {
      const others = Map.groupBy(group, (other) => (other.root === root ? "here" : "elsewhere"));
      const here = others.get("here")?.filter((other) => other.name !== name) ?? [];
      const path = ["spec", "trustDomain"];
      if (here.length > 0) {
        const rule = `MeshTenant ${listed(here)} shares trust domain "${trustDomain}" and root "${root}": they are separated at issuance only (own authority, rules, quota, revocation, ledger); where tenants must not even complete a handshake, a tenant takes a root of its own`;
        yield { kind: "MeshTenant", name, path, rule };
      }
      const elsewhere = others.get("elsewhere") ?? [];
      if (elsewhere.length > 0) {
        const rule = `MeshTenant ${listed(elsewhere)} has trust domain "${trustDomain}" too, under another root: their workloads do not take each other, and who trusts both roots (istiod where it serves both) tells them apart by namespace only`;
        yield { kind: "MeshTenant", name, path, rule };
      }
    }
  }
}

/** The first three by name. */
function listed(tenants: readonly MeshTenant[]): string {
  const names = tenants.slice(0, 3).map(({ name }) => `"${name}"`);
  return tenants.length > 3 ? `${names.join(", ")} and ${tenants.length - 3} more` : names.join(", ");
}

/** A check written as "ends with" somewhere takes the one for the other. */
function* nestedTrustDomains(tenants: readonly MeshTenant[]): Generator<Finding> {
  const owners = new Map(tenants.map(({ name, trustDomain }) => [trustDomain, name]));
  for (const { name, trustDomain } of tenants) {
    for (let dot = trustDomain.indexOf("."); dot >= 0; dot = trustDomain.indexOf(".", dot + 1)) {
      const parent = trustDomain.slice(dot + 1);
      const owner = owners.get(parent);
      if (owner === undefined) continue;
      const rule = `is a sub-domain of "${parent}", the trust domain of MeshTenant "${owner}"; to SPIFFE they have nothing in common`;
      yield { kind: "MeshTenant", name, path: ["spec", "trustDomain"], rule };
    }
  }
}

/** A rule that takes a ztunnel's word, for a cluster that names none. */
function* unheardZtunnels({ tenants, clusters }: Resources): Generator<Finding> {
  for (const { name, rules } of tenants.values()) {
    for (const [at, { proofs, clusters: named }] of rules.entries()) {
      const proof = proofs.indexOf("impersonated");
      const silent = named.find((cluster) => clusters.get(cluster)?.ztunnelAccounts.length === 0);
      if (proof < 0 || silent === undefined) continue;
      const rule = `MeshCluster "${silent}" names no ztunnelAccounts, so nobody there can impersonate`;
      yield { kind: "MeshTenant", name, path: ["spec", "rules", at, "proofs", proof], rule };
    }
  }
}

/** One of the two without the other gives nothing to anybody. */
function* unheardRequests(tenants: readonly MeshTenant[]): Generator<Finding> {
  for (const { name, rules, requests } of tenants) {
    const at = rules.findIndex(({ proofs }) => proofs.includes("request"));
    const [taken, path] = [at >= 0, ["spec", "rules", at, "proofs"]];
    if (taken && requests === undefined)
      yield { kind: "MeshTenant", name, path, rule: "takes requests, and without spec.requests they get nothing" };
    if (!taken && requests !== undefined)
      yield {
        kind: "MeshTenant",
        name,
        path: ["spec", "requests"],
        rule: "no rule takes the proof request, so nobody gets it",
      };
  }
}

/** A rule that takes an account's word, for a cluster that does not declare it. */
function* unheardRequesters({ tenants, clusters }: Resources): Generator<Finding> {
  for (const { name, rules } of tenants.values()) {
    for (const [at, { proofs, clusters: named }] of rules.entries()) {
      for (const [proof, kind] of proofs.entries()) {
        const [, account] = kind.split("requester:");
        const silent = named.find((one) => clusters.get(one)?.requesters.every((other) => other.account !== account));
        if (account === undefined || silent === undefined) continue;
        const rule = `MeshCluster "${silent}" does not declare ${account} (spec.requesters), so its word counts for nothing there`;
        yield { kind: "MeshTenant", name, path: ["spec", "rules", at, "proofs", proof], rule };
      }
    }
  }
}

/** cert-manager's controller, as its chart calls its account: it makes the requests of every Certificate. */
function* everybodysRequesters({ clusters }: Resources): Generator<Finding> {
  for (const { name, requesters } of clusters.values()) {
    for (const [at, { account, namespace }] of requesters.entries()) {
      if (!account.endsWith("/cert-manager")) continue;
      const rule = `is cert-manager's own account: its word is that of whoever may make a Certificate in namespace "${namespace}"; name the account of istio-csr or istiod`;
      yield { kind: "MeshCluster", name, path: ["spec", "requesters", at, "account"], rule };
    }
  }
}

/** A stolen agent then makes whatever token it likes. */
function* takenKeys({ clusters }: Resources): Generator<Finding> {
  for (const { name, tokens } of clusters.values()) {
    if (tokens.keys.kind !== "proposed" || !tokens.keys.taken) continue;
    const rule = "taken: whoever has this cluster's agent has all of its identities";
    yield { kind: "MeshCluster", name, path: ["spec", "tokens", "keys", "proposed"], rule };
  }
}

/** Where else a stolen agent has its own cluster's identities, and no other's. */
function* delegations(tenants: readonly MeshTenant[]): Generator<Finding> {
  for (const { name, requests } of tenants) {
    if (requests?.authorities === undefined) continue;
    const rule = `whoever has one of these CA certificates, or the agent of a cluster where they can be had, is every workload of the tenant "${name}"`;
    yield { kind: "MeshTenant", name, path: ["spec", "requests", "authorities"], rule };
  }
}
