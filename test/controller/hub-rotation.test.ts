import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, test } from "node:test";
import { addRoot, toHubOrder } from "../../src/controller/root.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import { openRotations, type Rotations } from "../../src/issuer/rotations.ts";
import type { Database } from "../../src/ledger/database.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { AuthorityRecord } from "../../src/ledger/state.ts";
import { silentLog } from "../../src/ops/log.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { act, draft } from "../contract/drafts.ts";
import { cluster, join as documents, read, root } from "../resources/build.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
const custody = await openFileCustody({ directory: join(base.path, "keys") });
const hour = 3_600_000;
const start = Date.parse("2026-01-01T00:00:00Z");
const by = { operator: "unix:test", reason: "test" };
const order = toHubOrder("hub.example");
const declared = read(documents(root("main"), cluster("east"), cluster("west")));

interface Stand extends AsyncDisposable {
  readonly database: Database;
  readonly rotations: Rotations;
  hours: number;
  /** Makes the next root. */
  rotate(): Promise<AuthorityRecord>;
  /** Of the hub's roots, oldest first. */
  states(): Promise<string>;
  /** What is waited for, by kind and name. */
  waits(): Promise<readonly string[]>;
  /** Certificates of the hub's own, which end so many hours from now; returns the serial. */
  issue(identity: string, cluster: string, hours: number): Promise<Uint8Array>;
  /** As an agent that has everything; or everything but the hub roots, as one of before. */
  acknowledge(cluster: string, hubRoots?: boolean): Promise<void>;
}

async function stand(name: string): Promise<Stand> {
  const path = join(base.path, `${name}.db`);
  const clock = { hours: 0 };
  const now = (): Date => new Date(start + clock.hours * hour);
  const database = await openSqlite({ path, now, create: true });
  const { state, ledger } = database;
  const parts = { state, custody, now, random: (n: number) => randomBytes(n) };
  await addRoot(order, by, parts);
  const rotations = openRotations({ state, declared: () => declared, settleSeconds: 3600, now, log: silentLog });
  const trusted = async (): Promise<string> => {
    const roots = (await state.authorities()).filter((one) => one.state !== "retired");
    const versions = await Promise.all(roots.map(async ({ id }) => new Set(await state.bundlesWith(id))));
    const [first = new Set<string>(), ...others] = versions;
    return [...first].filter((version) => others.every((one) => one.has(version))).at(-1) ?? "";
  };
  return {
    database,
    rotations,
    get hours() {
      return clock.hours;
    },
    set hours(to) {
      clock.hours = to;
    },
    rotate: async () => await addRoot(order, by, parts, { material: { kind: "made" }, state: "prepared" }),
    states: async () => (await state.authorities()).map((one) => one.state).join(" "),
    waits: async () =>
      (await rotations.look()).flatMap(({ gate }) => gate.waitingFor.map((one) => `${one.kind} ${one.name}`)),
    issue: async (identity, cluster, hours) => {
      const active = (await state.authorities()).find((one) => one.state === "active");
      const notAfter = new Date(+now() + hours * hour);
      const own = { log: "@hub", door: "own", identity, cluster, notAfter, bundleVersion: await trusted() } as const;
      const made = draft({ ...own, authority: active?.id ?? "" });
      const [answer] = await ledger.intend([made]);
      assert.equal(answer?.kind, "intent");
      return made.serial;
    },
    acknowledge: async (cluster, hubRoots = true) => {
      const version = await trusted();
      const record = { cluster, agent: "a", version, bundles: hubRoots ? [version] : [], inForceSince: now() };
      await state.acknowledge(record);
    },
    [Symbol.asyncDispose]: async () => await database[Symbol.asyncDispose](),
  };
}

const agentOf = (name: string): string => `spiffe://hub.example/cluster/${name}`;
const alice = "spiffe://hub.example/operator/alice";
const issuer = "issuer.hub.example";

