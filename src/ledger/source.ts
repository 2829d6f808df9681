/**
 * Where the ledger's tables are read back from: the one SQL that is the same in every database, so that reading and
 * verifying are written once.
 */
import type { Connection, Statement } from "./connection.ts";
import { integer, type Row, type Value } from "./rows.ts";

export interface Source {
  /** One statement with a `?` for each value; it sees the database as it is at one moment. */
  query(sql: string, ...values: readonly Value[]): Promise<readonly Row[]>;
  /** SQL of a table with the column `entry`: the entries that wait for a position. */
  readonly unplaced: string;
  /** Whether entries are numbered one after the other: where many write at once, a number can be lost with its write. */
  readonly gapless: boolean;
}

/** Entries that wait for a position. */
export async function countUnplaced(source: Source): Promise<number> {
  const [row] = await source.query(`SELECT count(*) AS n FROM ${source.unplaced} u`);
  return row === undefined ? 0 : integer(row, "n");
}

/** SQLite has one writer at a time: entries are placed in the order of their numbers. */
const afterLastPlaced = "(SELECT id AS entry FROM entries WHERE id > (SELECT coalesce(max(entry), 0) FROM leaves))";

export function toSource(connection: Connection): Source {
  const statements = new Map<string, Statement>();
  return {
    async query(sql, ...values) {
      const statement = statements.get(sql) ?? connection.prepare(sql);
      statements.set(sql, statement);
      return statement.all(...values);
    },
    unplaced: afterLastPlaced,
    gapless: true,
  };
}
