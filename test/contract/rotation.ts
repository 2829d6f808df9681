/** What any database promises of the rotation of a root: what is measured, and what is measured again in the write itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { toBundle } from "../../src/ledger/bundle.ts";
import type { Database } from "../../src/ledger/database.ts";
import type { Draft } from "../../src/ledger/ledger.ts";
import type { AuthorityRecord, LivingLeaf } from "../../src/ledger/state.ts";
import { act, draft, sha256 } from "./drafts.ts";
import { type OpenDatabase, plain } from "./ledger.ts";

const hour = 3_600_000;
const start = Date.parse("2026-11-21T12:00:00Z");
const at = (hours: number): Date => new Date(start + hours * hour);

function root(id: string, overrides: Partial<AuthorityRecord> = {}): AuthorityRecord {
  return {
    id,
    kind: "root",
    owner: "main",
    state: "active",
    algorithm: "P-256",
    keyName: id,
    certificate: sha256(id),
    notBefore: at(-id.length),
    notAfter: at(10_000),
    ...overrides,
  };
}

function shop(id: string, parent: string, overrides: Partial<AuthorityRecord> = {}): AuthorityRecord {
  return root(id, { kind: "tenant", owner: "shop", parent, ...overrides });
}

const [old, next] = [root("root-old"), root("root-next", { state: "prepared" })];
const [before, both] = [toBundle([old]).version, toBundle([old, next]).version];
const activate = [
  { id: old.id, from: "active", to: "retiring" },
  { id: next.id, from: "prepared", to: "active" },
] as const;
const retire = [{ id: old.id, from: "retiring", to: "retired" }] as const;

/** An old root with a tenant's authority, and the next one prepared. */
async function prepare({ state }: Database): Promise<void> {
  await state.addAuthority(old, act());
  await state.addAuthority(shop("shop-1", old.id), act());
  await state.addAuthority(next, act());
}

async function intend({ ledger }: Database, overrides: Partial<Draft> = {}): Promise<string | undefined> {
  const one = draft({ authority: "shop-1", bundleVersion: before, notAfter: at(24), ...overrides });
  const [answer] = await ledger.intend([one]);
  return answer?.kind === "suspended" ? answer.what : answer?.kind;
}

async function living(leaves: AsyncIterable<LivingLeaf>): Promise<readonly LivingLeaf[]> {
  const all: LivingLeaf[] = [];
  for await (const leaf of leaves) all.push(leaf);
  return all;
}

