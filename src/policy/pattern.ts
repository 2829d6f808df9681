/**
 * What a rule may say for a name: the name itself, or a prefix and `*` (`team-*`; `*` alone is every name). Two patterns
 * either nest or have nothing in common, and everything in this folder leans on that.
 */
export type Pattern = string;

/** Whether every name `b` stands for, `a` stands for too. A bare name is the pattern that stands for it alone. */
export function covers(a: Pattern, b: Pattern): boolean {
  if (!isPrefix(a)) return a === b;
  const prefix = prefixOf(a);
  return isPrefix(b) ? prefixOf(b).startsWith(prefix) : b.startsWith(prefix);
}

export function matches(pattern: Pattern, name: string): boolean {
  return isPrefix(pattern) ? name.startsWith(prefixOf(pattern)) : pattern === name;
}

export function intersects(a: Pattern, b: Pattern): boolean {
  return covers(a, b) || covers(b, a);
}

/** The same names with no pattern inside another, sorted: any name then matches at most one of them. */
export function reduce(patterns: readonly Pattern[]): readonly Pattern[] {
  const kept: Pattern[] = [];
  // Prefixes before names and short before long, so that what covers comes before what it covers.
  for (const pattern of [...new Set(patterns)].sort(widestFirst)) {
    if (!kept.some((wider) => covers(wider, pattern))) kept.push(pattern);
  }
  return kept.sort();
}

export function isPrefix(pattern: Pattern): boolean {
  return pattern.endsWith("*");
}

export function prefixOf(pattern: Pattern): string {
  return pattern.slice(0, -1);
}

function widestFirst(a: Pattern, b: Pattern): number {
  return Number(isPrefix(b)) - Number(isPrefix(a)) || a.length - b.length;
}
