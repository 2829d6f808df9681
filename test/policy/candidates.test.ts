import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { candidatesOf } from "../../src/policy/candidates.ts";
import { overlaps } from "../../src/policy/overlap.ts";
import { toRuleTable } from "../../src/policy/table.ts";
import { matchOf, tenantOf } from "../../src/policy/tenant.ts";
import { anyTenants, rule, tenant, world } from "./build.ts";
import { documents } from "./cases.ts";

const till = { cluster: "east", namespace: "shop-till", serviceAccount: "till-1" };

function seen(facts: typeof till, asked = ""): readonly string[] {
  return candidatesOf(toRuleTable(documents), facts, asked).map(
    ({ tenant: of, rule: { name }, state, beatenBy, lacks }) =>
      [`${of}/${name}`, state, ...beatenBy, ...lacks].join(" "),
  );
}

test("the rule that decides comes first, then those it beats, by whom", () => {
  assert.deepEqual(seen(till), ["pay/till decides", "shop/all beaten pay/till", "shop/admin nearly serviceAccounts"]);
});

test("where a tenant is asked for, its own narrowest decides, and others' are not asked", () => {
  assert.deepEqual(seen(till, "shop").slice(0, 2), ["shop/all decides", "pay/till other-tenant"]);
});

test("of what does not match, only rules that name the namespace are told, and what they lack", () => {
  assert.deepEqual(seen({ ...till, cluster: "west", serviceAccount: "web" }), [
    "shop/all decides",
    "pay/till nearly clusters serviceAccounts",
    "shop/admin nearly serviceAccounts",
  ]);
  assert.deepEqual(seen({ ...till, namespace: "bank" }), []);
});

test("of two rules that say the same, one decides and the other says so", () => {
  const twice = toRuleTable([
    tenant({ rules: [rule({ name: "a", namespaces: ["a*"] }), rule({ name: "b", namespaces: ["a*"] })] }),
  ]);
  const found = candidatesOf(twice, { cluster: "x", namespace: "ab", serviceAccount: "c" }, "");
  assert.deepEqual(
    found.map(({ rule: { name }, state }) => `${name} ${state}`),
    ["a decides", "b repeats"],
  );
});

test("what is said to decide is what decides, whatever the documents", () => {
  fc.assert(
    fc.property(anyTenants, (tenants) => {
      fc.pre(overlaps(tenants).length === 0);
      const table = toRuleTable(tenants);
      for (const facts of world) {
        for (const asked of ["", ...tenants.map(({ name }) => name)]) {
          const match = asked === "" ? tenantOf(table, facts) : matchOf(table, facts, asked);
          const deciding = candidatesOf(table, facts, asked).filter(({ state }) => state === "decides");
          assert.deepEqual(
            deciding.map((one) => [one.tenant, one.rule.name]),
            match === undefined ? [] : [[match.tenant.name, match.rule.name]],
          );
        }
      }
    }),
  );
});
