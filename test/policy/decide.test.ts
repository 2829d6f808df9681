import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { Refusal } from "../../src/errors.ts";
import { readSpiffeId, type SpiffeId } from "../../src/identity.ts";
import { decide } from "../../src/policy/decide.ts";
import { overlaps } from "../../src/policy/overlap.ts";
import { decideServing } from "../../src/policy/serving.ts";
import { toRuleTable } from "../../src/policy/table.ts";
import { anyTenants, rule, tenant, workload, world } from "./build.ts";
import { type Case, cases, documents } from "./cases.ts";

const table = toRuleTable(documents);

function spiffeId(text: string): SpiffeId {
  return readSpiffeId(Buffer.from(text));
}

/** The identity the expected tenant gives, so that a case has to spell one out only when it is wrong. */
function csrOf({ csr, who, verdict }: Case): SpiffeId {
  if (csr !== undefined) return spiffeId(csr);
  const [name] = verdict.split("/");
  const trustDomain = documents.find((one) => one.name === name)?.trustDomain ?? "shop.example";
  const segment = (text: string) => (/^[\w.-]+$/.test(text) ? text : "none");
  return spiffeId(`spiffe://${trustDomain}/ns/${segment(who.namespace)}/sa/${segment(who.serviceAccount)}`);
}

function ask(one: Case, validitySeconds = 0) {
  const request = { workload: one.who, profile: "workload", requestedIdentity: csrOf(one), validitySeconds } as const;
  return decide(table, one.signer === undefined ? request : { ...request, requestedSigner: one.signer });
}

function refusalOf(one: Case): Refusal {
  try {
    ask(one);
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "granted" });
}

test("the documents of the cases load", () => assert.deepEqual(overlaps(documents), []));

describe("decide", () => {
  for (const one of cases) {
    test(`${one.says}: ${one.verdict}`, () => {
      if (!one.verdict.includes("/")) return assert.equal(refusalOf(one).code, one.verdict);
      const grant = ask(one);
      assert.equal(grant.rule, one.verdict);
      assert.equal(`${grant.tenant}/`, one.verdict.slice(0, one.verdict.indexOf("/") + 1));
      assert.equal(grant.identity, csrOf(one));
      assert.equal(grant.proof, one.who.proof);
      assert.equal(grant.profile, "workload");
    });
  }
});

test("a refusal names no rule, and no tenant the caller did not name", () => {
  for (const one of cases.filter(({ verdict }) => !verdict.includes("/"))) {
    const said = refusalOf(one).message;
    const own = [...Object.values(one.who), one.signer];
    for (const { name, rules } of documents) {
      for (const word of [name, ...rules.map((rule) => rule.name)]) {
        if (!own.includes(word))
          assert.ok(!said.includes(`"${word}"`) && !said.includes(`${name}/`), `${one.says}: ${said}`);
      }
    }
  }
});

test("the log is told whose rule it was", () => {
  const denied = cases.find(({ says }) => says === "the winner's proofs are final, across tenants");
  assert.ok(denied);
  assert.deepEqual(refusalOf(denied).cause, { tenant: "pay", rule: "till" });
});

test("an unknown signer and a forbidden one are refused with the same words", () => {
  const say = (signer: string) =>
    refusalOf({ says: "", who: workload(), signer, verdict: "" }).message.replace(signer, "…");
  assert.equal(say("pay"), say("nobody"));
});

const validity: readonly (readonly [number, number])[] = [
  [0, 3600],
  [-1, 3600],
  [Number.MIN_SAFE_INTEGER, 3600],
  [1, 600],
  [599, 600],
  [600, 600],
  [7200, 7200],
  [7201, 7200],
  [Number.MAX_SAFE_INTEGER, 7200],
  [Number.MAX_SAFE_INTEGER + 1, 3600],
  [Number.NaN, 3600],
  [Number.POSITIVE_INFINITY, 3600],
  [900.5, 3600],
];

function validityOf(
  validitySeconds: number,
  limits: { defaultSeconds: number; minimumSeconds: number; maximumSeconds: number },
): number {
  const one = toRuleTable([tenant({ profiles: { workload: limits } })]);
  const requestedIdentity = spiffeId("spiffe://shop.example/ns/shop-web/sa/web");
  return decide(one, { workload: workload(), profile: "workload", requestedIdentity, validitySeconds }).validitySeconds;
}

for (const [asked, given] of validity) {
  test(`of ${asked} s asked for, ${given} are given where 600 to 7200 may be`, () => {
    assert.equal(validityOf(asked, { defaultSeconds: 3600, minimumSeconds: 600, maximumSeconds: 7200 }), given);
  });
}

test("validity is within minimum and maximum, and whole", () => {
  const limits = fc
    .tuple(
      fc.integer({ min: 300, max: 7_776_000 }),
      fc.integer({ min: 300, max: 7_776_000 }),
      fc.integer({ min: 300, max: 7_776_000 }),
    )
    .map((three) => three.sort((a, b) => a - b))
    .map(([minimumSeconds, defaultSeconds, maximumSeconds]) => ({
      minimumSeconds,
      defaultSeconds,
      maximumSeconds,
    }));
  fc.assert(
    fc.property(fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger()), limits, (asked, limits) => {
      const given = validityOf(asked, limits);
      assert.ok(Number.isSafeInteger(given) && given >= limits.minimumSeconds && given <= limits.maximumSeconds);
    }),
  );
});

test("from any documents that load, no two tenants ever get one identity", () => {
  let loaded = 0;
  const property = fc.property(anyTenants, (tenants) => {
    if (overlaps(tenants).length > 0) return;
    loaded++;
    const table = toRuleTable(tenants);
    const owners = new Map<string, string>();
    for (const facts of world) {
      for (const { name, trustDomain } of tenants) {
        const requestedIdentity = spiffeId(`spiffe://${trustDomain}/ns/${facts.namespace}/sa/${facts.serviceAccount}`);
        for (const requestedSigner of ["", name]) {
          const request = {
            workload: { ...facts, proof: "token" },
            profile: "workload",
            requestedIdentity,
            requestedSigner,
            validitySeconds: 0,
          } as const;
          const granted = grantOrNone(() => decide(table, request));
          if (granted === undefined) continue;
          assert.equal(owners.get(granted.identity) ?? granted.tenant, granted.tenant);
          owners.set(granted.identity, granted.tenant);
        }
      }
    }
  });
  fc.assert(property, { numRuns: 2_000 });
  assert.ok(loaded > 100, `only ${loaded} loaded`);
});

function grantOrNone<T>(attempt: () => T): T | undefined {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

test("a cluster serves with the names its document lists and nothing else", () => {
  assert.deepEqual(decideServing({ servingNames: ["ca.east.example"] }), ["ca.east.example"]);
});

test("documents that overlap make no table", () => {
  assert.throws(
    () =>
      toRuleTable([tenant({ name: "a", trustDomain: "a", rules: [rule()] }), tenant({ name: "b", trustDomain: "b" })]),
    /overlaps/,
  );
});
