import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { openFileCustody } from "../../src/custody/file.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { draft } from "../contract/drafts.ts";
import { assertSound, intendOne, verifyAll } from "../contract/ledger.ts";
import { manual, sequencerContract } from "../contract/sequencer.ts";
import { eventually } from "../support/patience.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
let made = 0;
const now = () => new Date("2026-11-21T11:00:00Z");
const freshPath = () => join(base.path, `ledger-${made++}.db`);
const open = (path = freshPath()) => openSqlite({ path, now, create: true });
const custody = await openFileCustody({ directory: join(base.path, "keys") });
const signer = await custody.createKey("ledger", "P-256");
sequencerContract("sqlite", () => open(), signer, await custody.createKey("other", "P-384"));

test("a second opener takes a newer epoch, and the first can place and sign nothing more", async () => {
  const path = freshPath();
  await using first = await open(path);
  await using second = await open(path);
  const faults: unknown[] = [];
  const old = await first.startSequencer(signer, { ...manual, onFault: (error) => faults.push(error) });
  await intendOne(first);
  await old.sequence();
  const young = await second.startSequencer(signer, manual);
  assert.equal(young.epoch, old.epoch + 1);
  await intendOne(first);
  const fenced = { code: "not-ready", message: /epoch 1 of the ledger has ended: it is 2 now/ };
  await assert.rejects(old.sequence(), fenced);
  assert.equal((await verifyAll(second)).get("@ledger")?.entries, 1);
  await intendOne(second);
  await young.sequence();
  await assertSound(first);
  assert.equal((await second.ledger.entry("shop/2"))?.position, 2);
});

test("a sequencer that was fenced between placing and signing signs nothing", async () => {
  const path = freshPath();
  await using first = await open(path);
  await using second = await open(path);
  const slow = {
    ...signer,
    async sign(bytes: Uint8Array) {
      await second.startSequencer(signer, manual);
      return signer.sign(bytes);
    },
  };
  const old = await first.startSequencer(slow, manual);
  await intendOne(first);
  await assert.rejects(old.sequence(), { code: "not-ready" });
  assert.equal((await verifyAll(second)).get("@ledger")?.entries, 0);
  await assertSound(second);
});

test("on its timer it places without being asked, and stops by itself when fenced", async () => {
  const path = freshPath();
  await using first = await open(path);
  const faults: unknown[] = [];
  await first.startSequencer(signer, { intervalMs: 5, headIntervalMs: 0, onFault: (error) => faults.push(error) });
  const { serial } = await intendOne(first);
  const id = Buffer.from(serial).toString("hex");
  await eventually(async () => assert.equal((await first.ledger.entry(id))?.position, 0));
  await using second = await open(path);
  await second.startSequencer(signer, manual);
  await intendOne(first);
  await eventually(() => assert.equal(faults.length, 1));
  await setTimeout(50);
  assert.equal(faults.length, 1);
});

test("verification of a large log lets the event loop run", async () => {
  await using database = await open();
  const sequencer = await database.startSequencer(signer, manual);
  for (let batch = 0; batch < 20; batch += 1) {
    await database.ledger.intend(Array.from({ length: 250 }, () => draft()));
  }
  await sequencer.sequence();
  let turns = 0;
  const timer = setInterval(() => void turns++, 1);
  await assertSound(database);
  clearInterval(timer);
  // A walk in one piece lets nothing in between its reports.
  assert.ok(turns >= 5, `${turns} turns of the event loop`);
});

test("an entry that somebody took out before it was placed moves no other to a place that is not its own", async () => {
  const path = freshPath();
  await using database = await open(path);
  const sequencer = await database.startSequencer(signer, manual);
  for (const log of ["shop", "shop", "shop", "bank", "shop"]) await intendOne(database, draft({ log }));
  {
    using raw = new DatabaseSync(path);
    raw.exec("DELETE FROM entries WHERE id = 2");
  }
  await sequencer.sequence();
  using raw = new DatabaseSync(path, { readOnly: true });
  const placed = raw.prepare("SELECT entry, log, position FROM leaves WHERE log <> '@ledger' ORDER BY entry").all();
  assert.deepEqual(
    placed.map(({ entry, log, position }) => [entry, log, position]),
    [
      [1, "shop", 0],
      [3, "shop", 1],
      [4, "bank", 0],
      [5, "shop", 2],
    ],
  );
});
