import assert from "node:assert/strict";
import { test } from "node:test";
import { decideAuthorities, isNearEnd, nextStep } from "../../src/controller/succession.ts";
import type { AuthorityRecord, AuthorityRequest } from "../../src/ledger/state.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { cluster, join, read, root, tenant } from "../resources/build.ts";
import { at, day, hour, rootRecord } from "../support/authority-record.ts";

function declare(more = "authority: { validityDays: 100 }"): Declared {
  return read(join(root("main"), cluster("east"), tenant("shop", { more })));
}

const main = rootRecord();

/** As it is made at the start for a hundred days. */
function shop(state: AuthorityRecord["state"], overrides: Partial<AuthorityRecord> = {}): AuthorityRecord {
  const times = { notBefore: at(-hour), notAfter: at(100 * day) };
  return {
    ...main,
    id: `shop-${state}`,
    kind: "tenant",
    owner: "shop",
    state,
    parent: "main-1",
    ...times,
    ...overrides,
  };
}

/** The due steps in words. */
function due(now: Date, records: readonly AuthorityRecord[], declared = declare()): readonly string[] {
  return decideAuthorities(declared, [main, ...records], now).map((step) => {
    switch (step.kind) {
      case "prepare":
        return `prepare under ${step.root.id}`;
      case "request":
        return `ask ${step.root.id}`;
      case "withdraw":
        return `withdraw ${step.request.id}`;
      case "activate":
        return `${step.successor.id} for ${step.active?.id ?? "nobody"}`;
      case "dismiss":
      case "retire":
        return `${step.kind} ${step.record.id}`;
    }
  });
}

const preparedAt = 50 * day;
const prepared = shop("prepared", { notBefore: at(preparedAt - hour), notAfter: at(150 * day) });
const longer = declare(
  "authority: { validityDays: 100 }\n  profiles: { workload: { maximumSeconds: 4000000 } }", // 46.3 days
);
const longerRequests = declare("authority: { validityDays: 100 }\n  requests: { maximumSeconds: 4000000 }");
const oldRoot = { ...main, id: "main-0", state: "retiring" } as const;

const table: readonly (readonly [string, Date, readonly AuthorityRecord[], readonly string[], Declared?])[] = [
  ["the first is made at once", at(0), [], ["prepare under main-1"]],
  ["and signs at once", at(0), [shop("prepared")], ["shop-prepared for nobody"]],
  ["nothing before half of its life", at(50 * day - hour), [shop("active")], []],
  ["a successor from there on", at(50 * day), [shop("active")], ["prepare under main-1"]],
  ["which waits ten minutes", at(preparedAt + hour / 6 - 1), [shop("active"), prepared], []],
  ["and takes over", at(preparedAt + hour / 6), [shop("active"), prepared], ["shop-prepared for shop-active"]],
  [
    "one that could not in an hour is given up",
    at(preparedAt + hour + 1),
    [shop("active"), prepared],
    ["retire shop-prepared"],
  ],
  [
    "nobody waits beside one that cuts leaves short",
    at(99.5 * day),
    [shop("active"), shop("prepared", { notBefore: at(99.5 * day - hour) })],
    ["shop-prepared for shop-active"],
  ],
  ["nor beside one that has ended", at(101 * day), [shop("active")], ["prepare under main-1"]],
  [
    "the old one may have leaves until its end",
    at(100 * day),
    [shop("retiring"), shop("active", { notAfter: at(200 * day) })],
    [],
  ],
  [
    "and then is retired",
    at(100 * day + 1),
    [shop("retiring"), shop("active", { notAfter: at(200 * day) })],
    ["retire shop-retiring"],
  ],
  [
    "also a tenant's that is declared no more",
    at(100 * day + 1),
    [shop("retiring", { owner: "gone" }), shop("active", { notAfter: at(200 * day) })],
    ["retire shop-retiring"],
  ],
  [
    "leaves that are almost half as long bring it forward by an hour",
    at(100 * day - 4_000_000_000 - hour),
    [shop("active")],
    ["prepare under main-1"],
    longer,
  ],
  [
    "and so do requests' certificates",
    at(100 * day - 4_000_000_000 - hour),
    [shop("active")],
    ["prepare under main-1"],
    longerRequests,
  ],
  [
    "what has another algorithm has a successor at once",
    at(0),
    [shop("active", { algorithm: "P-384" })],
    ["prepare under main-1"],
  ],
  [
    "a successor of another algorithm is given up",
    at(0),
    [shop("active"), shop("prepared", { algorithm: "P-384" })],
    ["retire shop-prepared"],
  ],
  [
    "what stands under an older root has a successor at once",
    at(0),
    [oldRoot, shop("active", { parent: "main-0" })],
    ["prepare under main-1"],
  ],
  [
    "a successor under an older root is given up",
    at(0),
    [oldRoot, shop("active"), shop("prepared", { parent: "main-0" })],
    ["retire shop-prepared"],
  ],
  [
    "what stands under another TrustRoot, of a tenant that was declared anew, has a successor at once",
    at(0),
    [{ ...main, id: "other-1", owner: "other" }, shop("active", { parent: "other-1" })],
    ["prepare under main-1"],
  ],
  ["a revoked one has a successor at once", at(0), [shop("revoked")], ["prepare under main-1"]],
  ["another tenant's are not its own", at(0), [shop("active", { owner: "bank" })], ["prepare under main-1"]],
];

