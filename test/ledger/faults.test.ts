import assert from "node:assert/strict";
import { copyFileSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { setImmediate, setTimeout } from "node:timers/promises";
import { openFileCustody } from "../../src/custody/file.ts";
import { openConnection, type Sync, type Write } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import type { Intended, Intent } from "../../src/ledger/ledger.ts";
import { migrate } from "../../src/ledger/schema.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { draftsPerWriteMax } from "../../src/ledger/waiting.ts";
import { startWriter } from "../../src/ledger/writer.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { act, draft, sha256 } from "../contract/drafts.ts";
import { createFault, type Fault, faultContract } from "../contract/faults.ts";
import { intendOne, verifyAll } from "../contract/ledger.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
let made = 0;
const freshPath = () => join(base.path, `ledger-${made++}.db`);
const now = () => new Date("2026-11-21T11:00:00Z");
const custody = await openFileCustody({ directory: join(base.path, "keys") });
const signer = await custody.createKey("ledger", "P-256");
const signature = sha256("signature");

/** A commit that fails as it was decided. */
function failing(fault: Fault): Write {
  return (name, commit) => {
    const outcome = fault.decide(name);
    if (outcome !== "lost") commit();
    if (outcome !== "done") throw new Error("disk I/O error");
  };
}

faultContract(
  "sqlite",
  async () => {
    const path = freshPath();
    return async (fault) =>
      await openSqlite({ path, now, create: true, recordDelayMs: 2, ...(fault ? { write: failing(fault) } : {}) });
  },
  signer,
);

test("nothing of a failed write counts: its drafts are refused and not there, and the next write works", async () => {
  const fault = createFault();
  await using database = await openSqlite({ path: freshPath(), now, create: true, write: failing(fault) });
  fault.arm("intend", "lost", 2);
  const drafts = [draft(), draft(), draft()];
  const calls = drafts.map((made) => database.ledger.intend([made]));
  for (const call of calls) await assert.rejects(call, { code: "unavailable" });
  for (const { serial } of drafts) assert.equal(await database.ledger.findSerial(serial), undefined);
  await assert.rejects(database.ledger.intend([draft()]), { code: "unavailable" });
  await database.ledger.intend(drafts);
  assert.equal(database.counts().failedWrites, 2);
});

test("a draft that was kept though reported lost stays an unsigned intent; asking again replays it", async () => {
  const fault = createFault();
  await using database = await openSqlite({ path: freshPath(), now, create: true, write: failing(fault) });
  const keyed = draft({ idempotency: { key: "k", digest: sha256("k") } });
  fault.arm("intend", "kept");
  await assert.rejects(database.ledger.intend([keyed]), { code: "unavailable" });
  const [answer] = await database.ledger.intend([draft({ idempotency: { key: "k", digest: sha256("k") } })]);
  assert.ok(answer?.kind === "replay");
  assert.deepEqual(Buffer.from(answer.intent.tbs), Buffer.from(keyed.tbs));
  assert.equal((await verifyAll(database)).get("shop")?.unrecorded, 1);
});

test("signatures outlive failed writes, and are counted", async () => {
  const fault = createFault();
  await using database = await openSqlite({
    path: freshPath(),
    now,
    create: true,
    write: failing(fault),
    recordDelayMs: 1,
  });
  const intent = await intendOne(database);
  fault.arm("record", "lost", 3);
  database.ledger.record(intent, signature);
  while (database.counts().recordsQueued > 0) await setTimeout(5);
  assert.deepEqual(database.counts(), { recordsQueued: 0, recordsRetried: 3, recordsDropped: 0, failedWrites: 3 });
  assert.ok((await database.ledger.findSerial(intent.serial))?.signature);
});

test("a close that cannot write gives up after a while and says how many signatures it lost", async () => {
  const fault = createFault();
  const database = await openSqlite({
    path: freshPath(),
    now,
    create: true,
    write: failing(fault),
    recordDelayMs: 1e6,
  });
  database.ledger.record(await intendOne(database), signature);
  fault.arm("record", "lost", 99);
  await database[Symbol.asyncDispose]();
  assert.equal(database.counts().recordsDropped, 1);
  assert.equal(fault.count(), 3);
});

test("a full disk refuses, and takes drafts again by itself once there is room", async () => {
  const path = freshPath();
  const connection = openConnection(path);
  migrate(connection, true, now());
  const writer = startWriter(connection, now, 1e6);
  const promised: Intent[] = [];
  const ask = async (): Promise<void> => {
    const [answer] = await writer.intend([draft({ tbs: new Uint8Array(5000) })]);
    assert.ok(answer?.kind === "intent");
    promised.push(answer.intent);
    writer.record(answer.intent, signature);
  };
  const pages = Number(connection.prepare("PRAGMA page_count").get()?.["page_count"]);
  connection.execute(`PRAGMA max_page_count = ${pages + 20}`);
  await assert.rejects(
    async () => {
      for (let count = 0; count < 100; count += 1) await ask();
    },
    { code: "unavailable", message: "the database cannot be used now" },
  );
  assert.ok(promised.length > 1);
  const before = promised.length;
  await assert.rejects(ask(), { code: "unavailable" });
  connection.execute("PRAGMA max_page_count = 100000");
  await ask();
  assert.equal(promised.length, before + 1);
  await writer.close();
  assert.equal(writer.counts().recordsDropped, 0);
  const row = connection
    .prepare("SELECT (SELECT count(*) FROM entries) AS e, (SELECT count(*) FROM signatures) AS s")
    .get();
  assert.deepEqual({ ...row }, { e: before + 1, s: before + 1 });
  connection.close();
});

/** Held up until it is let go on, one after the other. */
function openGate(): { readonly sync: Sync; readonly waiting: () => number; next(error?: Error): void } {
  const held: ((error?: Error) => void)[] = [];
  return {
    sync: () =>
      new Promise((resolve, reject) => held.push((error) => (error === undefined ? resolve() : reject(error)))),
    waiting: () => held.length,
    next: (error) => held.shift()?.(error),
  };
}

test("while the disk is at one write, others gather for the next, and nobody is answered before", async () => {
  const gate = openGate();
  const writes: string[] = [];
  const write: Write = (name, commit) => {
    writes.push(name);
    commit();
  };
  await using database = await openSqlite({ path: freshPath(), now, create: true, write, sync: gate.sync });
  writes.length = 0;
  const answered: string[] = [];
  const ask = async (name: string): Promise<void> => {
    await database.ledger.intend([draft()]);
    answered.push(name);
  };
  const first = ask("first");
  while (gate.waiting() === 0) await setImmediate();
  const others = ["second", "third"].map(ask);
  for (let turns = 0; turns < 20; turns += 1) await setImmediate();
  assert.deepEqual([writes, answered, gate.waiting()], [["intend"], [], 1]);
  gate.next();
  await first;
  while (gate.waiting() === 0) await setImmediate();
  assert.deepEqual([writes, answered], [["intend", "intend"], ["first"]]);
  gate.next();
  await Promise.all(others);
});

test("where drafts and signatures are due at once, one write is under way, and no signature is lost", async () => {
  const path = freshPath();
  let underWay = 0;
  let most = 0;
  const sync: Sync = async () => {
    most = Math.max(most, (underWay += 1));
    await setTimeout(5);
    underWay -= 1;
  };
  {
    await using database = await openSqlite({ path, now, create: true, sync, recordDelayMs: 1 });
    const { ledger } = database;
    const intent = await intendOne(database);
    // From here the timers come first in the next turn of the event loop, and then what was to come at once.
    await setImmediate();
    ledger.record(intent, signature);
    const later = intendOne(database);
    for (const due = performance.now() + 5; performance.now() < due; );
    ledger.record(await later, signature);
  }
  assert.equal(most, 1);
  using after = new DatabaseSync(path);
  assert.equal(after.prepare("SELECT count(*) AS n FROM signatures").get()?.["n"], 2);
});

test("of many that wait no more than 64 drafts share a write, whole calls in their order, however large one alone is", async () => {
  const gate = openGate();
  await using database = await openSqlite({ path: freshPath(), now, create: true, sync: gate.sync });
  const answered: number[] = [];
  const ask = async (size: number): Promise<void> => {
    await database.ledger.intend(Array.from({ length: size }, () => draft()));
    answered.push(size);
  };
  const all = [ask(1)];
  while (gate.waiting() === 0) await setImmediate();
  for (const size of [40, 24, 1, 200, 1]) all.push(ask(size));
  for (const expected of [[1], [1, 40, 24], [1, 40, 24, 1], [1, 40, 24, 1, 200], [1, 40, 24, 1, 200, 1]]) {
    while (gate.waiting() === 0) await setImmediate();
    gate.next();
    while (answered.length < expected.length) await setImmediate();
    for (let turns = 0; turns < 5; turns += 1) await setImmediate();
    assert.deepEqual(answered, expected);
  }
  await Promise.all(all);
});

test("what is to be remembered outside of the database is durable in it", async () => {
  const gate = openGate();
  await using database = await openSqlite({ path: freshPath(), now, create: true, sync: gate.sync });
  const asked = intendOne(database);
  while (gate.waiting() === 0) await setImmediate();
  const newest = database.marks.newest();
  while (gate.waiting() < 2) await setImmediate();
  const first = await Promise.race([newest.then(() => "told"), setTimeout(20, "waits")]);
  assert.equal(first, "waits");
  gate.next();
  gate.next();
  assert.equal((await newest)?.entry, (await asked).id);
  const failed = database.marks.newest();
  while (gate.waiting() === 0) await setImmediate();
  gate.next(new Error("EIO"));
  await assert.rejects(failed, { code: "unavailable" });
});

test("what is answered is there after a loss of power: in the files as they were when the last sync began", async () => {
  const path = freshPath();
  const [kept, next] = [freshPath(), freshPath()];
  const sync: Sync = async () => {
    for (const suffix of ["", "-wal"]) copyFileSync(path + suffix, `${next}${suffix}`);
    await setTimeout(2);
    for (const suffix of ["", "-wal"]) renameSync(`${next}${suffix}`, kept + suffix);
  };
  await using database = await openSqlite({ path, now, create: true, sync, recordDelayMs: 1 });
  for (let round = 0; round < 20; round += 1) {
    const drafts = Array.from({ length: 1 + (round % 3) }, () => draft());
    const asked = drafts.map((one) => database.ledger.intend([one]));
    for (const [i, call] of asked.entries()) {
      const [answer] = await call;
      assert.ok(answer?.kind === "intent");
      database.ledger.record(answer.intent, signature);
      using after = new DatabaseSync(kept);
      const row = after.prepare("SELECT id FROM entries WHERE serial = ?").get(drafts[i]?.serial ?? null);
      assert.equal(row?.["id"], answer.intent.id);
    }
  }
});

test("where a sync has failed the log begins anew before anything else is written", async () => {
  const path = freshPath();
  let fails = 0;
  const sync: Sync = async () => {
    if ((fails -= 1) >= 0) throw new Error("EIO");
  };
  const saltsOf = (): string => readFileSync(`${path}-wal`).toString("hex", 16, 24);
  await using database = await openSqlite({ path, now, create: true, sync, busyTimeoutMs: 20 });
  await intendOne(database);
  const before = saltsOf();
  await intendOne(database);
  assert.equal(saltsOf(), before);
  fails = 1;
  await assert.rejects(database.ledger.intend([draft()]), { code: "unavailable", message: /the disk did not take/ });
  {
    // Who reads in the log as it was keeps it from beginning anew.
    using reader = new DatabaseSync(path);
    reader.exec("BEGIN");
    reader.prepare("SELECT count(*) FROM entries").get();
    await assert.rejects(database.ledger.intend([draft()]), { code: "unavailable", message: /somebody reads the log/ });
    await assert.rejects(database.state.setSuspended({ kind: "tenant", name: "shop" }, true, act()), {
      code: "unavailable",
    });
    reader.exec("ROLLBACK");
  }
  await intendOne(database);
  assert.notEqual(saltsOf(), before);
  assert.equal((await verifyAll(database)).get("shop")?.unrecorded, 4, "with the one that was reported lost");
});

test("a commit that failed may have been a sync of what came before it: the log begins anew, too", async () => {
  const path = freshPath();
  const fault = createFault();
  const saltsOf = (): string => readFileSync(`${path}-wal`).toString("hex", 16, 24);
  await using database = await openSqlite({ path, now, create: true, write: failing(fault) });
  const first = await intendOne(database);
  const before = saltsOf();
  for (const outcome of ["lost", "kept"] as const) {
    fault.arm("state", outcome);
    await assert.rejects(database.state.setSuspended({ kind: "tenant", name: outcome }, true, act()), {
      code: "unavailable",
    });
  }
  await intendOne(database);
  assert.notEqual(saltsOf(), before);
  assert.deepEqual((await database.ledger.findSerial(first.serial))?.intent.tbs, first.tbs);
});

test("a database that another process has locked refuses, and works again when it lets go", async () => {
  const path = freshPath();
  await using database = await openSqlite({ path, now, create: true, busyTimeoutMs: 50 });
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  await assert.rejects(database.ledger.intend([draft()]), { code: "unavailable" });
  other.exec("ROLLBACK");
  other.close();
  await intendOne(database);
});

test("what waits has a limit, and so has one call", async () => {
  await using database: Database = await openSqlite({ path: freshPath(), now, create: true });
  const batch = (size: number) => Array.from({ length: size }, () => draft());
  await assert.rejects(database.ledger.intend(batch(draftsPerWriteMax + 1)), /more than one durable write/);
  const calls = Array.from({ length: 40 }, () => database.ledger.intend(batch(draftsPerWriteMax)));
  const settled = await Promise.allSettled(calls);
  const kept = settled.filter(
    (call): call is PromiseFulfilledResult<readonly Intended[]> => call.status === "fulfilled",
  );
  assert.equal(kept.length, 32);
  const refused = settled.find((call) => call.status === "rejected");
  assert.equal(refused?.reason instanceof Error && "code" in refused.reason && refused.reason.code, "overloaded");
  await intendOne(database);
});
