/** What an operator asks of the database itself: how it is, and to move from a file to a server. No issuer has to run. */
import { rename } from "node:fs/promises";
import { Refusal } from "../errors.ts";
import { type Connection, openConnection } from "../ledger/connection.ts";
import { type CopyProgress, copyLedger, countRows, isCopied } from "../ledger/copy.ts";
import { type Act, hubLog, type LogReport } from "../ledger/ledger.ts";
import { explained, openPostgres } from "../ledger/postgres.ts";
import { openPool, type Pool } from "../ledger/postgres-pool.ts";
import { migratePostgres } from "../ledger/postgres-schema.ts";
import { blob, type Row } from "../ledger/rows.ts";
import { migrate } from "../ledger/schema.ts";
import { toSource } from "../ledger/source.ts";
import { type Leader, type LedgerStatus, readLeader, readLedgerStatus } from "../ledger/status.ts";
import type { IssuerConfig } from "../ops/config.ts";
import { isPostgres } from "../ops/database-config.ts";
import { type DatabaseConfig, openDatabase, toPostgresConfig } from "./database.ts";
import { highWaterFile, readLost, toText } from "./high-water.ts";

export type DatabaseStatus = LedgerStatus | (LedgerStatus & Leader);

/** @throws Refusal when it cannot be used, with the reason. */
export async function readDatabaseStatus(config: DatabaseConfig, now: () => Date): Promise<DatabaseStatus> {
  if (!isPostgres(config.database)) {
    const connection = openConnection(config.database);
    try {
      migrate(connection, false, now());
      return { kind: "SQLite", ...(await readLedgerStatus(toSource(connection))) };
    } finally {
      connection.close();
    }
  }
  return await withPool(config, now, async (pool) => {
    const status = await readLedgerStatus(pool.source);
    return { ...(await readLeader(pool)), ...status };
  });
}

export interface Adopted {
  /** What is given up. */
  readonly lost: string;
  /** The newest entry that is there; 0 for none. */
  readonly newest: number;
}

/** Far above any epoch that the lost history can have taken after it was last looked at. */
const epochsAhead = 1000;

/**
 * Goes on with a database that lacks what an issuer remembers of it, deliberately: with an act that says so.
 * @throws Refusal `not-ready` when it lacks nothing.
 */
export async function adoptDatabase(
  config: DatabaseConfig & Pick<IssuerConfig, "highWater" | "adminSocket">,
  by: Pick<Act, "operator" | "reason">,
  now: () => Date,
  dryRun: boolean,
): Promise<Adopted> {
  const file = highWaterFile(config);
  await using database = await openDatabase(config, { now, create: false });
  const lost = await readLost(file, database.marks);
  if (lost === undefined)
    throw new Refusal("not-ready", `the database has all that ${file} remembers: nothing is to be given up`);
  const adopted = { lost: toText(lost), newest: (await database.marks.newest())?.entry ?? 0 };
  if (dryRun) return adopted;
  const details = { ...adopted, newest: String(adopted.newest) };
  // If we stop before this commits, every start is refused as before.
  await database.state.adopt(now(), lost.epoch + epochsAhead, { log: hubLog, verb: "adopt-database", ...by, details });
  return adopted;
}

export type MoveStep =
  | { readonly kind: "would copy" | "copied"; readonly progress: CopyProgress }
  | { readonly kind: "was there already" }
  | { readonly kind: "verified"; readonly report: LogReport }
  | { readonly kind: "renamed"; readonly path: string };

/**
 * Copies the ledger of a SQLite file into the server of the configuration, verifies it there and puts the file aside. Can be
 * repeated at any point. @throws Refusal `unavailable` while somebody uses the file; `config` when another ledger is there.
 */
export async function* moveDatabase(
  from: string,
  config: DatabaseConfig,
  now: () => Date,
  dryRun: boolean,
): AsyncGenerator<MoveStep> {
  if (!isPostgres(config.database))
    throw new Refusal(
      "config",
      "the configuration's database is a file: name the server that the ledger is to move to",
    );
  const source = openExclusively(from);
  let head: Uint8Array | undefined;
  try {
    migrate(source, false, now());
    if (dryRun) {
      for (const progress of countRows(source)) yield { kind: "would copy", progress };
      return;
    }
    yield* copyInto(config, now, source);
    head = newestHead(source.prepare("SELECT body FROM heads ORDER BY id DESC LIMIT 1").all());
  } finally {
    source.close();
  }
  yield* verifyThere(config, now, head);
  // If we stop before this, the file is still there and the same verb only does this. An issuer must not start on it again.
  const aside = `${from}.moved`;
  await rename(from, aside);
  yield { kind: "renamed", path: aside };
}

function openExclusively(path: string): Connection {
  try {
    return openConnection(path, { timeout: 1000, exclusive: true });
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== "unavailable") throw error;
    throw new Refusal("unavailable", `${path} is in use, or cannot be read: stop its issuer first`, { cause: error });
  }
}

async function* copyInto(config: DatabaseConfig, now: () => Date, source: Connection): AsyncGenerator<MoveStep> {
  const pool = openPool(await toPostgresConfig(config), now);
  try {
    await migratePostgres(pool, true, now());
    if (await isCopied(source, pool)) yield { kind: "was there already" };
    else for await (const progress of copyLedger(source, pool)) yield { kind: "copied", progress };
  } catch (error) {
    throw explained(error);
  } finally {
    await pool.close();
  }
}

/** Everything is computed again from what the server holds, and it has the same newest head. */
async function* verifyThere(
  config: DatabaseConfig,
  now: () => Date,
  head: Uint8Array | undefined,
): AsyncGenerator<MoveStep> {
  const connection = await toPostgresConfig(config);
  await using database = await openPostgres({ connection, now, create: false, holder: "" });
  for await (const report of database.ledger.verify()) {
    if (report.faults.length > 0)
      throw new Refusal("not-ready", `the copy does not hold: ${report.log}: ${report.faults.join("; ")}`);
    if (report.done) yield { kind: "verified", report };
  }
  const copied = await withPool(config, now, async (pool) =>
    newestHead(await pool.query("SELECT body FROM heads ORDER BY id DESC LIMIT 1")),
  );
  if (Buffer.compare(copied ?? new Uint8Array(), head ?? new Uint8Array()) !== 0)
    throw new Refusal("not-ready", "the copy has another newest head");
}

function newestHead([row]: readonly Row[]): Uint8Array | undefined {
  return row === undefined ? undefined : blob(row, "body");
}

async function withPool<T>(config: DatabaseConfig, now: () => Date, use: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = openPool(await toPostgresConfig(config), now);
  try {
    return await use(pool);
  } catch (error) {
    throw explained(error);
  } finally {
    await pool.close();
  }
}