for (const [title, now, records, expected, declared] of table) {
  test(title, () => assert.deepEqual(due(now, records, declared), expected));
}

test("longer leaves than an authority can give make a successor at once, which gives them", () => {
  const declared = declare("authority: { validityDays: 365 }\n  profiles: { workload: { maximumSeconds: 7776000 } }");
  assert.deepEqual(due(at(20 * day), [shop("active")], declared), ["prepare under main-1"]);
  const made = shop("prepared", { notBefore: at(20 * day - hour), notAfter: at(385 * day) });
  assert.deepEqual(due(at(20 * day), [shop("active"), made], declared), ["shop-prepared for shop-active"]);
  assert.deepEqual(due(at(20 * day), [shop("retiring"), { ...made, state: "active" }], declared), []);
});

test("under a root that ends no later nothing is made, again and again", () => {
  const [declared] = [declare()];
  const [payer] = declared.tenants.values();
  assert.ok(payer);
  for (const left of [100 * day, 0, -day]) {
    const ending = { ...main, notAfter: at(100 * day + left) };
    const next = nextStep(payer, [ending, shop("active")], at(90 * day));
    assert.equal(next.kind, left > 0 ? "step" : "stuck", String(left));
    const after = [ending, shop("active", { notAfter: ending.notAfter })];
    assert.equal(nextStep(payer, after, at(99 * day + left)).kind, "stuck");
    assert.equal(nextStep(payer, [ending], at(101 * day + left)).kind, "stuck");
  }
  assert.equal(nextStep(payer, [], at(0)).kind, "stuck");
});

test("under an offline root a request is left once, and waits for as long as it is of use", () => {
  const offline = { ...main, keyName: "" };
  const asked = {
    id: "shop-next",
    tenant: "shop",
    root: "main-1",
    algorithm: "P-256",
    csr: new Uint8Array(),
    validityDays: 100,
    requestedAt: at(50 * day),
  } as const;
  const steps = (ms: number, requests: readonly AuthorityRequest[], records = [offline, shop("active")]) =>
    decideAuthorities(declare(), records, at(ms), requests).map((step) =>
      step.kind === "withdraw" ? `withdraw: ${step.reason}` : step.kind,
    );
  assert.deepEqual(steps(50 * day - hour, []), []);
  assert.deepEqual(steps(50 * day, []), ["request"]);
  for (const ms of [50 * day, 90 * day, 101 * day]) assert.deepEqual(steps(ms, [asked]), []);
  assert.deepEqual(steps(50 * day, [{ ...asked, root: "main-0" }]), ["withdraw: its root is not active any more"]);
  assert.deepEqual(steps(50 * day, [{ ...asked, algorithm: "P-384" }]), ["withdraw: its key is P-384, not P-256"]);
  assert.deepEqual(steps(40 * day, [asked]), ["withdraw: nothing is due any more"]);
  assert.deepEqual(steps(0, [{ ...asked, tenant: "gone" }]), ["withdraw: its tenant is declared no more"]);
  // It was signed a week before it was taken.
  const taken = shop("prepared", { notBefore: at(43 * day), notAfter: at(143 * day) });
  assert.deepEqual(steps(50 * day, [], [offline, shop("active"), taken]), ["activate"]);
});

test("the end is near from a third of a life on", () => {
  const third = (100 * day + hour) / 3;
  assert.equal(isNearEnd(shop("active"), at(100 * day - third)), false);
  assert.equal(isNearEnd(shop("active"), at(100 * day - third + 1)), true);
});
