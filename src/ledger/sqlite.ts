/** The ledger and the made state in one SQLite file: the embedded default. */
import { constants } from "node:fs";
import { access, open } from "node:fs/promises";
import { dirname } from "node:path";
import { Refusal } from "../errors.ts";
import { type Connection, openConnection, type Sync, type Write } from "./connection.ts";
import type { Database } from "./database.ts";
import { openState } from "./made-state.ts";
import { createMarks } from "./mark.ts";
import { createReader } from "./reader.ts";
import { migrate } from "./schema.ts";
import { type Sequencer, startSequencer } from "./sequencer.ts";
import { countUnplaced, toSource } from "./source.ts";
import { toStage } from "./sqlite-stage.ts";
import { verifyLedger } from "./verify.ts";
import { recordDelayMs, startWriter } from "./writer.ts";

export interface SqliteConfig {
  readonly path: string;
  readonly now: () => Date;
  /** Makes the file when it is missing. Only a verb that an operator types says so. */
  readonly create: boolean;
  /** How long a signature waits for another durable write. Default 20. */
  readonly recordDelayMs?: number;
  /** How long a write waits for another process's. Default 5000. */
  readonly busyTimeoutMs?: number;
  /** Stands around every commit; for tests that make one fail. */
  readonly write?: Write;
  /** Makes what was committed durable; for tests that make it fail. */
  readonly sync?: Sync;
}

/** @throws Refusal `config` when there is no ledger, or one this binary must not touch; `unavailable` otherwise. */
export async function openSqlite(config: SqliteConfig): Promise<Database> {
  await prepareFile(config.path, config.create);
  const { path, write, sync, busyTimeoutMs: timeout } = config;
  const connection = openConnection(path, { write, sync, timeout });
  try {
    migrate(connection, config.create, config.now());
    // A process before this one may have ended at a sync that failed, and nobody reads a log beyond its first hole.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)");
    return assemble(connection, config);
  } catch (error) {
    connection.close();
    throw error;
  }
}

function assemble(connection: Connection, config: SqliteConfig): Database {
  const { now } = config;
  const source = toSource(connection);
  const writer = startWriter(connection, now, config.recordDelayMs ?? recordDelayMs);
  const marks = createMarks(source);
  const sequencers: Sequencer[] = [];
  let closed = false;
  return {
    ledger: {
      intend: writer.intend,
      record: writer.record,
      ...createReader(source),
      verify: (log, check) => verifyLedger(source, log, check),
    },
    state: openState(toStage(connection), now),
    marks: {
      ...marks,
      newest: async () => {
        const mark = await marks.newest();
        // It is remembered outside of the database, which must not come to lack it.
        await connection.sync();
        return mark;
      },
    },
    async startSequencer(signer, options) {
      const sequencer = await startSequencer(connection, now, signer, options);
      sequencers.push(sequencer);
      return sequencer;
    },
    counts: () => writer.counts(),
    unplaced: () => countUnplaced(source),
    clockAheadSeconds: () => 0,
    follow: () => ({ behindMs: () => 0, [Symbol.asyncDispose]: () => Promise.resolve() }),
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      await writer.close();
      for (const sequencer of sequencers) await sequencer[Symbol.asyncDispose]();
      connection.close();
    },
  };
}

async function prepareFile(path: string, create: boolean): Promise<void> {
  if (!create) {
    await access(path, constants.F_OK).catch((cause: unknown) => {
      throw new Refusal("config", `there is no ledger in ${path}: run "espalier init"`, { cause });
    });
    return;
  }
  // If we stop after this, an empty file is left, which only a `create` opens. SQLite gives its other files this mode too.
  await using file = await open(path, constants.O_CREAT | constants.O_RDWR, 0o600).catch((cause: unknown) => {
    throw new Refusal("unavailable", `${path} cannot be made`, { cause });
  });
  await file.sync();
  await using directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  await directory.sync();
}