test("a hub root signs once every agent says that it has it and no operator is left without, and the old one goes once nobody needs it", async () => {
  await using one = await stand("whole");
  const { rotations } = one;
  for (const [identity, name, hours] of [
    [agentOf("east"), "east", 24],
    [alice, "", 100],
    [issuer, "", 168],
  ] as const)
    await one.issue(identity, name, hours);
  await one.acknowledge("east");
  await one.rotate();
  assert.deepEqual(await one.waits(), ["door operator:alice", "agent agent:east/a", "agent agent:west"]);
  await one.acknowledge("east");
  await one.acknowledge("west", false);
  assert.deepEqual(await one.waits(), ["door operator:alice", "agent agent:west/a", "settle agent:east/a"]);
  await one.acknowledge("west");
  one.hours += 1;
  // She has until her certificate ends to get another, with which both roots come.
  const [look] = await rotations.look();
  assert.deepEqual(look?.gate.opensAtLatest, new Date(start + 101 * hour));
  await one.issue(alice, "", 720);
  assert.deepEqual(await one.waits(), ["door operator:alice"]);
  one.hours = 101;
  await rotations.advance();
  assert.equal(await one.states(), "retiring active");

  const [, next] = await one.database.state.authorities();
  assert.deepEqual(await one.waits(), ["door operator:alice", "door issuer"]);
  await one.issue(agentOf("east"), "east", 24);
  assert.deepEqual(await one.database.state.leavesAgainst({ kind: "agents", root: next?.id ?? "", at: new Date(0) }), [
    {
      tenant: "hub.example",
      cluster: "east",
      door: "own",
      count: 1,
      firstEnd: new Date(start + 125 * hour),
      lastEnd: new Date(start + 125 * hour),
    },
  ]);
  one.hours = 721;
  assert.deepEqual(await one.waits(), ["door operator:alice"]);
  one.hours = 722;
  await rotations.advance();
  assert.equal(await one.states(), "retired active");
  assert.deepEqual(await one.waits(), []);
});

test("an agent's certificate under the old root is waited for until it ends, or is revoked; an operator's and issuers' are acknowledged", async () => {
  await using one = await stand("urgent");
  const { database, rotations } = one;
  const serial = await one.issue(agentOf("east"), "east", 24);
  await one.issue(alice, "", 720);
  await one.issue(issuer, "", 168);
  const { id } = await one.rotate();
  for (const name of ["east", "west"]) await one.acknowledge(name);
  one.hours += 1;
  await database.state.continueRotation(id, ["operator:alice"], act());
  await rotations.advance();
  assert.equal(await one.states(), "retiring active");
  const [old] = await database.state.authorities();
  assert.deepEqual(await one.waits(), ["door operator:alice", "door issuer", "leaves hub.example/east/own"]);
  await database.state.continueRotation(old?.id ?? "", ["issuer", "hub.example/east", "leaves"], act());
  assert.deepEqual(await one.waits(), ["door operator:alice", "leaves hub.example/east/own"]);
  // Whoever leads and has not seen it takes no step all the same.
  const changes = [{ id: old?.id ?? "", from: "retiring", to: "retired" }] as const;
  const against = { kind: "agents", root: old?.id ?? "", at: new Date(start + one.hours * hour) } as const;
  await assert.rejects(database.state.turnRoot({ changes, against }, act()), { code: "not-ready" });
  await database.state.revoke([serial], "superseded", act());
  assert.deepEqual(await one.waits(), ["door operator:alice"]);
  const record = { name: "alice", role: "viewer", keySha256: new Uint8Array(32), madeAt: new Date(start) } as const;
  await database.state.setOperator(record, act());
  assert.deepEqual(await one.waits(), ["door operator:alice"]);
  await database.state.revokeOperator("alice", new Date(start), act());
  assert.deepEqual(await one.waits(), []);
  await rotations.advance();
  assert.equal(await one.states(), "retired active");
  // From now on whoever has not heard of it can make nothing that would be cut off.
  const late = draft({ log: "@hub", authority: old?.id ?? "", bundleVersion: "any" });
  assert.deepEqual(await database.ledger.intend([late]), [{ kind: "suspended", what: "generation" }]);
});
