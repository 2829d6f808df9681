import assert from "node:assert/strict";
import { test } from "node:test";
import {
  againstOf,
  decideRollBack,
  decideRotation,
  type RotationSeen,
  rotationOf,
  subjectOf,
} from "../../src/controller/rotation.ts";
import type { AuthorityRecord, LeafCount } from "../../src/ledger/state.ts";
import { at, hour, rootRecord } from "../support/authority-record.ts";

function root(id: string, state: AuthorityRecord["state"], overrides: Partial<AuthorityRecord> = {}): AuthorityRecord {
  return rootRecord({ id, state, notBefore: at(-hour), notAfter: at(10_000 * hour), ...overrides });
}

const prepared = [root("old", "active"), root("new", "prepared")];
const active = [root("old", "retiring"), root("new", "active")];
const leaf: LeafCount = {
  tenant: "shop",
  cluster: "east",
  door: "istio",
  count: 3,
  firstEnd: at(hour),
  lastEnd: at(5 * hour),
};
const holding = { agent: "a-0", holds: true, since: at(-2 * hour) };

function seen(overrides: Partial<RotationSeen> = {}): RotationSeen {
  return {
    kind: "root",
    owner: "main",
    declared: true,
    tenants: new Set(["shop"]),
    records: prepared,
    leaves: [],
    clusters: [{ cluster: "east", agents: [holding] }],
    doors: [],
    held: false,
    acknowledged: new Set(),
    settleMs: hour,
    ...overrides,
  };
}

/** What is waited for, by kind and name, or the step that is due. */
function decided(overrides: Partial<RotationSeen> = {}, now = at(0)): readonly string[] {
  const rotation = decideRotation(seen(overrides), now);
  if (rotation === undefined) return [];
  assert.equal(rotation.gate.open, rotation.step !== undefined);
  if (rotation.step === undefined) return rotation.gate.waitingFor.map(({ kind, name }) => `${kind} ${name}`);
  return rotation.step.turn.changes.map(({ id, from, to }) => `${id}: ${from} to ${to}`);
}

const activation = ["old: active to retiring", "new: prepared to active"];
const vm = { name: "vm:east", says: "" };

const table: readonly (readonly [string, Partial<RotationSeen>, readonly string[], Date?])[] = [
  ["nothing happens without a second root", { records: [root("old", "active")] }, []],
  [
    "a root of another owner is no second root",
    { records: [prepared[0] ?? root("", "active"), root("new", "prepared", { owner: "other" })] },
    [],
  ],
  ["a root takes over when nobody is left who does not trust it", {}, activation],
  ["a leaf without it holds", { leaves: [leaf] }, ["leaves shop/east/istio"]],
  [
    "a cluster none of whose agents has acknowledged holds",
    { clusters: [{ cluster: "east", agents: [] }] },
    ["agent agent:east"],
  ],
  [
    "one agent that has not acknowledged holds, whatever the others say",
    { clusters: [{ cluster: "east", agents: [holding, { agent: "a-1", holds: false, since: at(-9 * hour) }] }] },
    ["agent agent:east/a-1"],
  ],
  [
    "what agents wrote settles first",
    { clusters: [{ cluster: "east", agents: [{ ...holding, since: at(-hour + 1) }] }] },
    ["settle agent:east/a-0"],
  ],
  ["and then is settled", { clusters: [{ cluster: "east", agents: [{ ...holding, since: at(-hour) }] }] }, activation],
  ["a blind door holds", { doors: [vm] }, ["door vm:east"]],
  ["until it is acknowledged", { doors: [vm], acknowledged: new Set(["vm:east"]) }, activation],
  [
    "another one's acknowledgement is not its own",
    { doors: [vm], acknowledged: new Set(["vm:west"]) },
    ["door vm:east"],
  ],
  [
    "an agent can be acknowledged too",
    {
      clusters: [{ cluster: "east", agents: [{ ...holding, holds: false }] }],
      acknowledged: new Set(["agent:east/a-0"]),
    },
    activation,
  ],
  [
    "or its whole cluster",
    { clusters: [{ cluster: "east", agents: [] }], acknowledged: new Set(["agent:east"]) },
    activation,
  ],
  [
    "no acknowledgement stands for a leaf",
    { leaves: [leaf], acknowledged: new Set(["shop/east", "leaves"]) },
    ["leaves shop/east/istio"],
  ],
  ["an operator's hold holds", { held: true }, ["hold hold"]],
  ["nor does anything move whose document is gone", { declared: false }, ["document main"]],
  [
    "a root that begins later waits for that",
    { records: [root("old", "active"), root("new", "prepared", { notBefore: at(hour) })] },
    ["settle new"],
  ],
  ["the old root goes when nothing is under it", { records: active }, ["old: retiring to retired"]],
  ["a leaf under it holds", { records: active, leaves: [leaf] }, ["leaves shop/east/istio"]],
  [
    "an authority that signs under it holds",
    { records: [...active, root("shop-1", "active", { kind: "tenant", owner: "shop", parent: "old" })] },
    ["authority shop-1"],
  ],
  [
    "one of a tenant that nobody declares any more does not, and goes with it",
    { records: [...active, root("gone-1", "active", { kind: "tenant", owner: "gone", parent: "old" })] },
    ["old: retiring to retired", "gone-1: active to retired"],
  ],
  [
    "authorities that sign no more go with it",
    {
      records: [
        ...active,
        root("shop-1", "retiring", { kind: "tenant", owner: "shop", parent: "old" }),
        root("shop-0", "retired", { kind: "tenant", owner: "shop", parent: "old" }),
        root("shop-2", "active", { kind: "tenant", owner: "shop", parent: "new" }),
      ],
    },
    ["old: retiring to retired", "shop-1: retiring to retired"],
  ],
  [
    "whom agents have told matters no more then",
    { records: active, clusters: [], doors: [vm] },
    ["old: retiring to retired"],
  ],
  ["and a hold still does", { records: active, held: true }, ["hold hold"]],
  [
    "what somebody can see to comes first, and what ends by itself last",
    {
      records: [root("old", "active"), root("new", "prepared", { notBefore: at(hour) })],
      held: true,
      declared: false,
      leaves: [leaf],
      clusters: [
        {
          cluster: "east",
          agents: [
            { ...holding, since: at(0) },
            { ...holding, agent: "a-1", holds: false },
          ],
        },
      ],
      doors: [vm],
    },
    [
      "hold hold",
      "document main",
      "door vm:east",
      "agent agent:east/a-1",
      "settle new",
      "settle agent:east/a-0",
      "leaves shop/east/istio",
    ],
  ],
];