export function rotationContract(kind: string, open: OpenDatabase): void {
  test(`${kind}: which roots a bundle held is known for as long as there is a ledger`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    assert.deepEqual(await state.bundlesWith(old.id), [before, both].sort());
    assert.deepEqual(await state.bundlesWith(next.id), [both]);
    await state.turnRoot({ changes: activate }, act());
    await state.turnRoot({ changes: retire }, act());
    assert.deepEqual(await state.bundlesWith(old.id), [before, both].sort());
    assert.deepEqual(await state.bundlesWith(next.id), [both, toBundle([{ ...next, state: "active" }]).version].sort());
    assert.deepEqual(await state.bundlesWith("root-unknown"), []);
  });

  test(`${kind}: which names a tenant's leaves have is known until the last ends, for all but a revoked authority`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    assert.deepEqual(await state.namesInUse(at(0)), []);
    await intend(database, { identity: "DNS:shop.example", notAfter: at(48) });
    assert.deepEqual(await state.namesInUse(at(0)), []);
    const identity = "spiffe://shop.example/ns/cart/sa/web";
    for (const hours of [24, 36]) await intend(database, { identity, notAfter: at(hours) });
    assert.deepEqual(await state.namesInUse(at(30)), [{ tenant: "shop", identity, lastEnd: at(48) }]);
    assert.deepEqual(await state.namesInUse(at(36)), []);
    const certificate = { serial: sha256("serial"), log: "shop", authority: old.id, notAfter: at(48) };
    await state.revokeAuthority("shop-1", { ...certificate, reason: "superseded" }, act());
    assert.deepEqual(await state.namesInUse(at(0)), []);
  });

  test(`${kind}: a leaf without the new root stands against it until it ends, whatever its holder has had since`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    const without = async (hours: number): Promise<readonly string[]> =>
      (await state.leavesAgainst({ kind: "without", root: next.id, at: at(hours) })).map(
        ({ tenant, cluster, count, firstEnd, lastEnd }) =>
          `${tenant}/${cluster} ${count} ${(+firstEnd - start) / hour} ${(+lastEnd - start) / hour}`,
      );
    assert.deepEqual(await without(0), []);
    await intend(database, { notAfter: at(1) });
    // The same workload's next, with the new root, and nobody has recorded a signature of either.
    await intend(database, { bundleVersion: both, notAfter: at(20) });
    await intend(database, { notAfter: at(3) });
    await intend(database, { cluster: "west", notAfter: at(5), bundleVersion: "unknown" });
    await intend(database, { authority: "root-old", log: "@hub", notAfter: at(90) });
    await intend(database, { authority: "elsewhere", log: "bank", notAfter: at(90) });
    assert.deepEqual(await without(0), ["shop/east 2 1 3", "shop/west 1 5 5"]);
    assert.deepEqual(await without(1), ["shop/east 1 3 3", "shop/west 1 5 5"]);
    assert.deepEqual(await without(5), []);
    const under = await state.leavesAgainst({ kind: "under", root: old.id, at: at(0) });
    assert.deepEqual(
      under.map(({ tenant, cluster, count }) => `${tenant}/${cluster} ${count}`),
      ["main/east 1", "shop/east 3", "shop/west 1"],
    );
    assert.deepEqual(await state.leavesAgainst({ kind: "under", root: next.id, at: at(0) }), []);
  });

  test(`${kind}: leaves are counted by tenant, cluster and the door they came by`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    await intend(database);
    await intend(database, { door: "certificate-request" });
    await intend(database, { door: "csr", cluster: "west" });
    await intend(database, { door: "certificate-request" });
    const leaves = await state.leavesAgainst({ kind: "without", root: next.id, at: at(0) });
    assert.deepEqual(
      leaves.map(({ cluster, door, count }) => `${cluster} ${door} ${count}`),
      ["east certificate-request 2", "east istio 1", "west csr 1"],
    );
  });

  test(`${kind}: the hub's own are counted by whose they are, without those that are revoked`, async () => {
    await using database = await open();
    const { state, ledger } = database;
    await prepare(database);
    const hub = { kind: "hub", owner: "hub.example" } as const;
    await state.addAuthority(root("hub-old", hub), act());
    const alone = toBundle([root("hub-old", hub)]).version;
    await state.addAuthority(root("hub-next", { ...hub, state: "prepared" }), act());
    const both = toBundle([root("hub-old", hub), root("hub-next", hub)]).version;
    const own = async (identity: string, cluster: string, bundleVersion: string): Promise<Uint8Array> => {
      const made = draft({
        log: "@hub",
        door: "own",
        authority: "hub-old",
        identity,
        cluster,
        bundleVersion,
        notAfter: at(9),
      });
      await ledger.intend([made]);
      return made.serial;
    };
    const agent = await own("spiffe://hub.example/cluster/east", "east", alone);
    await own("spiffe://hub.example/operator/alice", "", alone);
    await own("spiffe://hub.example/operator/alice", "", both);
    await own("issuer.hub.example", "", both);
    const count = async (kind: "without" | "under", root: string, hours = 0): Promise<readonly string[]> =>
      (await state.ownAgainst({ kind, root, at: at(hours) })).map((one) => `${one.identity} ${one.count}`);
    const [alice, east] = ["spiffe://hub.example/operator/alice", "spiffe://hub.example/cluster/east"];
    assert.deepEqual(await count("without", "hub-next"), [`${east} 1`, `${alice} 1`]);
    assert.deepEqual(await count("under", "hub-old"), ["issuer.hub.example 1", `${east} 1`, `${alice} 2`]);
    assert.deepEqual(await count("under", "hub-next"), []);
    assert.deepEqual(await count("under", "hub-old", 9), []);
    const agents = async (): Promise<number> =>
      (await state.leavesAgainst({ kind: "agents", root: "hub-old", at: at(0) })).length;
    assert.equal(await agents(), 1);
    await state.revoke([agent], "superseded", act());
    assert.equal(await agents(), 0);
    assert.deepEqual(await count("without", "hub-next"), [`${alice} 1`]);
  });

  test(`${kind}: a root takes no step that a leaf stands against, and then neither states nor acts are changed`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    await intend(database, { notAfter: at(1) });
    const turn = { changes: activate, against: { kind: "without", root: next.id, at: at(0) } } as const;
    const entries = async (): Promise<number> => {
      let n = 0;
      for await (const _ of database.ledger.entries({ limit: 100 })) n += 1;
      return n;
    };
    const had = await entries();
    await assert.rejects(state.turnRoot(turn, act()), { code: "not-ready", message: /shop/ });
    assert.deepEqual(
      [await entries(), (await state.authorities()).map(({ state }) => state)],
      [had, ["active", "active", "prepared"]],
    );
    await state.turnRoot({ ...turn, against: { ...turn.against, at: at(1) } }, act());
    assert.deepEqual(
      [await entries(), (await state.authorities()).map(({ state }) => state)],
      [had + 1, ["retiring", "active", "active"]],
    );
  });

  test(`${kind}: an issuer that has not heard of a step can intend nothing that would be cut off by it`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    assert.equal(await intend(database), "intent");
    await state.turnRoot({ changes: activate }, act());
    assert.equal(await intend(database), "generation");
    assert.equal(await intend(database, { bundleVersion: both }), "intent");
    assert.equal(await intend(database, { bundleVersion: "another-owner's" }), "intent");
    await state.addAuthority(shop("shop-2", next.id, { state: "prepared" }), act());
    const retired = [...retire, { id: "shop-1", from: "active", to: "retired" }] as const;
    await state.turnRoot({ changes: retired }, act());
    assert.equal(await intend(database, { bundleVersion: both }), "generation", "by what is under the retired root");
    assert.equal(await intend(database, { bundleVersion: both, authority: "shop-2" }), "intent");
  });

  test(`${kind}: what was issued before a step is handed out again after it`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    const idempotency = { key: "east/certificate-request/1", digest: sha256("d") };
    assert.equal(await intend(database, { idempotency, bundleVersion: both }), "intent");
    await state.turnRoot({ changes: activate }, act());
    assert.equal(await intend(database, { idempotency, bundleVersion: both }), "replay");
  });

  test(`${kind}: going back opens what going on has closed`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    await state.turnRoot({ changes: activate }, act());
    const back = [
      { id: next.id, from: "active", to: "retiring" },
      { id: old.id, from: "retiring", to: "active" },
    ] as const;
    await state.turnRoot({ changes: back }, act());
    assert.equal(await intend(database), "intent");
    await state.turnRoot({ changes: [{ id: next.id, from: "retiring", to: "retired" }] }, act());
    assert.equal(await intend(database), "intent");
    assert.equal(await intend(database, { authority: next.id, log: "@hub" }), "generation");
  });

  test(`${kind}: what operators say of a rotation ends with its step`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    assert.equal(await state.holdRotation(next.id, act()), true);
    assert.equal(await state.holdRotation(next.id, act()), false);
    const acknowledged = { root: next.id, kind: "acknowledged", name: "vm:east" } as const;
    assert.equal(await state.continueRotation(next.id, ["vm:east"], act()), true);
    assert.equal(await state.continueRotation(next.id, ["vm:east"], act()), false);
    assert.equal(await state.holdRotation(next.id, act()), true);
    assert.deepEqual(plain(await state.rotationMarks()), plain([acknowledged, { root: next.id, kind: "hold" }]));
    await state.turnRoot({ changes: activate }, act());
    assert.deepEqual(await state.rotationMarks(), []);
  });

  test(`${kind}: a hold that came before a step's write stops it, and no other step of an operator's`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    const turn = { changes: activate, unlessHeld: next.id };
    await state.holdRotation(next.id, act());
    await assert.rejects(state.turnRoot(turn, act()), { code: "not-ready", message: /holds the rotation/ });
    assert.deepEqual(
      (await state.authorities()).map(({ state }) => state),
      ["active", "active", "prepared"],
    );
    await state.continueRotation(next.id, [], act());
    await state.turnRoot(turn, act());
    await state.holdRotation(old.id, act());
    const back = [
      { id: next.id, from: "active", to: "retiring" },
      { id: old.id, from: "retiring", to: "active" },
    ] as const;
    await state.turnRoot({ changes: back }, act());
  });

  test(`${kind}: what is said after a step is no word about the next one`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    const late = { code: "not-ready", message: /gone on meanwhile/ } as const;
    await assert.rejects(state.holdRotation(old.id, act()), late);
    await state.turnRoot({ changes: activate }, act());
    await assert.rejects(state.holdRotation(next.id, act()), late);
    await assert.rejects(state.continueRotation(next.id, ["vm:east"], act()), late);
    await state.turnRoot({ changes: retire }, act());
    await assert.rejects(state.holdRotation(old.id, act()), late);
    await assert.rejects(state.holdRotation("root-unknown", act()), late);
    assert.deepEqual(await state.rotationMarks(), []);
  });

  test(`${kind}: an agent that speaks for its cluster stands alone`, async () => {
    await using database = await open();
    const { state } = database;
    const one = { cluster: "east", agent: "a-0", version: "v1", bundles: ["b1", "b2"], inForceSince: at(0) };
    const west = { ...one, cluster: "west" };
    for (const record of [one, { ...one, agent: "a-1" }, west]) await state.acknowledge(record);
    const last = { ...one, agent: "a-2", version: "v2", bundles: ["b3"] };
    await state.acknowledge(last, true);
    assert.deepEqual(plain(await state.acknowledgements()), plain([last, west]));
  });

  test(`${kind}: living leaves are read by root, by cluster and from an entry on`, async () => {
    await using database = await open();
    const { state } = database;
    await prepare(database);
    const { tokenSha256: _, ...vm } = draft({ proof: "certificate", renewableSince: at(-1) });
    await intend(database, { ...vm, authority: "shop-1", bundleVersion: both, notAfter: at(24) });
    await intend(database, { notAfter: at(0) });
    for (let i = 0; i < 3; i += 1) await intend(database, { cluster: "west", door: "certificate-request" });
    await intend(database, { authority: "elsewhere", log: "bank" });
    const all = await living(state.livingLeaves({ trustRoot: "main", at: at(0), after: 0 }));
    assert.deepEqual(
      all.map(({ log, cluster, door, proof, renewable }) => [log, cluster, door, proof, renewable].join(" ")),
      ["shop east istio certificate true", ...Array(3).fill("shop west certificate-request token false")],
    );
    assert.equal((await living(state.livingLeaves({ cluster: "west", at: at(0), after: 0 }))).length, 3);
    assert.equal((await living(state.livingLeaves({ cluster: "west", at: at(24), after: 0 }))).length, 0);
    const after = all.at(-2)?.entry ?? 0;
    assert.equal((await living(state.livingLeaves({ trustRoot: "main", at: at(0), after }))).length, 1);
    assert.equal((await living(state.livingLeaves({ trustRoot: "other", at: at(0), after: 0 }))).length, 0);
  });
}
