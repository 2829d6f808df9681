/**
 * Brings a ledger from SQLite to PostgreSQL, row by row and byte by byte: numbers, positions, trees and heads stay what they
 * are. What was copied before is not copied again, and until all is there no issuer starts on it.
 */
import { hash } from "node:crypto";
import { Refusal } from "../errors.ts";
import type { Connection } from "./connection.ts";
import type { Pool, Transaction } from "./postgres-pool.ts";
import { blob, integer, type Row, text } from "./rows.ts";

export interface CopyProgress {
  readonly table: string;
  readonly rows: number;
}

/** Tables that only grow: copied ahead, in many writes. */
const growing: readonly string[] = ["entries", "signatures", "leaves"];
const rowsPerWrite = 500;
/** The first: it stays the same when the hub root is rotated. */
const hubRoot = "SELECT certificate FROM authorities WHERE kind = 'hub' ORDER BY rowid LIMIT 1";
/** For all but those, in one write. */
const finishTimeoutMs = 10 * 60_000;

/** What there is to copy, by table. */
export function countRows(from: Connection): readonly CopyProgress[] {
  return tablesOf(from).map((table) => {
    const row = from.prepare(`SELECT count(*) AS n FROM ${table}`).get();
    return { table, rows: row === undefined ? 0 : integer(row, "n") };
  });
}

/** Whether the ledger is there already, whole. @throws Refusal `config` when another one is. */
export async function isCopied(from: Connection, pool: Pool): Promise<boolean> {
  const source = identify(from);
  const [copying] = await pool.query("SELECT source FROM copying");
  if (copying !== undefined) {
    if (text(copying, "source") === source) return false;
    throw new Refusal("config", "the copy of another ledger was begun in this database");
  }
  const [hub] = await pool.query(hubRoot);
  const [any] = await pool.query("SELECT 1 AS one FROM entries LIMIT 1");
  if (hub === undefined && any === undefined) return false;
  const last = from.prepare("SELECT id, leaf_hash FROM entries ORDER BY id DESC LIMIT 1").get();
  const [same] =
    last === undefined
      ? []
      : await pool.query(
          "SELECT 1 AS one FROM entries WHERE id = $1 AND leaf_hash = $2",
          integer(last, "id"),
          blob(last, "leaf_hash"),
        );
  if (hub === undefined || toSource(hub) !== source || same === undefined) {
    throw new Refusal(
      "config",
      "there is another ledger in this database, or this one has gone on since it was copied",
    );
  }
  return true;
}

/** Nobody else may write to either of the two. Reports as it goes. */
export async function* copyLedger(from: Connection, pool: Pool): AsyncGenerator<CopyProgress> {
  const tables = tablesOf(from);
  const source = identify(from);
  // If we stop after this, no issuer starts here, and the same verb goes on.
  await pool.transact("migrate", (transaction) =>
    transaction.query("INSERT INTO copying (id, source) VALUES (1, $1) ON CONFLICT DO NOTHING", source),
  );
  for (const table of growing) {
    const [last] = table === "entries" ? await pool.query("SELECT coalesce(max(id), 0) AS last FROM entries") : [];
    let rows = last === undefined ? 0 : integer(last, "last");
    for (const batch of batches(from, table, rows)) {
      await pool.transact("migrate", (transaction) => insert(transaction, table, batch));
      rows += batch.length;
      yield { table, rows };
    }
  }
  // If we stop before this commits, the entries are there and nothing that counts on them is.
  await pool.transact("migrate", (transaction) => finish(from, transaction, tables), { timeoutMs: finishTimeoutMs });
}

async function finish(from: Connection, transaction: Transaction, tables: readonly string[]): Promise<void> {
  const rest = tables.filter((table) => !growing.includes(table) && table !== "epochs");
  for (const table of rest.toReversed()) await transaction.query(`DELETE FROM ${table}`);
  for (const table of rest) for (const batch of batches(from, table, 0)) await insert(transaction, table, batch);
  const epoch = from.prepare("SELECT epoch FROM epochs").get();
  await transaction.query("UPDATE epochs SET epoch = $1", epoch === undefined ? 0 : integer(epoch, "epoch"));
  await transaction.query("DELETE FROM unplaced u USING leaves l WHERE l.entry = u.entry");
  await transaction.query(
    "SELECT setval(pg_get_serial_sequence('entries', 'id'), max(id)) FROM entries HAVING max(id) > 0",
  );
  await transaction.query("DELETE FROM copying");
}

/** Rows in their order, after a row id. */
function* batches(from: Connection, table: string, after: number): Generator<readonly Row[]> {
  const next = from.prepare(
    `SELECT rowid AS copied, * FROM ${table} WHERE rowid > ? ORDER BY rowid LIMIT ${rowsPerWrite}`,
  );
  let last = after;
  for (let rows = next.all(last); rows.length > 0; rows = next.all(last)) {
    for (const row of rows) last = Math.max(last, integer(row, "copied"));
    yield rows;
  }
}

async function insert(transaction: Transaction, table: string, rows: readonly Row[]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).filter((column) => column !== "copied");
  const values = rows.flatMap((row) => columns.map((column) => row[column] ?? null));
  const tuple = (_: unknown, index: number): string =>
    `(${columns.map((_, column) => `$${index * columns.length + column + 1}`).join(", ")})`;
  await transaction.query(
    `INSERT INTO ${table} (${columns.join(", ")}) VALUES ${rows.map(tuple).join(", ")} ON CONFLICT DO NOTHING`,
    ...values,
  );
}

/** In the order in which they were made: what is referred to comes first. */
function tablesOf(from: Connection): readonly string[] {
  return from
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'migrations' ORDER BY rowid")
    .all()
    .map((row) => text(row, "name"));
}

/** Which ledger it is: that of the hub whose root this is. @throws Refusal `config`. */
function identify(from: Connection): string {
  const hub = from.prepare(hubRoot).get();
  if (hub === undefined) throw new Refusal("config", "the database belongs to no hub: there is nothing to copy");
  return toSource(hub);
}

function toSource(hub: Row): string {
  return hash("sha256", blob(hub, "certificate"));
}
