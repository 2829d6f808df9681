/**
 * The one owner of node:sqlite. Every durable write goes through `transact`, or through `stage` and then `sync`, has a name, and
 * either happened or is a Refusal `unavailable`; after one, the next write starts afresh.
 */
import { closeSync, fdatasync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { Refusal } from "../errors.ts";
import type { Row, Value } from "./rows.ts";

/** The closed list of durable writes. */
export type WriteName = "migrate" | "epoch" | "intend" | "record" | "place" | "head" | "state";

/** Runs a commit. Tests hand in one that fails before or after it: lost, or kept and reported lost. */
export type Write = (name: WriteName, commit: () => void) => void;

/** Makes the file behind a descriptor durable. Tests hand in one that fails. */
export type Sync = (file: number) => Promise<void>;

export interface Statement {
  get(...values: readonly Value[]): Row | undefined;
  all(...values: readonly Value[]): readonly Row[];
  /** The row id of the last insert, or how many rows changed. */
  run(...values: readonly Value[]): { readonly id: number; readonly changes: number };
}

export interface Connection {
  prepare(sql: string): Statement;
  /** Several statements without parameters. */
  execute(sql: string): void;
  /** `BEGIN IMMEDIATE`: nobody else writes meanwhile. A Refusal or any error in `work` undoes all of it. Durable when it returns. */
  transact<T>(name: WriteName, work: () => T): T;
  /** The same, and durable only with the next `sync` or `transact`: until then nobody may rely on it but what is written after it. */
  stage<T>(name: WriteName, work: () => T): T;
  /** Makes durable what was staged before, beside the event loop. @throws Refusal `unavailable`: it may be lost, and it may be there. */
  sync(): Promise<void>;
  /** One view of the database for several reads. */
  read<T>(work: () => T): T;
  close(): void;
}

/** How long a write waits for another process's, in milliseconds. */
const busyTimeoutMs = 5000;
/** Pages kept in memory, in KiB: the upper levels of the serial index of millions of certificates. */
const cacheKib = 16_384;
/**
 * Of a new file, in bytes. A certificate takes 1.3 KiB: on SQLite's 4 KiB a third of each page would be left over; on 16 KiB a
 * batch of four would write half as much again.
 */
const pageBytes = 8192;
/** The log is copied into the file at this length, in pages: longer is cheaper by certificate, and a longer pause. */
const checkpointPages = 1000;

export interface ConnectionOptions {
  readonly write?: Write | undefined;
  readonly sync?: Sync | undefined;
  /** How long a write waits for another process's, in milliseconds. Default 5000. */
  readonly timeout?: number | undefined;
  /** Nobody else may have it open meanwhile. */
  readonly exclusive?: boolean;
}

const syncData: Sync = (file) =>
  new Promise((resolve, reject) => fdatasync(file, (error) => (error === null ? resolve() : reject(error))));

/** Opens a file that exists. @throws Refusal `unavailable` or, when it is no database, `config`. */
export function openConnection(
  path: string,
  {
    write = (_, commit) => commit(),
    sync = syncData,
    timeout = busyTimeoutMs,
    exclusive = false,
  }: ConnectionOptions = {},
): Connection {
  const database = translated(() => new DatabaseSync(path, { timeout }));
  try {
    if (exclusive) translated(() => database.exec("PRAGMA locking_mode = EXCLUSIVE"));
    translated(() =>
      database.exec(
        `PRAGMA page_size = ${pageBytes}; PRAGMA wal_autocheckpoint = ${checkpointPages}; PRAGMA cache_size = -${cacheKib}`,
      ),
    );
    const mode = translated(() => database.prepare("PRAGMA journal_mode = WAL").get())?.["journal_mode"];
    // Where shared memory does not work, as on NFS, SQLite stays in another mode and two processes could both write.
    if (mode !== "wal") throw new Refusal("config", `${path} is on a file system that SQLite's WAL does not work on`);
  } catch (error) {
    database.close();
    throw error;
  }
  const log = openLog(database, sync);
  const alter = <T>(level: Level, name: WriteName, work: () => T): T => {
    rollBackLeftOver(database);
    log.expect(level);
    return transact(database, "BEGIN IMMEDIATE", work, (commit) => log.take(() => write(name, commit)));
  };
  return {
    prepare: (sql) => prepare(database, sql),
    execute: (sql) => translated(() => database.exec(sql)),
    transact: (name, work) => alter("FULL", name, work),
    stage: (name, work) => alter("NORMAL", name, work),
    sync: () => log.sync(),
    read: (work) => {
      rollBackLeftOver(database);
      return transact(database, "BEGIN", work, (commit) => commit());
    },
    close: () => {
      log.close();
      database.close();
    },
  };
}

/** What a commit does itself: no more than to be in the log, or to sync it, too. */
type Level = "NORMAL" | "FULL";

/** SQLite's write-ahead log, and when it is durable. */
interface Log {
  /** Of the next commit. @throws Refusal `unavailable` while nothing may be written behind a sync that has failed. */
  expect(level: Level): void;
  /** A commit. One that failed may have been a sync, of what was staged before it, too. */
  take(commit: () => void): void;
  sync(): Promise<void>;
  close(): void;
}

/**
 * NORMAL leaves out one thing of FULL: the sync of the log behind each commit (https://www.sqlite.org/pragma.html#pragma_synchronous). Who
 * syncs the log before relying on a commit has FULL, and the event loop is free meanwhile. SQLite itself syncs by fsync, which waits for
 * the file system's journal, too; a log that is written again from its beginning has its place already.
 */
function openLog(database: DatabaseSync, syncFile: Sync): Log {
  let file: number | undefined;
  let level = "";
  let suspect = false;
  const set = (next: Level): void => {
    if (level !== next) database.exec(`PRAGMA synchronous = ${next}`);
    level = next;
  };
  return {
    expect: (next) => {
      translated(() => {
        set(suspect ? "FULL" : next);
        if (suspect) restart(database);
        suspect = false;
        set(next);
      });
    },
    take: (commit) => {
      suspect = true;
      commit();
      suspect = false;
    },
    sync: async () => {
      try {
        // SQLite keeps this one file as long as the database is open.
        file ??= openSync(`${database.location()}-wal`, "r");
        await syncFile(file);
      } catch (cause) {
        suspect = true;
        throw new Refusal("unavailable", "the disk did not take a write", { cause });
      }
    },
    close: () => {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

/**
 * Where a sync has failed, the system may have forgotten what it could not write, and nobody reads a log beyond its first hole. So all of
 * it goes into the database's own file, which is synced, and the log begins anew.
 */
function restart(database: DatabaseSync): void {
  const row = database.prepare("PRAGMA wal_checkpoint(RESTART)").get();
  if (row?.["busy"] !== 0)
    throw new Refusal("unavailable", "the disk did not take a write, and somebody reads the log of then");
}

/** Whether a row was refused because another has the same unique key. */
export function isUniqueViolation(error: unknown): boolean {
  return [uniqueViolation, primaryKeyViolation].includes(codeOf(error));
}

/** Whether one statement was refused for what it said; the transaction around it goes on. */
export function isConstraintViolation(error: unknown): boolean {
  return (codeOf(error) & 0xff) === constraint;
}

function prepare(database: DatabaseSync, sql: string): Statement {
  const statement = translated(() => database.prepare(sql));
  return {
    get: (...values) => translated(() => statement.get(...values)),
    all: (...values) => translated(() => statement.all(...values)),
    run: (...values) =>
      translated(() => {
        const { lastInsertRowid, changes } = statement.run(...values);
        return { id: Number(lastInsertRowid), changes: Number(changes) };
      }),
  };
}

function transact<T>(database: DatabaseSync, begin: string, work: () => T, write: (commit: () => void) => void): T {
  translated(() => database.exec(begin));
  try {
    const result = work();
    commit(database, write);
    return result;
  } catch (error) {
    rollback(database);
    throw error;
  }
}

/** There is one only when an earlier rollback failed, as on a disk that was away. */
function rollBackLeftOver(database: DatabaseSync): void {
  if (database.isOpen && database.isTransaction) translated(() => database.exec("ROLLBACK"));
}

/** Whatever goes wrong here, nobody may rely on the write: it may be lost, and it may be there. */
function commit(database: DatabaseSync, write: (commit: () => void) => void): void {
  try {
    write(() => database.exec("COMMIT"));
  } catch (cause) {
    throw new Refusal("unavailable", "the database did not take a write", { cause });
  }
}

function rollback(database: DatabaseSync): void {
  try {
    if (database.isOpen && database.isTransaction) database.exec("ROLLBACK");
  } catch {
    // The error that led here says more, and the next transaction tries again.
  }
}

function translated<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (isClosed(cause)) throw new Refusal("unavailable", "the database is closed", { cause });
    const code = codeOf(cause) & 0xff;
    if (code === notADatabase) throw new Refusal("config", "the file is not a SQLite database", { cause });
    if (code === 0 || ourMistakes.has(code)) throw cause;
    throw new Refusal("unavailable", "the database cannot be used now", { cause });
  }
}

// https://www.sqlite.org/rescode.html
const uniqueViolation = 2067;
const primaryKeyViolation = 1555;
const constraint = 19;
const notADatabase = 26;
/** ERROR, TOOBIG, CONSTRAINT, MISMATCH, MISUSE, RANGE: the disk is well, the statement is not. */
const ourMistakes: ReadonlySet<number> = new Set([1, 18, constraint, 20, 21, 25]);

function codeOf(error: unknown): number {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : 0;
}

function isClosed(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_INVALID_STATE";
}
