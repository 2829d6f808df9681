/** Rules that stand in the documents and never decide anything: worth a warning, since whoever wrote one meant something. */
import type { PolicyProblem } from "./overlap.ts";
import { meetingPairs } from "./pairs.ts";
import { hasCovering } from "./pattern-map.ts";
import { type Entry, isStrictlyWithin, isWithin, type Tenant, toEntries } from "./rule.ts";

/** A rule with more combinations of cluster, namespace and account than this is not looked into. */
const cellsMax = 4096;

/** Of tenants without `overlaps`: the rules that narrower ones beat wherever they match, or that repeat another. */
export function shadowed(tenants: readonly Tenant[]): readonly PolicyProblem[] {
  const entries = toEntries(tenants);
  const narrower = new Map<Entry, Entry[]>(entries.map((entry) => [entry, []]));
  const problems: PolicyProblem[] = [];
  for (const [a, b] of meetingPairs(entries)) {
    if (isStrictlyWithin(a, b)) narrower.get(b)?.push(a);
    else if (isStrictlyWithin(b, a)) narrower.get(a)?.push(b);
    else if (isWithin(a, b)) problems.push(repeated(a, b));
  }
  for (const [entry, others] of narrower) {
    if (isCovered(entry, others)) problems.push(neverWins(entry, others));
  }
  return problems;
}

/** Whether the narrower rules together match all that this one does: looked at combination by combination. */
function isCovered({ lists }: Entry, narrower: readonly Entry[]): boolean {
  if (narrower.length < 2) return false;
  if (lists.clusters.length * lists.namespaces.length * lists.serviceAccounts.length > cellsMax) return false;
  return lists.clusters.every((cluster) =>
    lists.namespaces.every((namespace) =>
      lists.serviceAccounts.every((account) =>
        narrower.some(
          ({ maps }) =>
            hasCovering(maps.clusters, cluster) &&
            hasCovering(maps.namespaces, namespace) &&
            hasCovering(maps.serviceAccounts, account),
        ),
      ),
    ),
  );
}

function repeated(first: Entry, second: Entry): PolicyProblem {
  const message = `never decides anything: it matches what rule "${first.rule.name}" matches, with the same proofs`;
  return { tenant: second.tenant.name, rule: second.rule.name, message };
}

function neverWins({ tenant, rule }: Entry, narrower: readonly Entry[]): PolicyProblem {
  const named = narrower.slice(0, 3).map((other) => `"${other.tenant.name}/${other.rule.name}"`);
  const more = narrower.length > named.length ? ` and ${narrower.length - named.length} more` : "";
  const message = `never decides anything: narrower rules beat it wherever it matches (${named.join(", ")}${more})`;
  return { tenant: tenant.name, rule: rule.name, message };
}
