/**
 * Why this rule and no other? For people: every rule that matches a request, or would but for its cluster or its account, and what
 * each comes to. It decides nothing: which one does is asked where it is decided.
 */
import { type Dimension, type Facts, type Rule, reaches } from "./rule.ts";
import { matchingRows, type Row, type RuleTable } from "./table.ts";
import { matchOf, tenantOf } from "./tenant.ts";

export interface Candidate {
  readonly tenant: string;
  readonly rule: Rule;
  /**
   * `other-tenant`: it matches, and another tenant is asked for. `repeats`: it says what the one that decides says. `nearly`: it names the
   * namespace, and does not match.
   */
  readonly state: "decides" | "beaten" | "repeats" | "other-tenant" | "nearly";
  /** Of one that is beaten: the narrower ones that match too, as `tenant/rule`. */
  readonly beatenBy: readonly string[];
  /** Of one that nearly matches: what it does not list. */
  readonly lacks: readonly Dimension[];
}

/** Of those that nearly match. */
const nearlyMax = 8;

/** The one that decides first, if any does. An empty `tenant` is none that is asked for. */
export function candidatesOf(table: RuleTable, facts: Facts, tenant: string): readonly Candidate[] {
  const matching = matchingRows(table, facts).toSorted((a, b) => a.position - b.position);
  const match = tenant === "" ? tenantOf(table, facts) : matchOf(table, facts, tenant);
  const asked = matching.filter(({ entry }) => tenant === "" || entry.tenant.name === tenant);
  const found = matching.map((row): Candidate => {
    const isAsked = asked.includes(row);
    const beatenBy = isAsked ? asked.filter((other) => row.beatenBy.has(other)).map(nameOf) : [];
    const state = row.entry.rule === match?.rule ? "decides" : isAsked ? toLoser(beatenBy) : "other-tenant";
    return { tenant: row.entry.tenant.name, rule: row.entry.rule, state, beatenBy, lacks: [] };
  });
  const isFirst = ({ state }: Candidate): number => (state === "decides" ? 0 : 1);
  return [...found.sort((a, b) => isFirst(a) - isFirst(b)), ...nearly(table, facts)];
}

function toLoser(beatenBy: readonly string[]): Candidate["state"] {
  return beatenBy.length > 0 ? "beaten" : "repeats";
}

function nearly({ rows }: RuleTable, facts: Facts): readonly Candidate[] {
  const found: Candidate[] = [];
  for (const { entry } of rows) {
    if (found.length === nearlyMax) break;
    if (!reaches(entry, facts, ["namespaces"])) continue;
    const lacks = (["clusters", "serviceAccounts"] as const).filter((one) => !reaches(entry, facts, [one]));
    if (lacks.length === 0) continue;
    found.push({ tenant: entry.tenant.name, rule: entry.rule, state: "nearly", beatenBy: [], lacks });
  }
  return found;
}

function nameOf({ entry }: Row): string {
  return `${entry.tenant.name}/${entry.rule.name}`;
}