for (const [title, overrides, expected, now] of table) {
  test(title, () => assert.deepEqual(decided(overrides, now), expected));
}

test("a gate says when it opens at the latest, unless something has no end", () => {
  const latest = (overrides: Partial<RotationSeen>): string | undefined =>
    decideRotation(seen(overrides), at(0))?.gate.opensAtLatest?.toISOString();
  const longer = { ...leaf, cluster: "west", lastEnd: at(7 * hour) };
  assert.equal(latest({}), undefined);
  assert.equal(latest({ leaves: [leaf] }), at(6 * hour).toISOString());
  assert.equal(latest({ leaves: [longer, leaf] }), at(8 * hour).toISOString());
  assert.equal(latest({ leaves: [leaf], doors: [vm] }), undefined);
  assert.equal(latest({ leaves: [leaf], held: true }), undefined);
});

test("leaves count for the settle time after their end, so that no clock that is as far ahead opens anything", () => {
  const [one, other] = [rotationOf("root", "main", prepared), rotationOf("root", "main", active)];
  assert.ok(one && other);
  assert.deepEqual(againstOf(one, hour, at(0)), { kind: "without", root: "new", at: at(-hour) });
  assert.deepEqual(againstOf(other, hour, at(0)), { kind: "under", root: "old", at: at(-hour) });
  const serving = prepared.map((record) => ({ ...record, kind: "serving" as const }));
  const third = rotationOf("serving", "main", serving);
  assert.ok(third);
  assert.equal(againstOf(third, hour, at(0)), undefined);
});

test("going back waits for nothing, and is a rotation of its own", () => {
  const [one, other] = [rotationOf("root", "main", prepared), rotationOf("root", "main", active)];
  assert.ok(one && other);
  assert.deepEqual(decideRollBack(one), [{ id: "new", from: "prepared", to: "retired" }]);
  const changes = decideRollBack(other);
  assert.deepEqual(changes, [
    { id: "new", from: "active", to: "retiring" },
    { id: "old", from: "retiring", to: "active" },
  ]);
  const states = new Map(changes.map(({ id, to }) => [id, to]));
  const back = active.map((record) => ({ ...record, state: states.get(record.id) ?? record.state }));
  const again = rotationOf("root", "main", back);
  assert.deepEqual([again?.phase, again?.coming.id, again?.leaving.id], ["active", "old", "new"]);
  assert.deepEqual([subjectOf(one).id, subjectOf(other).id], ["new", "old"]);
  assert.deepEqual(decided({ records: back }), ["new: retiring to retired"]);
});
