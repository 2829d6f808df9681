import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { openConnection } from "../../src/ledger/connection.ts";
import { migrate, migrations } from "../../src/ledger/schema.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { draft } from "../contract/drafts.ts";
import { intendOne, ledgerContract } from "../contract/ledger.ts";
import { revocationContract } from "../contract/revocations.ts";
import { rotationContract } from "../contract/rotation.ts";
import { stateContract } from "../contract/state.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
let made = 0;
const freshPath = () => join(base.path, `ledger-${made++}.db`);
const now = () => new Date("2026-11-21T11:00:00Z");
const open = (clock = now) => openSqlite({ path: freshPath(), now: clock, create: true });

ledgerContract("sqlite", open);
stateContract("sqlite", open);
revocationContract("sqlite", open);
rotationContract("sqlite", open);

test("a ledger that is not there is refused, and not made", async () => {
  const path = freshPath();
  await assert.rejects(openSqlite({ path, now, create: false }), { code: "config", message: /run "espalier init"$/ });
  assert.ok(!existsSync(path));
});

test("an empty file, another program's database and what is no database are refused", async () => {
  const path = freshPath();
  writeFileSync(path, "");
  await assert.rejects(openSqlite({ path, now, create: false }), { code: "config", message: /espalier init/ });
  const other = freshPath();
  new DatabaseSync(other).exec("CREATE TABLE a (b)");
  await assert.rejects(openSqlite({ path: other, now, create: true }), { code: "config", message: /another program/ });
  const text = freshPath();
  writeFileSync(text, "not a database, though it is long enough to be looked at ".repeat(100));
  await assert.rejects(openSqlite({ path: text, now, create: true }), { code: "config", message: /not a SQLite/ });
});

test("its files are its user's alone, and what is written is there when it is opened again", async () => {
  const path = freshPath();
  const kept = draft();
  {
    await using database = await openSqlite({ path, now, create: true });
    await intendOne(database, kept);
    for (const name of readdirSync(base.path).filter((name) => path.endsWith(name.replace(/-(wal|shm)$/, "")))) {
      assert.equal(statSync(join(base.path, name)).mode & 0o777, 0o600, name);
    }
  }
  await using database = await openSqlite({ path, now, create: false });
  assert.ok(await database.ledger.findSerial(kept.serial));
});

test("a schema that is newer, or not the one we know, is refused and left as it is", async () => {
  const path = freshPath();
  const newer = [...migrations, { name: "later", sql: "CREATE TABLE later (a INTEGER) STRICT" }];
  const connection = openConnection(path);
  migrate(connection, true, now(), newer);
  connection.close();
  await assert.rejects(openSqlite({ path, now, create: false }), {
    code: "config",
    message: new RegExp(`schema ${newer.length} \\(later\\)`),
  });

  const changed = openConnection(freshPath());
  migrate(changed, true, now());
  const known = [{ name: "ledger", sql: "-- something else" }];
  assert.throws(() => migrate(changed, false, now(), known), { code: "config", message: /is not the one/ });
  changed.close();
});

test("migrations go on where they stopped, each once", () => {
  const connection = openConnection(freshPath());
  migrate(connection, true, now());
  const newer = [...migrations, { name: "later", sql: "CREATE TABLE later (a INTEGER) STRICT" }];
  migrate(connection, false, now(), newer);
  migrate(connection, false, now(), newer);
  assert.equal(connection.prepare("SELECT count(*) AS n FROM migrations").get()?.["n"], newer.length);
  connection.close();
});
