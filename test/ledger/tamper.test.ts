import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { openFileCustody } from "../../src/custody/file.ts";
import { leafHash } from "../../src/ledger/merkle.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { faultsOf, writeOriginal } from "../contract/original.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
const now = () => new Date("2026-11-21T11:00:00Z");
const original = join(base.path, "original.db");

before(async () => {
  const custody = await openFileCustody({ directory: join(base.path, "keys") });
  const signer = await custody.createKey("ledger", "P-256");
  const path = join(base.path, "live.db");
  await using database = await openSqlite({ path, now, create: true, recordDelayMs: 1 });
  const sequencer = await database.startSequencer(signer, { intervalMs: 1e6 });
  await writeOriginal(database, sequencer);
  new DatabaseSync(path).exec(`VACUUM INTO '${original}'`);
});

let copies = 0;

/** The faults that verification finds after some SQL has been run on a copy. */
async function faultsAfter(sql: string, alter: (database: DatabaseSync) => void = () => undefined): Promise<string> {
  const path = join(base.path, `copy-${copies++}.db`);
  copyFileSync(original, path);
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  database.exec(`PRAGMA ignore_check_constraints = ON; ${sql}`);
  alter(database);
  database.close();
  await using changed = await openSqlite({ path, now, create: false });
  return await faultsOf(changed);
}

test("an untouched ledger has no faults", async () => {
  assert.equal(await faultsAfter(""), "");
});

const columns: Readonly<Record<string, readonly string[]>> = {
  entries: [
    "id",
    "log",
    "kind",
    "serial",
    "identity",
    "cluster",
    "authority",
    "bundle_version",
    "not_after",
    "idempotency_key",
    "door",
    "leaf_hash",
    "body",
  ],
  signatures: ["entry", "signature"],
  leaves: ["entry", "log", "position"],
  trees: ["log", "size", "root", "frontier"],
  heads: ["id", "body", "signature"],
};
const rowsOf: Readonly<Record<string, readonly string[]>> = {
  entries: ["id = 1", "id = 2", "id = 3", "id = 4", "id = 6", "id = 7", "id = 8"],
  signatures: ["entry = 1", "entry = 4", "entry = 7"],
  leaves: ["entry = 1", "entry = 3", "entry = 4", "entry = 6"],
  trees: ["log = 'shop'", "log = '@hub'"],
  heads: ["id = 1", "id = 2"],
};
/** What a row is called in a fault, where it is not called by the number it was changed under. */
const names: Readonly<Record<string, (row: string) => RegExp>> = {
  entries: (row) => new RegExp(`entry ${row.split(" = ")[1]}\\b`),
  signatures: (row) => new RegExp(`entry (100)?${row.split(" = ")[1]}\\b`),
  leaves: (row) => new RegExp(`entry (100)?${row.split(" = ")[1]}\\b|/\\d+: positions up to \\d+ are missing`),
  trees: (row) => new RegExp(`^${row.split("'")[1]}: its tree`, "m"),
  heads: (row) => new RegExp(`head ${row.split(" = ")[1]}\\b`),
};

for (const [table, listed] of Object.entries(columns)) {
  for (const column of listed) {
    test(`a changed ${table}.${column} is named`, async () => {
      for (const row of rowsOf[table] ?? []) {
        const changed = await faultsAfter(
          `UPDATE ${table} SET ${column} = CASE typeof(${column})
             WHEN 'text' THEN ${column} || 'x'
             WHEN 'integer' THEN ${column} + 1000
             WHEN 'blob' THEN CAST(substr(${column}, 1, 20)
               || CASE substr(${column}, 21, 1) WHEN x'ff' THEN x'00' ELSE x'ff' END
               || substr(${column}, 22) AS BLOB)
             ELSE (SELECT ${column} FROM ${table} WHERE ${column} IS NOT NULL LIMIT 1) END
           WHERE ${row}`.replaceAll(/\(SELECT (serial|idempotency_key) .*\)/g, (_, name) =>
            name === "serial" ? "x'01'" : "'x'",
          ),
        );
        assert.match(changed, names[table]?.(row) ?? /./, `${table}.${column} where ${row}`);
      }
    });
  }
}

test("a column of an intent that was emptied is named", async () => {
  for (const column of [
    "serial",
    "identity",
    "cluster",
    "authority",
    "bundle_version",
    "not_after",
    "idempotency_key",
  ]) {
    assert.match(await faultsAfter(`UPDATE entries SET ${column} = NULL WHERE id = 4`), /entry 4\b/, column);
  }
});

test("a row that was taken away is named", async () => {
  const cases: Readonly<Record<string, RegExp>> = {
    "DELETE FROM entries WHERE id = 2": /entry 2: it is missing/,
    "DELETE FROM entries WHERE id = 6": /entry 6: it is missing/,
    "DELETE FROM entries WHERE id = 7": /entry 7: it is missing/,
    "DELETE FROM leaves WHERE entry = 1": /entry 1: its position is missing/,
    "DELETE FROM leaves WHERE entry = 4": /entry 4: its position is missing/,
    "DELETE FROM leaves": /shop: its tree has 3 leaves and the log 0 entries/,
    "DELETE FROM trees WHERE log = 'bank'": /bank: its tree is missing/,
    "DELETE FROM heads WHERE id = 1": /head 1: heads up to 2 are missing/,
    "DELETE FROM ledger_key": /head 1: it is not signed by the ledger's key/,
    "UPDATE ledger_key SET algorithm = 'P-384'": /head 1: it is not signed/,
    "UPDATE ledger_key SET algorithm = 'P-521'": /no algorithm we know/,
    "UPDATE ledger_key SET spki = x'00'": /head 2: it is not signed/,
    "UPDATE epochs SET epoch = 0": /the epoch is older/,
    "DELETE FROM leaves WHERE entry > 3; DELETE FROM entries WHERE id > 3; DELETE FROM trees":
      /a signed head has 3 entries and the log 2/,
  };
  for (const [sql, fault] of Object.entries(cases)) assert.match(await faultsAfter(sql), fault, sql);
});

test("an entry that was rewritten with its hash does not have the root that was signed", async () => {
  const faults = await faultsAfter("", (database) => {
    const row = database.prepare("SELECT CAST(body AS TEXT) AS body FROM entries WHERE id = 3").get();
    const body = Buffer.from(String(row?.["body"]).replace("unix:ada", "unix:eve"));
    database.prepare("UPDATE entries SET body = ?, leaf_hash = ? WHERE id = 3").run(body, leafHash(body));
  });
  assert.match(faults, /shop: a signed head has another root at size 2/);
  assert.match(faults, /shop: a signed head has another root at size 3/);
});

test("two entries that changed places are named", async () => {
  const swap = `UPDATE leaves SET position = 99 WHERE entry = 1; UPDATE leaves SET position = 0 WHERE entry = 3;
    UPDATE leaves SET position = 1 WHERE entry = 1`;
  assert.match(await faultsAfter(swap), /shop: a signed head has another root/);
});
