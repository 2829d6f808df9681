/** Which tenant a workload belongs to: the most specific rule that matches it, by facts only. */
import type { Facts, Rule, Tenant } from "./rule.ts";
import { matchingRows, type Row, type RuleTable } from "./table.ts";

export interface Match {
  readonly tenant: Tenant;
  /** The rule that decides: of those of this tenant that match, one that no other beats. */
  readonly rule: Rule;
}

/** The winner over all rules, or undefined when none matches. */
export function tenantOf(table: RuleTable, facts: Facts): Match | undefined {
  return toMatch(winner(matchingRows(table, facts)));
}

/** The winner among one tenant's own rules; undefined when the tenant is unknown as when its rules do not match. */
export function matchOf(table: RuleTable, facts: Facts, tenant: string): Match | undefined {
  return toMatch(winner(matchingRows(table, facts).filter((row) => row.entry.tenant.name === tenant)));
}

/** Every tenant with a rule that matches, sorted by name. */
export function tenantsOf(table: RuleTable, facts: Facts): readonly string[] {
  return [...new Set(matchingRows(table, facts).map((row) => row.entry.tenant.name))].sort();
}

/** What none of the others beats; of several (one tenant's, with the same proofs) the first by name. */
function winner(rows: readonly Row[]): Row | undefined {
  let best: Row | undefined;
  for (const row of rows) {
    if (row.beatenBy.size > 0 && rows.some((other) => row.beatenBy.has(other))) continue;
    if (best === undefined || row.position < best.position) best = row;
  }
  return best;
}

function toMatch(row: Row | undefined): Match | undefined {
  return row && { tenant: row.entry.tenant, rule: row.entry.rule };
}
