/**
 * The tables in PostgreSQL, in a schema of their own called `espalier`. They are SQLite's, with the types translated, so that
 * one list of migrations is both databases'; and what only many writers need.
 */
import { hash } from "node:crypto";
import { Refusal } from "../errors.ts";
import { sameBytes, toTime } from "./octets.ts";
import { type Pool, postgresLocks, type Transaction } from "./postgres-pool.ts";
import { blob, integer, text } from "./rows.ts";
import { type Migration, migrations } from "./schema.ts";

/** What follows the migration of that name. */
const additions: Readonly<Record<string, string>> = {
  "ledger and made state": `
-- A lock on the entry for every signature and position would cost as much as they do. Verification names one without an entry.
ALTER TABLE signatures DROP CONSTRAINT signatures_entry_fkey;
ALTER TABLE leaves DROP CONSTRAINT leaves_entry_fkey;

-- Entries become visible in another order than that of their numbers, so those without a position are listed.
CREATE TABLE unplaced (entry bigint PRIMARY KEY);
CREATE FUNCTION list_unplaced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO unplaced (entry) SELECT id FROM added;
  RETURN NULL;
END $$;
CREATE TRIGGER entries_unplaced AFTER INSERT ON entries
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION list_unplaced();

-- Who leads, and when it last said so by this server's clock.
ALTER TABLE epochs ADD COLUMN holder text, ADD COLUMN seen_at timestamptz NOT NULL DEFAULT '-infinity';

-- Counts the writes of made state, for the replicas that did not make them.
CREATE TABLE changes (id bigint PRIMARY KEY CHECK (id = 1), version bigint NOT NULL);
INSERT INTO changes VALUES (1, 0);

-- There while a copy from another database is not finished.
CREATE TABLE copying (id bigint PRIMARY KEY CHECK (id = 1), source text NOT NULL);
`,
};

/** A migration may rewrite a large table. */
const migrateTimeoutMs = 30 * 60_000;

/**
 * Brings the database to the newest schema, in one transaction that other replicas wait for; `create` allows it to be empty.
 * @throws Refusal `config` when there is no ledger in it, or it is newer than this binary.
 */
export async function migratePostgres(pool: Pool, create: boolean, now: Date, known = migrations): Promise<void> {
  // If we stop before this commits, the database has the schema it had, or none, and the next start does the same again.
  await pool.transact(
    "migrate",
    async (transaction) => {
      await openSchema(transaction, create);
      const applied = await readApplied(transaction, known);
      if (applied === 0 && !create) throw nothingThere();
      for (const [index, migration] of known.entries()) {
        if (index < applied) continue;
        await transaction.query(toPostgres(migration));
        await transaction.query(
          "INSERT INTO migrations (version, name, sha256, at) VALUES ($1, $2, $3, $4)",
          index + 1,
          migration.name,
          checksum(migration),
          toTime(now),
        );
      }
    },
    { lock: postgresLocks.migrate, timeoutMs: migrateTimeoutMs },
  );
}

async function openSchema(transaction: Transaction, create: boolean): Promise<void> {
  const [found] = await transaction.query(
    "SELECT to_regnamespace('espalier')::text AS namespace, to_regclass('espalier.migrations')::text AS migrations",
  );
  if (found?.["migrations"] !== null) return;
  if (!create) throw nothingThere();
  if (found["namespace"] === null) await transaction.query("CREATE SCHEMA espalier");
  await transaction.query(
    "CREATE TABLE migrations (version bigint PRIMARY KEY, name text NOT NULL, sha256 bytea NOT NULL, at text NOT NULL)",
  );
}

/** How many of the known migrations are applied. */
async function readApplied(transaction: Transaction, known: readonly Migration[]): Promise<number> {
  const rows = await transaction.query("SELECT version, name, sha256 FROM migrations ORDER BY version");
  for (const [index, row] of rows.entries()) {
    const migration = known[index];
    const name = `${integer(row, "version")} (${text(row, "name")})`;
    if (migration === undefined) {
      throw new Refusal(
        "config",
        `the database has schema ${name} and this binary knows ${known.length}: use a newer one`,
      );
    }
    if (integer(row, "version") !== index + 1 || !sameBytes(blob(row, "sha256"), checksum(migration))) {
      throw new Refusal("config", `schema ${name} of the database is not the one this binary knows`);
    }
  }
  return rows.length;
}

function nothingThere(): Refusal {
  return new Refusal(
    "config",
    'the database has no ledger: run "espalier init", or "espalier db migrate" to bring one',
  );
}

/**
 * The types of PostgreSQL for those of SQLite. Text sorts by its bytes, so that no index depends on the server's locale; tables
 * without a number of their own get SQLite's `rowid`, in the order of their rows.
 */
function toPostgres({ name, sql }: Migration): string {
  const tables = sql.replaceAll(/(CREATE TABLE \w+ \()([^;]*?)\n\) STRICT;/g, (_, head: string, columns: string) => {
    const rowid = columns.includes("INTEGER PRIMARY KEY") ? "" : ",\n  rowid bigint GENERATED ALWAYS AS IDENTITY";
    return `${head}${columns}${rowid}\n);`;
  });
  const typed = tables
    .replaceAll(/(?<=\bid )INTEGER PRIMARY KEY\b/g, "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY")
    .replaceAll(/\bINTEGER\b/g, "bigint")
    .replaceAll(/\bBLOB\b/g, "bytea")
    .replaceAll(/\bTEXT\b/g, 'text COLLATE "C"');
  return typed + (additions[name] ?? "");
}

function checksum(migration: Migration): Uint8Array {
  return hash("sha256", toPostgres(migration), "buffer");
}
