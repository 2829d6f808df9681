/** How a ledger's database is, for whoever operates it. */
import { readHead } from "./head.ts";
import { toTime } from "./octets.ts";
import type { Pool } from "./postgres-pool.ts";
import { blob, integer, optionalText, text } from "./rows.ts";
import type { Source } from "./source.ts";

export interface LedgerStatus {
  readonly kind: string;
  readonly schema: number;
  readonly entries: number;
  /** Entries that wait for a position. */
  readonly unplaced: number;
  /** Intents without a signature. */
  readonly unrecorded: number;
  readonly heads: number;
  /** When the newest head was signed; empty before the first. */
  readonly newestHead: string;
  readonly epoch: number;
}

export async function readLedgerStatus(source: Source): Promise<Omit<LedgerStatus, "kind">> {
  const [row] = await source.query(
    `SELECT (SELECT count(*) FROM migrations) AS schema, (SELECT count(*) FROM entries) AS entries,
       (SELECT count(*) FROM ${source.unplaced} u) AS unplaced,
       (SELECT count(*) FROM entries WHERE kind = 'intent') - (SELECT count(*) FROM signatures) AS unrecorded,
       (SELECT count(*) FROM heads) AS heads, (SELECT epoch FROM epochs) AS epoch`,
  );
  const [head] = await source.query("SELECT body FROM heads ORDER BY id DESC LIMIT 1");
  if (row === undefined) throw new Error("the database answers nothing");
  return {
    schema: integer(row, "schema"),
    entries: integer(row, "entries"),
    unplaced: integer(row, "unplaced"),
    unrecorded: integer(row, "unrecorded"),
    heads: integer(row, "heads"),
    newestHead: head === undefined ? "" : toTime(readHead(blob(head, "body")).time),
    epoch: integer(row, "epoch"),
  };
}

export interface Leader {
  readonly kind: string;
  /** Who puts entries in order, and how long ago it last said so; empty and missing when nobody does. */
  readonly leader: string;
  readonly leaderSilentSeconds?: number;
  /** What commits wait for; empty for nothing. */
  readonly standbys: string;
}

export async function readLeader(pool: Pool): Promise<Leader> {
  const [row] = await pool.query(
    `SELECT holder, current_setting('server_version') AS version, current_setting('synchronous_standby_names') AS standbys,
       CASE WHEN seen_at = '-infinity' THEN -1
         ELSE floor(extract(epoch FROM clock_timestamp() - seen_at)) END::bigint AS silent FROM epochs`,
  );
  if (row === undefined) throw new Error("the database has no epoch");
  const silent = integer(row, "silent");
  return {
    kind: `PostgreSQL ${text(row, "version")}`,
    leader: silent < 0 ? "" : (optionalText(row, "holder") ?? ""),
    ...(silent < 0 ? {} : { leaderSilentSeconds: silent }),
    standbys: text(row, "standbys"),
  };
}
