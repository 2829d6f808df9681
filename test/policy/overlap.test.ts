import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { overlaps } from "../../src/policy/overlap.ts";
import { meetingPairs } from "../../src/policy/pairs.ts";
import { isStrictlyWithin, isWithin, meets, type Rule, type Tenant, toEntries } from "../../src/policy/rule.ts";
import { shadowed } from "../../src/policy/shadow.ts";
import { toRuleTable } from "../../src/policy/table.ts";
import { tenantOf } from "../../src/policy/tenant.ts";
import { anyRule, anyTenants, rule, saysYes, tenant, world } from "./build.ts";

function two(a: Partial<Rule>, b: Partial<Rule>, trustDomains = ["a.example", "b.example"]): readonly Tenant[] {
  const [first = "", second = ""] = trustDomains;
  return [
    tenant({ name: "a", trustDomain: first, rules: [rule(a)] }),
    tenant({ name: "b", trustDomain: second, rules: [rule(b)] }),
  ];
}

const verdicts: readonly (readonly [string, readonly Tenant[], RegExp | undefined])[] = [
  ["the same rule twice is refused", two({}, {}), /neither matches a strict subset/],
  ["rules that have nothing in common may stand", two({ namespaces: ["a"] }, { namespaces: ["b"] }), undefined],
  ["a strict subset may stand", two({ namespaces: ["a-*"] }, { namespaces: ["a-1"] }), undefined],
  ["a strict subset in one list of three may stand", two({ clusters: ["east"] }, {}), undefined],
  [
    "narrower here and wider there is refused",
    two({ clusters: ["east"] }, { namespaces: ["a"] }),
    /cluster "east", namespace "a", account "\*"/,
  ],
  ["lists that only touch are refused", two({ namespaces: ["a", "b"] }, { namespaces: ["b", "c"] }), /namespace "b"/],
  [
    "the same names written otherwise are refused",
    two({ namespaces: ["a*", "ab"] }, { namespaces: ["a*"] }),
    /neither/,
  ],
  [
    "one trust domain and one namespace are refused even in different clusters",
    two({ clusters: ["east"], namespaces: ["a"] }, { clusters: ["west"], namespaces: ["a"] }, ["x", "x"]),
    /tenants that share a trust domain \("x"\) have namespaces disjoint over all clusters/,
  ],
  [
    "one trust domain and a namespace within a prefix are refused",
    two({ namespaces: ["a-*"] }, { namespaces: ["a-1"] }, ["x", "x"]),
    /namespace "a-1" is also in rule "all" of MeshTenant "a"/,
  ],
  [
    "one trust domain and disjoint namespaces may stand",
    two({ namespaces: ["a"] }, { namespaces: ["b"] }, ["x", "x"]),
    undefined,
  ],
  [
    "two rules of one tenant that overlap with other proofs are refused",
    [
      tenant({
        rules: [
          rule({ name: "a", clusters: ["east"] }),
          rule({ name: "b", namespaces: ["x"], proofs: ["certificate"] }),
        ],
      }),
    ],
    /which proofs count would depend on their order/,
  ],
  [
    "with the same proofs, in any order, they may stand",
    [
      tenant({
        rules: [
          rule({ name: "a", clusters: ["east"], proofs: ["token", "certificate"] }),
          rule({ name: "b", namespaces: ["x"], proofs: ["certificate", "token"] }),
        ],
      }),
    ],
    undefined,
  ],
];

for (const [title, tenants, message] of verdicts) {
  test(title, () => {
    const problems = overlaps(tenants);
    assert.equal(problems.length, message === undefined ? 0 : problems.length || 1);
    if (message !== undefined) assert.match(problems[0]?.message ?? "", message);
  });
}

test("within and meeting agree with looking at every workload", () => {
  fc.assert(
    fc.property(anyRule, anyRule, (first, second) => {
      const [a, b] = toEntries([tenant({ name: "a", rules: [first] }), tenant({ name: "b", rules: [second] })]);
      assert.ok(a && b);
      const inFirst = world.filter((facts) => saysYes(first, facts));
      const inSecond = world.filter((facts) => saysYes(second, facts));
      // Conservative: what counts as within is within; the other way round a cover by several is not seen.
      if (isWithin(a, b)) assert.ok(inFirst.every((facts) => inSecond.includes(facts)));
      if (inFirst.some((facts) => inSecond.includes(facts))) assert.ok(meets(a, b));
      if (!meets(a, b)) assert.ok(!isWithin(a, b));
      assert.ok(!(isStrictlyWithin(a, b) && isStrictlyWithin(b, a)));
    }),
    { numRuns: 2_000 },
  );
});

test("the index finds the pairs that comparing all with all finds", () => {
  fc.assert(
    fc.property(anyTenants, (tenants) => {
      const entries = toEntries(tenants);
      const all = entries.flatMap((a, i) =>
        entries
          .slice(i + 1)
          .filter((b) => meets(a, b))
          .map((b) => [a, b]),
      );
      const found = [...meetingPairs(entries)];
      assert.equal(found.length, all.length);
      assert.ok(all.every(([a, b]) => found.some(([x, y]) => x === a && y === b)));
    }),
  );
});

