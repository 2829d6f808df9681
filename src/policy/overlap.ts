/**
 * Which documents are refused because two rules would claim one workload. A rule beats another only if it matches a
 * strict subset of it; with these refused, the winner for any workload is the same whatever the order of anything.
 */
import { meetingPairs } from "./pairs.ts";
import { groupByPattern, hasCovering, type PatternMap, toPatternMap, visitCovering } from "./pattern-map.ts";
import { type Dimension, type Entry, isStrictlyWithin, type Tenant, toEntries } from "./rule.ts";

/** What is wrong with a tenant's rules, for the operator who wrote them. */
export interface PolicyProblem {
  readonly tenant: string;
  /** Missing when it is about the tenant as a whole. */
  readonly rule?: string;
  readonly message: string;
}

/** The most that are reported: whoever repairs a hundred will run it again. */
export const problemsMax = 100;

export function overlaps(tenants: readonly Tenant[]): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  for (const problem of allOverlaps(tenants)) {
    problems.push(problem);
    if (problems.length === problemsMax) break;
  }
  return problems;
}

function* allOverlaps(tenants: readonly Tenant[]): Generator<PolicyProblem> {
  yield* sharedNamespaces(tenants);
  for (const [a, b] of meetingPairs(toEntries(tenants))) {
    const message = conflict(a, b);
    // Told where the later of the two stands: the first was there before it.
    if (message !== undefined) yield { tenant: b.tenant.name, rule: b.rule.name, message };
  }
}

/** Why two rules that meet may not stand side by side, or undefined when they may. */
export function conflict(a: Entry, b: Entry): string | undefined {
  if (isStrictlyWithin(a, b) || isStrictlyWithin(b, a)) return undefined;
  if (a.tenant !== b.tenant) {
    return `overlaps rule "${a.rule.name}" of MeshTenant "${a.tenant.name}" (${example(a, b)}) and neither matches a strict subset of the other`;
  }
  if (sameProofs(a, b)) return undefined;
  return `overlaps rule "${a.rule.name}" (${example(a, b)}) with other proofs and neither matches a strict subset of the other, so which proofs count would depend on their order`;
}

/** One trust domain makes one identity of a namespace and an account in every cluster, so a namespace has one tenant in all of them. */
function* sharedNamespaces(tenants: readonly Tenant[]): Generator<PolicyProblem> {
  for (const group of Map.groupBy(toEntries(tenants), (entry) => entry.tenant.trustDomain).values()) {
    const map = toPatternMap(groupByPattern(group, (entry) => entry.lists.namespaces));
    const told = new Set<string>();
    for (const entry of group) {
      for (const namespace of entry.lists.namespaces) {
        for (const other of othersAt(map, namespace, entry.tenant)) {
          const pair = [entry.tenant.name, other.tenant.name].sort().join(" ");
          if (told.has(pair)) continue;
          told.add(pair);
          yield {
            tenant: entry.tenant.name,
            rule: entry.rule.name,
            message: `namespace "${namespace}" is also in rule "${other.rule.name}" of MeshTenant "${other.tenant.name}", and tenants that share a trust domain ("${entry.tenant.trustDomain}") have namespaces disjoint over all clusters`,
          };
        }
      }
    }
  }
}

function othersAt(map: PatternMap<Entry[]>, namespace: string, tenant: Tenant): readonly Entry[] {
  const found: Entry[] = [];
  visitCovering(map, namespace, (group) => {
    const other = group.find((entry) => entry.tenant !== tenant);
    if (other !== undefined) found.push(other);
    return true;
  });
  return found;
}

function sameProofs(a: Entry, b: Entry): boolean {
  return new Set(a.rule.proofs).symmetricDifference(new Set(b.rule.proofs)).size === 0;
}

/** Where they meet, in the rules' own words: the narrower of two patterns in each dimension. */
function example(a: Entry, b: Entry): string {
  const place = (dimension: Dimension) =>
    a.lists[dimension].find((pattern) => hasCovering(b.maps[dimension], pattern)) ??
    b.lists[dimension].find((pattern) => hasCovering(a.maps[dimension], pattern));
  return `cluster "${place("clusters")}", namespace "${place("namespaces")}", account "${place("serviceAccounts")}"`;
}
