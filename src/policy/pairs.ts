/** Finds the rules that some workload matches both of, without comparing all with all. */
import { groupByPattern, type PatternMap, toPatternMap, type Visit, visitMeeting } from "./pattern-map.ts";
import { type Dimension, dimensions, type Entry, meets } from "./rule.ts";

type Index = Readonly<Record<Dimension, PatternMap<readonly Entry[]>>>;

/** Each pair once, in the order of `entries`. */
export function* meetingPairs(entries: readonly Entry[]): Generator<readonly [Entry, Entry]> {
  const index = toIndex(entries);
  const position = new Map(entries.map((entry, at) => [entry, at]));
  for (const [at, entry] of entries.entries()) {
    for (const other of candidates(index, entry)) {
      if ((position.get(other) ?? 0) > at && meets(entry, other)) yield [entry, other];
    }
  }
}

function toIndex(entries: readonly Entry[]): Index {
  const by = (dimension: Dimension) => toPatternMap(groupByPattern(entries, (entry) => entry.lists[dimension]));
  return { clusters: by("clusters"), namespaces: by("namespaces"), serviceAccounts: by("serviceAccounts") };
}

/** All that meet this rule in one dimension: in the one where the fewest do. */
function candidates(index: Index, entry: Entry): ReadonlySet<Entry> {
  let fewest = Number.POSITIVE_INFINITY;
  let best: Dimension = "namespaces";
  // A list with `*` meets everything; it comes last, when a better count may already be there to stop at.
  for (const dimension of dimensions.toSorted((a, b) => rank(entry, a) - rank(entry, b))) {
    const count = countMeeting(index[dimension], entry.lists[dimension], fewest);
    if (count < fewest) [fewest, best] = [count, dimension];
  }
  const found = new Set<Entry>();
  visitAll(index[best], entry.lists[best], (group) => {
    for (const other of group) found.add(other);
    return true;
  });
  return found;
}

function rank(entry: Entry, dimension: Dimension): number {
  return Number(entry.lists[dimension].includes("*"));
}

/** How many stand where these patterns lead; what lies beyond `most` is not counted. */
function countMeeting(map: PatternMap<readonly Entry[]>, patterns: readonly string[], most: number): number {
  let count = 0;
  visitAll(map, patterns, (group) => {
    count += group.length;
    return count < most;
  });
  return count;
}

function visitAll<T>(map: PatternMap<T>, patterns: readonly string[], visit: Visit<T>): void {
  for (const pattern of patterns) {
    if (!visitMeeting(map, pattern, visit)) return;
  }
}