test("the winner does not depend on any order, matches, and is beaten by no other that does", () => {
  fc.assert(
    fc.property(anyTenants, fc.nat(), (tenants, seed) => {
      if (overlaps(tenants).length > 0) return;
      const shuffled = tenants.map((one) => ({ ...one, rules: rotate(one.rules, seed) }));
      const [table, other] = [toRuleTable(tenants), toRuleTable(rotate(shuffled, seed))];
      const entries = toEntries(tenants);
      for (const facts of world) {
        const match = tenantOf(table, facts);
        const again = tenantOf(other, facts);
        assert.deepEqual([match?.tenant.name, match?.rule.name], [again?.tenant.name, again?.rule.name]);
        const matching = entries.filter((entry) => saysYes(entry.rule, facts));
        const won = matching.find((entry) => entry.rule === match?.rule);
        assert.equal(won === undefined, matching.length === 0);
        if (won !== undefined) assert.ok(!matching.some((entry) => isStrictlyWithin(entry, won)));
      }
    }),
    { numRuns: 1_000 },
  );
});

test("what is said to decide never does not", () => {
  fc.assert(
    fc.property(anyTenants, (tenants) => {
      if (overlaps(tenants).length > 0) return;
      const table = toRuleTable(tenants);
      for (const { tenant, rule } of shadowed(tenants)) {
        for (const facts of world) {
          const match = tenantOf(table, facts);
          assert.ok(match?.tenant.name !== tenant || match.rule.name !== rule);
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

test("a rule that narrower ones cover together, or that repeats another, is told", () => {
  const covered = [
    rule({ name: "wide", clusters: ["east", "west"] }),
    rule({ name: "one", clusters: ["east"], proofs: ["certificate"] }),
    rule({ name: "two", clusters: ["west"] }),
  ];
  assert.match(shadowed([tenant({ rules: covered })])[0]?.message ?? "", /narrower rules beat it/);
  assert.match(
    shadowed([tenant({ rules: [rule({ name: "a" }), rule({ name: "b" })] })])[0]?.message ?? "",
    /with the same proofs/,
  );
  assert.deepEqual(shadowed([tenant({ rules: covered.slice(0, 2) })]), []);
});

/** Ways to lay out 2,000 tenants; each must be as quick to judge and to look up in as the next. */
const layouts: Readonly<Record<string, (i: number) => Partial<Rule>[]>> = {
  "namespaces of their own, everywhere": (i) => [
    { name: "a", namespaces: [`t${i}-*`] },
    { name: "b", namespaces: [`t${i}-x*`], proofs: ["certificate"] },
    { name: "c", namespaces: [`t${i}-y`], serviceAccounts: ["admin"] },
  ],
  "clusters of their own": (i) => [
    { name: "a", clusters: [`c${i}`] },
    { name: "b", clusters: [`c${i}`], namespaces: ["team-*"] },
    { name: "c", clusters: [`c${i}`], namespaces: ["team-*"], serviceAccounts: ["admin"] },
  ],
  "accounts of one namespace": (i) => [
    { name: "a", namespaces: ["shared"], serviceAccounts: [`t${i}-a`] },
    { name: "b", namespaces: ["shared"], serviceAccounts: [`t${i}-b*`] },
    { name: "c", clusters: ["c1"], namespaces: ["shared"], serviceAccounts: [`t${i}-c`] },
  ],
};

for (const [layout, rules] of Object.entries(layouts)) {
  test(`2,000 tenants with ${layout} are judged within a second and looked up in microseconds`, (t) => {
    const tenants = Array.from({ length: 2_000 }, (_, i) =>
      tenant({ name: `t${i}`, trustDomain: `t${i}.example`, rules: rules(i).map((one) => rule(one)) }),
    );
    const start = process.cpuUsage();
    assert.deepEqual(overlaps(tenants), []);
    const judgedMs = toMs(process.cpuUsage(start));
    const table = toRuleTable(tenants);
    const facts = Array.from({ length: 2_000 }, (_, i) => ({
      cluster: `c${i}`,
      namespace: i % 2 ? `t${i}-x1` : "shared",
      serviceAccount: `t${i}-a`,
    }));
    const rounds = 50;
    const before = process.cpuUsage();
    for (let round = 0; round < rounds; round++) for (const one of facts) tenantOf(table, one);
    const lookupUs = (toMs(process.cpuUsage(before)) * 1000) / (rounds * facts.length);
    // Generous: this is for what grows with the number of tenants, not for the machine, nor for what else it does.
    assert.ok(judgedMs < 3_000, `judged in ${judgedMs} ms`);
    assert.ok(lookupUs < 20, `looked up in ${lookupUs} µs`);
    t.diagnostic(`judged in ${judgedMs.toFixed()} ms, looked up in ${lookupUs.toFixed(2)} µs`);
  });
}

function toMs({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1000;
}

function rotate<T>(items: readonly T[], by: number): readonly T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)].toReversed();
}
