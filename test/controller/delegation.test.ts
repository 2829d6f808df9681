/** The authority that signs a tenant's CA certificates: when there is one, and that nobody else comes under its root. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { crlIssuers } from "../../src/controller/crl.ts";
import { decideAuthorities, nextStep } from "../../src/controller/succession.ts";
import type { AuthorityRecord } from "../../src/ledger/state.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { cluster, join, read, root, tenant } from "../resources/build.ts";
import { at, day, hour, rootRecord } from "../support/authority-record.ts";

const rules = `[{ name: all, clusters: [east], namespaces: [shop], proofs: [token, request] }]`;
const giving =
  "authority: { validityDays: 100 }\n  requests: { maximumSeconds: 864000, authorities: { namespaces: [shop], maximumSeconds: 2592000 } }";

function declare(more = giving, ...others: readonly string[]): Declared {
  return read(join(root("main"), cluster("east"), tenant("shop", { rules, more }), ...others));
}

const main = rootRecord();

function under(
  kind: "tenant" | "delegating",
  state: AuthorityRecord["state"],
  overrides: Partial<AuthorityRecord> = {},
): AuthorityRecord {
  const times = { notBefore: at(-hour), notAfter: at(100 * day) };
  return rootRecord({ id: `${kind}-${state}`, kind, owner: "shop", state, parent: "main-1", ...times, ...overrides });
}

const leaves = under("tenant", "active");
const lasting = under("tenant", "active", { notAfter: at(300 * day) });
const signs = under("delegating", "active");
const bank = tenant("bank", { rules: "[{ name: all, clusters: [east], namespaces: [bank] }]" });

function due(now: Date, records: readonly AuthorityRecord[], declared = declare()): readonly string[] {
  return decideAuthorities(declared, [main, ...records], now).map((step) => {
    switch (step.kind) {
      case "prepare":
        return `prepare ${step.of} of ${step.tenant.name}`;
      case "activate":
        return `${step.successor.id} for ${step.active?.id ?? "nobody"}`;
      case "dismiss":
      case "retire":
        return `${step.kind} ${step.record.id}`;
      default:
        return step.kind;
    }
  });
}

const oldRoot = rootRecord({ id: "main-0", state: "retiring" });
const table: readonly (readonly [string, Date, readonly AuthorityRecord[], readonly string[], Declared?])[] = [
  ["there is none where the tenant gives no CA certificates", at(0), [leaves], [], declare("")],
  ["one is made where it does", at(0), [leaves], ["prepare delegating of shop"]],
  ["also beside the first that signs leaves", at(0), [], ["prepare tenant of shop", "prepare delegating of shop"]],
  ["it signs at once", at(0), [leaves, under("delegating", "prepared")], ["delegating-prepared for nobody"]],
  [
    "at half of its life it has a successor, as those that sign leaves",
    at(50 * day),
    [lasting, signs],
    ["prepare delegating of shop"],
  ],
  [
    "under a root that comes it is made anew, so that a rotation goes on",
    at(0),
    [oldRoot, leaves, under("delegating", "active", { parent: "main-0" })],
    ["prepare delegating of shop"],
  ],
  ["where none are given any more, it goes", at(0), [leaves, signs], ["dismiss delegating-active"], declare("")],
  [
    "and what was about to sign is given up",
    at(0),
    [leaves, under("delegating", "prepared")],
    ["retire delegating-prepared"],
    declare(""),
  ],
  ["what goes is there until it ends", at(100 * day), [lasting, under("delegating", "retiring")], [], declare("")],
  [
    "and then is retired",
    at(100 * day + 1),
    [lasting, under("delegating", "retiring")],
    ["retire delegating-retiring"],
    declare("authority: { validityDays: 300 }"),
  ],
  [
    "none is made while another tenant's certificates may live under the root",
    at(0),
    [leaves, under("tenant", "active", { id: "bank-1", owner: "bank" })],
    [],
  ],
  [
    "nor comes one to sign that was made before",
    at(0),
    [leaves, under("delegating", "prepared"), under("tenant", "retired", { id: "bank-1", owner: "bank" })],
    [],
  ],
  [
    "but once they have ended",
    at(10 * day),
    [leaves, under("tenant", "active", { id: "bank-1", owner: "bank", notAfter: at(10 * day) })],
    ["prepare delegating of shop"],
  ],
  [
    "and where they were under a root that nobody trusts any more",
    at(0),
    [
      rootRecord({ id: "main-0", state: "retired" }),
      leaves,
      under("tenant", "active", { id: "bank-1", owner: "bank", parent: "main-0" }),
    ],
    ["prepare delegating of shop"],
  ],
  [
    "nobody is taken in under a root with CA certificates of another tenant",
    at(0),
    [leaves, under("delegating", "retiring")],
    [],
    declare("", bank),
  ],
  ["revoked or not", at(0), [leaves, under("delegating", "revoked")], [], declare("", bank)],
  [
    "but once they have ended",
    at(100 * day),
    [lasting, under("delegating", "revoked")],
    ["prepare tenant of bank"],
    declare("authority: { validityDays: 300 }", bank),
  ],
  [
    "and beside what has never signed",
    at(0),
    [leaves, under("delegating", "prepared", { owner: "gone" })],
    ["prepare tenant of bank"],
    declare("", bank),
  ],
];

for (const [title, now, records, expected, declared] of table)
  test(title, () => assert.deepEqual(due(now, records, declared), expected));

test("who waits is told for whom, and until when", () => {
  const stuck = (
    name: string,
    of: "tenant" | "delegating",
    records: readonly AuthorityRecord[],
    declared: Declared,
  ) => {
    const one = declared.tenants.get(name);
    assert.ok(one);
    const next = nextStep(one, [main, ...records], at(0), [], of);
    return next.kind === "stuck" ? next.reason : next.kind;
  };
  const late = under("delegating", "retiring");
  assert.match(
    stuck("bank", "tenant", [leaves, late], declare("", bank)) ?? "",
    /TrustRoot "main": delegating-retiring of MeshTenant "shop" ends 2026-04-11.*rotate/,
  );
  const theirs = under("tenant", "active", { id: "bank-1", owner: "bank" });
  assert.match(stuck("shop", "delegating", [leaves, theirs], declare()) ?? "", /bank-1 of MeshTenant "bank" ends/);
});

test("under an offline root there is none, and nobody is asked for one", () => {
  const [shop] = declare().tenants.values();
  assert.ok(shop);
  const next = nextStep(shop, [{ ...main, keyName: "" }, leaves], at(0), [], "delegating");
  assert.ok(next.kind === "stuck" && /offline/.test(next.reason ?? ""));
});

test("it has CRLs where its root has, for as long as it may stand above a peer", () => {
  const crls = crlIssuers(new Set(["main"]), [main, leaves, signs, under("delegating", "retired")]);
  assert.deepEqual(
    crls.map(({ id }) => id),
    ["main-1", "tenant-active", "delegating-active"],
  );
});
