/** The rules of all tenants, indexed: finding those that match a workload does not get slower with the number of others. */
import { conflict } from "./overlap.ts";
import { meetingPairs } from "./pairs.ts";
import { groupByPattern, type PatternMap, toPatternMap, visitCovering } from "./pattern-map.ts";
import {
  type Dimension,
  dimensions,
  type Entry,
  type Facts,
  factOf,
  isStrictlyWithin,
  reaches,
  type Tenant,
  toEntries,
} from "./rule.ts";

/** A rule in the table, with the rules that beat it. */
export interface Row {
  readonly entry: Entry;
  /** Its place among all rules by tenant and name: settles which of two rules with the same say is named in the ledger. */
  readonly position: number;
  readonly beatenBy: ReadonlySet<Row>;
}

export interface RuleTable {
  readonly rows: readonly Row[];
  readonly index: Index;
}

type Index =
  | { readonly kind: "list"; readonly rows: readonly Row[]; readonly asked: readonly Dimension[] }
  | { readonly kind: "map"; readonly dimension: Dimension; readonly map: PatternMap<Index> };

/** So many rules are looked at one by one; more are divided by the next dimension. */
const listMax = 8;

/** @throws Error when two rules conflict: `overlaps` refuses such documents before they get here. */
export function toRuleTable(tenants: readonly Tenant[]): RuleTable {
  const entries = toEntries(tenants);
  const beatenBy = new Map(entries.map((entry) => [entry, new Set<Row>()]));
  const rows = [...beatenBy].map(([entry, beaters], position) => ({ entry, position, beatenBy: beaters }));
  const rowOf = new Map(rows.map((row) => [row.entry, row]));
  for (const [a, b] of meetingPairs(entries)) {
    const problem = conflict(a, b);
    if (problem !== undefined) throw new Error(`rule "${b.tenant.name}/${b.rule.name}" ${problem}`);
    const [rowA, rowB] = [rowOf.get(a), rowOf.get(b)];
    if (rowA === undefined || rowB === undefined) continue;
    if (isStrictlyWithin(a, b)) rowB.beatenBy.add(rowA);
    else if (isStrictlyWithin(b, a)) rowA.beatenBy.add(rowB);
  }
  return { rows, index: toIndex(rows, dimensions) };
}

/** Every rule that matches, in no order. */
export function matchingRows(table: RuleTable, facts: Facts): readonly Row[] {
  const found: Row[] = [];
  collect(table.index, facts, found);
  return found;
}

/** Divides only where many rules stand together, so that a long list in each dimension is not multiplied out. */
function toIndex(rows: readonly Row[], asked: readonly Dimension[]): Index {
  const [dimension, ...rest] = asked;
  if (dimension === undefined || rows.length <= listMax) return { kind: "list", rows, asked };
  const groups = groupByPattern(rows, (row) => row.entry.lists[dimension]);
  const map = toPatternMap(new Map([...groups].map(([pattern, group]) => [pattern, toIndex(group, rest)])));
  return { kind: "map", dimension, map };
}

function collect(index: Index, facts: Facts, found: Row[]): void {
  if (index.kind === "list") {
    for (const row of index.rows) if (reaches(row.entry, facts, index.asked)) found.push(row);
    return;
  }
  visitCovering(index.map, facts[factOf[index.dimension]], (next) => {
    collect(next, facts, found);
    return true;
  });
}
