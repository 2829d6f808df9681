/** Rules: which workloads are a tenant's own, and by which proofs. They match on cluster, namespace and account only. */
import { type Pattern, reduce } from "./pattern.ts";
import { hasCovering, hasMeeting, type PatternMap, toPatternMap } from "./pattern-map.ts";
import type { RequestLimits } from "./requests.ts";
import type { ProofKind } from "./workload.ts";

export interface Rule {
  readonly name: string;
  /** Names, or `*` alone. */
  readonly clusters: readonly Pattern[];
  readonly namespaces: readonly Pattern[];
  readonly serviceAccounts: readonly Pattern[];
  readonly proofs: readonly ProofKind[];
}

/** How long a profile's certificates live, in seconds: minimum <= default <= maximum. */
export interface ValidityLimits {
  readonly defaultSeconds: number;
  readonly minimumSeconds: number;
  readonly maximumSeconds: number;
}

/** What policy has to know of a tenant. */
export interface Tenant {
  readonly name: string;
  readonly trustDomain: string;
  /** The TrustRoot its authorities are under. */
  readonly root: string;
  readonly rules: readonly Rule[];
  readonly profiles: { readonly workload: ValidityLimits };
  /** Missing: nothing is given to requests. */
  readonly requests?: RequestLimits | undefined;
  readonly suspended: boolean;
}

/** What of a workload a rule looks at. */
export interface Facts {
  readonly cluster: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** The three things a rule lists, and which fact each is held against. */
export type Dimension = "clusters" | "namespaces" | "serviceAccounts";
export const factOf: Readonly<Record<Dimension, keyof Facts>> = {
  clusters: "cluster",
  namespaces: "namespace",
  serviceAccounts: "serviceAccount",
};
/** The most telling first: that is the order in which an index divides. */
export const dimensions: readonly Dimension[] = ["namespaces", "clusters", "serviceAccounts"];

/** A rule made ready to be compared: what it lists, with nothing said twice. */
export interface Entry {
  readonly tenant: Tenant;
  readonly rule: Rule;
  readonly lists: Readonly<Record<Dimension, readonly Pattern[]>>;
  readonly maps: Readonly<Record<Dimension, PatternMap<true>>>;
}

/** Every rule of these tenants, in an order that does not depend on theirs. */
export function toEntries(tenants: readonly Tenant[]): readonly Entry[] {
  return tenants
    .flatMap((tenant) => tenant.rules.map((rule) => toEntry(tenant, rule)))
    .sort((a, b) => compare(a.tenant.name, b.tenant.name) || compare(a.rule.name, b.rule.name));
}

/** Whether the rule matches in these dimensions; a list with `*` need not be asked. */
export function reaches({ maps }: Entry, facts: Facts, asked: readonly Dimension[] = dimensions): boolean {
  for (const dimension of asked) {
    const map = maps[dimension];
    if (map !== everything && !hasCovering(map, facts[factOf[dimension]])) return false;
  }
  return true;
}

/**
 * Whether all that `a` matches, `b` matches too. A list counts as within another when each of its patterns is covered by
 * one of the other's: many that only together cover a wider one do not count, which refuses more and never less.
 */
export function isWithin(a: Entry, b: Entry): boolean {
  return dimensions.every((dimension) =>
    a.lists[dimension].every((pattern) => hasCovering(b.maps[dimension], pattern)),
  );
}

/** Whether `a` beats `b`: it matches a strict subset. */
export function isStrictlyWithin(a: Entry, b: Entry): boolean {
  return isWithin(a, b) && !isWithin(b, a);
}

/** Whether some workload matches both. */
export function meets(a: Entry, b: Entry): boolean {
  return dimensions.every((dimension) => a.lists[dimension].some((pattern) => hasMeeting(b.maps[dimension], pattern)));
}

function toEntry(tenant: Tenant, rule: Rule): Entry {
  const lists = {
    clusters: reduce(rule.clusters),
    namespaces: reduce(rule.namespaces),
    serviceAccounts: reduce(rule.serviceAccounts),
  };
  const maps = {
    clusters: toUnion(lists.clusters),
    namespaces: toUnion(lists.namespaces),
    serviceAccounts: toUnion(lists.serviceAccounts),
  };
  return { tenant, rule, lists, maps };
}

const everything: PatternMap<true> = toPatternMap(new Map([["*", true]]));

function toUnion(patterns: readonly Pattern[]): PatternMap<true> {
  return patterns[0] === "*" ? everything : toPatternMap(new Map(patterns.map((pattern) => [pattern, true])));
}

/** By code unit: not by the locale of whoever runs this. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
