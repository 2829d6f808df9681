/** A map keyed by patterns: what it holds for a name is found without looking at the other patterns. */
import { isPrefix, type Pattern, prefixOf } from "./pattern.ts";

export interface PatternMap<T> {
  readonly exact: ReadonlyMap<string, T>;
  readonly prefixes: ReadonlyMap<string, T>;
  /** The lengths the prefixes have, ascending: a look-up costs one probe for each, whatever the number of patterns. */
  readonly lengths: readonly number[];
  /** All keys of `exact` and `prefixes`, sorted, to find what lies under a prefix. */
  readonly sorted: readonly string[];
}

/** Says false to be told no more. */
export type Visit<T> = (value: T) => boolean;

export function toPatternMap<T>(entries: ReadonlyMap<Pattern, T>): PatternMap<T> {
  const exact = new Map<string, T>();
  const prefixes = new Map<string, T>();
  for (const [pattern, value] of entries) {
    if (isPrefix(pattern)) prefixes.set(prefixOf(pattern), value);
    else exact.set(pattern, value);
  }
  const lengths = [...new Set([...prefixes.keys()].map((prefix) => prefix.length))].sort((a, b) => a - b);
  return { exact, prefixes, lengths, sorted: [...new Set([...exact.keys(), ...prefixes.keys()])].sort() };
}

/** Groups values under each of their patterns. */
export function groupByPattern<T>(
  values: readonly T[],
  patternsOf: (value: T) => readonly Pattern[],
): Map<Pattern, T[]> {
  const groups = new Map<Pattern, T[]>();
  for (const value of values) {
    for (const pattern of patternsOf(value)) {
      const group = groups.get(pattern);
      if (group === undefined) groups.set(pattern, [value]);
      else group.push(value);
    }
  }
  return groups;
}

/** Visits what stands at each pattern that covers this one; a name is a pattern too. False when the visit was stopped. */
export function visitCovering<T>(map: PatternMap<T>, pattern: Pattern, visit: Visit<T>): boolean {
  const wild = isPrefix(pattern);
  const text = wild ? prefixOf(pattern) : pattern;
  if (!wild) {
    const value = map.exact.get(text);
    if (value !== undefined && !visit(value)) return false;
  }
  for (const length of map.lengths) {
    if (length > text.length) break;
    const value = map.prefixes.get(length === text.length ? text : text.slice(0, length));
    if (value !== undefined && !visit(value)) return false;
  }
  return true;
}

/** Visits what stands at each pattern that covers this one or that it covers: those are all that share a name with it. */
export function visitMeeting<T>(map: PatternMap<T>, pattern: Pattern, visit: Visit<T>): boolean {
  if (!visitCovering(map, pattern, visit)) return false;
  if (!isPrefix(pattern)) return true;
  const prefix = prefixOf(pattern);
  for (let i = firstFrom(map.sorted, prefix); i < map.sorted.length; i++) {
    const key = map.sorted[i];
    if (key === undefined || !key.startsWith(prefix)) return true;
    const name = map.exact.get(key);
    if (name !== undefined && !visit(name)) return false;
    const deeper = key === prefix ? undefined : map.prefixes.get(key);
    if (deeper !== undefined && !visit(deeper)) return false;
  }
  return true;
}

/** Whether one of the map's patterns covers this one. */
export function hasCovering<T>(map: PatternMap<T>, pattern: Pattern): boolean {
  return !visitCovering(map, pattern, stop);
}

export function hasMeeting<T>(map: PatternMap<T>, pattern: Pattern): boolean {
  return !visitMeeting(map, pattern, stop);
}

function stop(): boolean {
  return false;
}

function firstFrom(sorted: readonly string[], from: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? "") < from) low = middle + 1;
    else high = middle;
  }
  return low;
}
