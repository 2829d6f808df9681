import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { covers, intersects, matches, reduce } from "../../src/policy/pattern.ts";
import { groupByPattern, hasCovering, hasMeeting, toPatternMap, visitMeeting } from "../../src/policy/pattern-map.ts";
import { anyName, anyPattern } from "./build.ts";

test("a name matches itself, a prefix what begins with it, and * everything", () => {
  assert.ok(matches("team-a", "team-a") && !matches("team-a", "team-ab"));
  assert.ok(matches("team-*", "team-a") && matches("team-*", "team-") && !matches("team-*", "team"));
  assert.ok(matches("*", "anything") && matches("*", ""));
});

test("two patterns nest or have nothing in common", () => {
  assert.ok(covers("a*", "ab*") && !covers("ab*", "a*"));
  assert.ok(covers("a*", "a") && !covers("a", "a*"));
  assert.ok(intersects("a*", "ab") && !intersects("ab*", "ac*") && !intersects("a", "b"));
});

test("covering and meeting agree with what the patterns match", () => {
  const names = ["a", "b", "aa", "ab", "ba", "aaa", "aba", "c", ""];
  fc.assert(
    fc.property(anyPattern, anyPattern, (a, b) => {
      const inA = names.filter((name) => matches(a, name));
      const inB = names.filter((name) => matches(b, name));
      assert.equal(
        covers(a, b),
        inB.every((name) => inA.includes(name)),
      );
      assert.equal(
        intersects(a, b),
        inA.some((name) => inB.includes(name)),
      );
    }),
  );
});

test("what is reduced matches the same, with one pattern at most", () => {
  fc.assert(
    fc.property(fc.array(anyPattern), anyName, (patterns, name) => {
      const hits = reduce(patterns).filter((pattern) => matches(pattern, name));
      assert.equal(hits.length, patterns.some((pattern) => matches(pattern, name)) ? 1 : 0);
    }),
  );
});

test("a pattern map finds what comparing one by one finds", () => {
  fc.assert(
    fc.property(fc.array(anyPattern), fc.oneof(anyPattern, anyName), (patterns, asked) => {
      const map = toPatternMap(groupByPattern([...new Set(patterns)], (pattern) => [pattern]));
      const found: string[] = [];
      visitMeeting(map, asked, (group) => {
        found.push(...group);
        return true;
      });
      assert.deepEqual(found.sort(), [...new Set(patterns)].filter((pattern) => intersects(pattern, asked)).sort());
      assert.equal(hasMeeting(map, asked), found.length > 0);
      assert.equal(
        hasCovering(map, asked),
        patterns.some((pattern) => covers(pattern, asked)),
      );
    }),
  );
});
