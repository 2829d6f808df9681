/** Whoever can write to the server is not believed: what they have changed is named. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openPostgres } from "../../src/ledger/postgres.ts";
import { faultsOf, writeOriginal } from "../contract/original.ts";
import { manual } from "../contract/sequencer.ts";
import { toConfig } from "../support/postgres.ts";
import { startStand } from "../support/postgres-stand.ts";

const { signer, server } = await startStand();
const now = () => new Date("2026-11-21T11:00:00Z");
const original = await makeOriginal();

async function makeOriginal(): Promise<string> {
  const connection = await server.database();
  await using database = await openPostgres({ connection, now, create: true, holder: "test", recordDelayMs: 1 });
  const sequencer = await database.startSequencer(signer, manual);
  await writeOriginal(database, sequencer, async () => {
    // Nobody places what comes now.
    await server.sql("UPDATE espalier.epochs SET epoch = epoch + 1", connection.database);
  });
  return connection.database;
}

let copies = 0;

/** The faults that verification finds after some SQL has been run on a copy. */
async function faultsAfter(sql: string): Promise<string> {
  const copy = `copy_${(copies += 1)}`;
  await server.sql(`CREATE DATABASE ${copy} TEMPLATE ${original} OWNER espalier`);
  await server.sql(`SET search_path = espalier; SET session_replication_role = replica; ${sql}`, copy);
  const connection = toConfig(server.port, copy);
  await using changed = await openPostgres({ connection, now, create: false, holder: "test" });
  return await faultsOf(changed);
}

test("an untouched ledger has no faults", async () => {
  assert.equal(await faultsAfter(""), "");
});

const cases: Readonly<Record<string, RegExp>> = {
  "UPDATE entries SET log = 'x' WHERE id = 4": /entry 4: its column log is not/,
  "UPDATE entries SET serial = '\\x01' WHERE id = 7": /entry 7: its column serial is not/,
  "UPDATE entries SET identity = 'x' WHERE id = 1": /entry 1: its column identity is not/,
  "UPDATE entries SET cluster = NULL WHERE id = 2": /entry 2: its column cluster is not/,
  "UPDATE entries SET authority = 'x' WHERE id = 2": /entry 2: its column authority is not/,
  "UPDATE entries SET bundle_version = 'x' WHERE id = 2": /entry 2: its column bundle_version is not/,
  "UPDATE entries SET not_after = not_after + 1 WHERE id = 5": /entry 5: its column not_after is not/,
  "UPDATE entries SET idempotency_key = 'x' WHERE id = 5": /entry 5: its column idempotency_key is not/,
  "UPDATE entries SET leaf_hash = '\\x00' WHERE id = 6": /entry 6: its body does not have its leaf hash/,
  "UPDATE entries SET body = body || '\\x20' WHERE id = 8": /entry 8: its body does not have its leaf hash/,
  "UPDATE entries SET id = 100 WHERE id = 4": /entry 4: it has a position and is missing/,
  "UPDATE entries SET body = '' WHERE id = 4": /entry 4: its body does not have its leaf hash/,
  "UPDATE entries SET body = '' WHERE id = 4; UPDATE retention SET due_to = 4":
    /retention: bodies up to entry 4 may go/,
  "UPDATE signatures SET signature = '\\x00' WHERE entry = 4": /entry 4: its signature is not/,
  "UPDATE signatures SET entry = 6 WHERE entry = 7": /entry 6: it is an act and has a signature/,
  "UPDATE signatures SET entry = 99 WHERE entry = 7": /entry 99: it is in signatures and is missing/,
  "UPDATE leaves SET position = 99 WHERE entry = 1": /positions up to \d+ are missing/,
  "UPDATE leaves SET log = 'x' WHERE entry = 3": /shop\/1: positions up to 2 are missing/,
  "UPDATE trees SET size = 1 WHERE log = 'shop'": /^shop: its tree has 1 leaves and the log 3/m,
  "UPDATE trees SET root = '\\x00' WHERE log = 'shop'": /^shop: its tree has another root/m,
  "UPDATE trees SET frontier = '\\x00' WHERE log = '@hub'": /^@hub: its tree has another frontier/m,
  "UPDATE heads SET body = body || '\\x20' WHERE id = 1": /head 1: it is not signed/,
  "UPDATE heads SET signature = '\\x00' WHERE id = 2": /head 2: it is not signed/,
  "UPDATE heads SET id = 7 WHERE id = 2": /heads up to 7 are missing/,
  "UPDATE epochs SET epoch = 0": /the epoch is older/,
  "UPDATE ledger_key SET spki = '\\x00'": /head 2: it is not signed/,
  "DELETE FROM entries WHERE id = 2": /entry 2: it has a position and is missing/,
  "DELETE FROM entries WHERE id = 7": /entry 7: it is in signatures and is missing/,
  "DELETE FROM entries WHERE id = 8": /entry 8: it is in unplaced and is missing/,
  "DELETE FROM leaves WHERE entry = 1": /entry 1: its position is missing/,
  "DELETE FROM unplaced WHERE entry = 7": /entry 7: its position is missing/,
  "DELETE FROM trees WHERE log = 'bank'": /bank: its tree is missing/,
  "DELETE FROM heads WHERE id = 1": /heads up to 2 are missing/,
  "DELETE FROM leaves WHERE entry > 3; DELETE FROM entries WHERE id > 3; DELETE FROM trees":
    /a signed head has 3 entries and the log 2/,
  "UPDATE leaves SET position = 99 WHERE entry = 1; UPDATE leaves SET position = 0 WHERE entry = 3; UPDATE leaves SET position = 1 WHERE entry = 1":
    /shop: a signed head has another root/,
};

for (const [sql, fault] of Object.entries(cases)) {
  test(`named: ${sql}`, async () => assert.match(await faultsAfter(sql), fault));
}
