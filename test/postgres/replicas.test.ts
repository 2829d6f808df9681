/** Several issuers on one database. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { operatorId } from "../../src/identity.ts";
import { admitOperators } from "../../src/issuer/admit.ts";
import type { Database } from "../../src/ledger/database.ts";
import { openPostgres, type PostgresOptions } from "../../src/ledger/postgres.ts";
import type { PostgresConfig } from "../../src/ledger/postgres-pool.ts";
import { migrations } from "../../src/ledger/schema.ts";
import { silentLog } from "../../src/ops/log.ts";
import { openMetrics } from "../../src/ops/metrics.ts";
import { sha256 as keySha256 } from "../../src/pki/key.ts";
import { act, draft, sha256 } from "../contract/drafts.ts";
import { assertSound, intendOne, plain, verifyAll } from "../contract/ledger.ts";
import { manual } from "../contract/sequencer.ts";
import { ago } from "../support/clock.ts";
import { eventually } from "../support/patience.ts";
import { makeAuthority, makeLeaf } from "../support/pki.ts";
import { startStand } from "../support/postgres-stand.ts";
import { freePort } from "../support/processes.ts";
import { startRelay } from "../support/relay.ts";
import { newKey } from "../support/workload.ts";

const { path: base, signer, server } = await startStand();

const now = () => new Date();

async function open(connection: PostgresConfig, options: Partial<PostgresOptions> = {}): Promise<Database> {
  return await openPostgres({ connection, now, create: true, holder: "test", ...options });
}

test("one database is made by one of those who start at once", async () => {
  const connection = await server.database();
  const databases = await Promise.all(Array.from({ length: 4 }, async () => await open(connection)));
  const { rows } = await server.sql("SELECT version FROM espalier.migrations", connection.database);
  assert.equal(rows.length, migrations.length);
  for (const database of databases) await database[Symbol.asyncDispose]();
});

test("a database without a ledger is refused, and a newer or another schema, and left as it is", async () => {
  const connection = await server.database();
  await assert.rejects(open(connection, { create: false }), { code: "config", message: /run "espalier init"/ });
  const { rows } = await server.sql("SELECT to_regnamespace('espalier') AS found", connection.database);
  assert.equal(rows[0]["found"], null);
  await (await open(connection))[Symbol.asyncDispose]();
  const { length } = migrations;
  await server.sql(`INSERT INTO espalier.migrations VALUES (${length + 1}, 'later', '\\x00', '')`, connection.database);
  await assert.rejects(open(connection), { code: "config", message: new RegExp(`schema ${length + 1} \\(later\\)`) });
  await server.sql(
    `DELETE FROM espalier.migrations WHERE version > ${length}; UPDATE espalier.migrations SET sha256 = '\\x00'`,
    connection.database,
  );
  await assert.rejects(open(connection), { code: "config", message: /is not the one this binary knows/ });
});

test("what two replicas are asked with one idempotency key is intended once, and either can sign it", async () => {
  const connection = await server.database();
  await using first = await open(connection);
  await using second = await open(connection);
  const keyed = (name: string) => draft({ idempotency: { key: name, digest: sha256(name) } });
  for (let round = 0; round < 10; round += 1) {
    // Each in another order: neither may wait for the other for ever.
    const names = Array.from({ length: 8 }, (_, index) => `${round}/${index}`);
    const [left, right] = await Promise.all([
      first.ledger.intend(names.map(keyed)),
      second.ledger.intend(names.toReversed().map(keyed)),
    ]);
    for (const [index, answer] of left.entries()) {
      const other = right.at(-1 - index);
      assert.ok("intent" in answer && other !== undefined && "intent" in other);
      assert.deepEqual(plain(answer.intent), plain(other.intent));
      assert.deepEqual([answer.kind, other.kind].sort(), ["intent", "replay"]);
    }
  }
  assert.equal((await verifyAll(second)).get("shop")?.entries, 80);
  await assertSound(first);
});

test("what one replica has intended another finds, records and shows", async () => {
  const connection = await server.database();
  await using first = await open(connection);
  await using second = await open(connection);
  const { serial } = await intendOne(first);
  const found = await second.ledger.findSerial(serial);
  assert.ok(found !== undefined && found.signature === undefined);
  second.ledger.record(found.intent, sha256("by another"));
  while ((await first.ledger.findSerial(serial))?.signature === undefined) await delay(10);
  assert.deepEqual(plain((await first.ledger.findSerial(serial))?.signature), plain(sha256("by another")));
});

test("a suspension at one replica holds at every other from the moment it returns", async () => {
  const connection = await server.database();
  await using first = await open(connection);
  await using second = await open(connection);
  let granted = 0;
  const some = Promise.withResolvers<void>();
  const asking = Array.from({ length: 4 }, async () => {
    for (;;) {
      const [answer] = await second.ledger.intend([draft()]);
      if (answer?.kind === "suspended") return;
      granted += 1;
      if (granted > 20) some.resolve();
    }
  });
  await some.promise;
  await first.state.setSuspended({ kind: "tenant", name: "shop" }, true, act());
  const written = (await verifyAll(first, "shop")).get("shop")?.entries;
  await Promise.all(asking);
  assert.equal(written, granted);
});

test("what one replica denies, revokes or copies from a document holds at every other from the moment it returns", async () => {
  const connection = await server.database();
  await using first = await open(connection);
  await using second = await open(connection);
  const { identity, authority, log } = draft();
  const asked = async () => await second.ledger.intend([draft(), draft({ identity: "spiffe://other" })]);
  const workload = { kind: "workload", name: `${log}/${identity}` } as const;
  await first.state.setSuspended(workload, true, act());
  assert.deepEqual((await asked())[0], { kind: "suspended", what: "workload" });
  await first.state.setSuspended(workload, false, act());
  await first.state.setSuspended({ kind: "tenant", name: log }, true, act(), "document");
  assert.deepEqual((await asked())[1], { kind: "suspended", what: "tenant" });
  await first.state.setSuspended({ kind: "tenant", name: log }, false, act(), "document");
  const times = { notBefore: new Date(0), notAfter: new Date("2030-01-01") };
  const record = { id: authority, kind: "tenant", owner: log, state: "active", algorithm: "P-256" } as const;
  await first.state.addAuthority({ ...record, ...times, keyName: "a", certificate: sha256("a"), parent: "r" }, act());
  assert.deepEqual(
    (await asked()).map((answer) => answer.kind),
    ["intent", "intent"],
  );
  const certificate = { serial: sha256("ca"), log, authority: "r", notAfter: times.notAfter };
  await first.state.revokeAuthority(authority, { ...certificate, reason: "cACompromise" }, act());
  const revoked = { kind: "suspended", what: "authority" };
  assert.deepEqual(await asked(), [revoked, revoked]);
});

test("a replica is told when another has written made state", async () => {
  const connection = await server.database();
  await using first = await open(connection);
  await using second = await open(connection, { followMs: 20 });
  const calls: string[] = [];
  let failing = false;
  await using _ = second.follow(async () => {
    calls.push("changed");
    if (failing) throw new Error("it cannot be read");
  });
  const called = async (times: number): Promise<void> => {
    while (calls.length < times) await delay(10);
    await delay(100);
  };
  await called(1);
  assert.equal(calls.length, 1, "at once, for what was written since it has read");
  await first.state.setSuspended({ kind: "tenant", name: "shop" }, true, act());
  await called(2);
  assert.equal(calls.length, 2);
  failing = true;
  await first.state.setSuspended({ kind: "tenant", name: "shop" }, false, act());
  await called(4);
  assert.ok(calls.length >= 4, "what fails is tried again, with no other change");
  failing = false;
  const before = calls.length;
  await called(before + 1);
  const after = calls.length;
  await delay(500);
  assert.equal(calls.length, after, "and no more once it is taken");
});

test("a replica knows for how long it may be behind: since it last heard that nothing was new, or took it", async () => {
  const connection = await server.database();
  await using relay = await startRelay(connection.port);
  await using first = await open(connection);
  await using second = await open({ ...connection, port: relay.port }, { followMs: 20 });
  let failing = false;
  await using following = second.follow(async () => {
    if (failing) throw new Error("it cannot be read");
  });
  const isBehind = async (): Promise<void> =>
    await eventually(() => assert.ok(following.behindMs() > 2_000, `${following.behindMs()} ms`));
  const isNot = async (): Promise<void> =>
    await eventually(() => assert.ok(following.behindMs() < 1_000, `${following.behindMs()} ms`));
  await isNot();
  relay.to(await freePort());
  await isBehind();
  relay.to(connection.port);
  await isNot();
  failing = true;
  await first.state.setSuspended({ kind: "tenant", name: "shop" }, true, act());
  await isBehind();
  failing = false;
  await isNot();
});

test("one of them sequences, the entries of all; another takes over when it goes, at once or after a silence", async () => {
  const connection = await server.database();
  const silenceMs = 60_000;
  const first = await open(connection, { silenceMs });
  await using second = await open(connection, { silenceMs });
  const leader = await first.startSequencer(signer, manual);
  const follower = await second.startSequencer(signer, manual);
  assert.deepEqual([leader.epoch, follower.epoch], [1, 0]);
  await Promise.all([intendOne(first), intendOne(second), intendOne(second)]);
  await assert.rejects(follower.sequence(), { code: "not-ready", message: /another issuer/ });
  await leader.sequence();
  assert.equal((await second.ledger.entry("shop/2"))?.position, 2);
  await first[Symbol.asyncDispose]();
  await follower.sequence();
  assert.equal(follower.epoch, 2);

  // Whoever is only slow is fenced, and can place nothing and sign nothing under its old epoch.
  await using third = await open(connection, { silenceMs: 0 });
  const hasty = await third.startSequencer(signer, manual);
  assert.equal(hasty.epoch, 3);
  await intendOne(second);
  await delay(3100);
  await assert.rejects(follower.sequence(), {
    code: "not-ready",
    message: /epoch 2 of the ledger has ended: it is 3 now/,
  });
  await hasty.sequence();
  assert.equal((await verifyAll(third)).get("shop")?.entries, 4);
  await assertSound(third);
});

test("a sequencer that is fenced between placing and signing signs nothing", async () => {
  const connection = await server.database();
  await using first = await open(connection);
  await using second = await open(connection, { silenceMs: 0 });
  const slow = {
    ...signer,
    async sign(bytes: Uint8Array) {
      await second.startSequencer(signer, manual);
      return await signer.sign(bytes);
    },
  };
  const old = await first.startSequencer(slow, manual);
  await intendOne(first);
  await assert.rejects(old.sequence(), { code: "not-ready" });
  assert.equal((await verifyAll(second)).get("@ledger")?.entries, 0);
  await assertSound(second);
});

test("a replica whose clock is ahead does not take over: the database's counts", async () => {
  const connection = await server.database();
  const ahead = () => new Date(Date.now() + 3_600_000);
  await using first = await open(connection, { now: ahead, silenceMs: 60_000 });
  await using second = await open(connection, { silenceMs: 60_000 });
  await first.startSequencer(signer, { intervalMs: 10 });
  const waiting = await second.startSequencer(signer, { intervalMs: 10 });
  await delay(200);
  assert.equal(waiting.epoch, 0);
});

test("replicas that are killed leave a sound ledger that has every certificate they signed", async () => {
  const connection = await server.database();
  await using database = await open(connection, { silenceMs: 300 });
  const script = join(import.meta.dirname, "issue-loop.ts");
  const serials: string[] = [];
  const start = (): { kill(): Promise<void> } => {
    const child = spawn(process.execPath, [script, JSON.stringify(connection), join(base, "keys")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    return {
      async kill() {
        // At any moment, once it is at it.
        while (output.split("\n").length <= 5) await delay(5);
        await delay(Math.random() * 200);
        child.kill("SIGKILL");
        await once(child, "close");
        serials.push(...output.split("\n").filter((line) => line.length === 32));
      },
    };
  };
  const replicas = [start(), start()];
  for (let round = 0; round < 3; round += 1) {
    await replicas.shift()?.kill();
    replicas.push(start());
  }
  await Promise.all(replicas.map((replica) => replica.kill()));
  assert.ok(serials.length > 20, `${serials.length} were signed`);
  for (const serial of serials) assert.ok(await database.ledger.findSerial(Buffer.from(serial, "hex")), serial);
  await assertSound(database);
  await delay(400);
  const sequencer = await database.startSequencer(signer, manual);
  await sequencer.sequence();
  const { rows } = await server.sql("SELECT count(*)::int AS n FROM espalier.unplaced", connection.database);
  assert.equal(rows[0]["n"], 0);
  await assertSound(database);
});

test("an operator whom one replica revokes is nobody at every other from the moment it returns", async () => {
  const connection = await server.database();
  await using first = await open(connection);
  await using second = await open(connection);
  const key = newKey();
  const leaf = await makeLeaf(await makeAuthority("P-256"), {
    profile: "operator",
    names: { uri: operatorId("hub.example", "alice"), dns: [] },
    spki: key.spki,
    notBefore: ago(120),
    notAfter: ago(-3600),
  });
  const alice = { name: "alice", role: "admin", keySha256: keySha256(key.spki), madeAt: now() } as const;
  await first.state.setOperator(alice, act());
  const metrics = openMetrics({ process: "issuer" });
  const admit = admitOperators({
    hub: "hub.example",
    state: second.state,
    ledger: second.ledger,
    now,
    log: silentLog,
    metrics,
  });
  const request = { act: { operator: "bob", reason: "why" } };
  assert.deepEqual(await admit("CreateRoot", leaf, request), { act: { operator: "operator:alice", reason: "why" } });
  await first.state.setOperator({ ...alice, role: "viewer" }, act());
  await assert.rejects(admit("CreateRoot", leaf, request), { code: "role-missing" });
  await first.state.revokeOperator("alice", now(), act());
  await assert.rejects(admit("ListRoots", leaf, {}), { code: "not-this-caller", message: /was revoked/ });
  await assert.rejects(admit("NoSuchVerb", leaf, {}), { code: "not-this-caller" });
});
