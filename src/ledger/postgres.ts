/** The ledger and the made state in PostgreSQL: for several issuers at once, and for a database that outlives a machine. */
import { setTimeout } from "node:timers/promises";
import { Refusal } from "../errors.ts";
import type { Database, Following } from "./database.ts";
import { openState } from "./made-state.ts";
import { createMarks } from "./mark.ts";
import { openPool, type Pool, type PostgresConfig, type PostgresWrite, postgresLocks } from "./postgres-pool.ts";
import { migratePostgres } from "./postgres-schema.ts";
import { startPostgresSequencer } from "./postgres-sequencer.ts";
import { startPostgresWriter } from "./postgres-writer.ts";
import { createReader } from "./reader.ts";
import { integer } from "./rows.ts";
import type { Sequencer } from "./sequencer.ts";
import { countUnplaced } from "./source.ts";
import { runStepsAsync, type Stage } from "./steps.ts";
import { verifyLedger } from "./verify.ts";
import { recordDelayMs } from "./writer.ts";

export interface PostgresOptions {
  readonly connection: PostgresConfig;
  readonly now: () => Date;
  /** Makes the tables when there are none. Only a verb that an operator types says so. */
  readonly create: boolean;
  /** What this replica is called where the leader is shown. */
  readonly holder: string;
  /** How long a signature waits for others. Default 20. */
  readonly recordDelayMs?: number;
  /** After how much silence another can lead. Default `silenceMsMax`. */
  readonly silenceMs?: number;
  /** How often the changes of other replicas are looked for. Default 1000. */
  readonly followMs?: number;
  /** Stands around every commit; for tests that make one fail. */
  readonly write?: PostgresWrite;
}

/** @throws Refusal `config` when there is no ledger, or one this binary must not touch; `unavailable` otherwise, with the reason. */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { connection, now, create, write } = options;
  const pool = openPool(connection, now, write);
  try {
    await migratePostgres(pool, create, now());
    const [copying] = await pool.query("SELECT source FROM copying");
    if (copying !== undefined)
      throw new Refusal("config", 'a copy into this database is not finished: run "espalier db migrate" again');
    return assemble(pool, options);
  } catch (error) {
    await pool.close();
    throw explained(error);
  }
}

function assemble(pool: Pool, options: PostgresOptions): Database {
  const { now, holder, silenceMs, followMs = 1000 } = options;
  const writer = startPostgresWriter(pool, now, options.recordDelayMs ?? recordDelayMs);
  const stage = toStage(pool);
  const sequencers: Sequencer[] = [];
  let closed = false;
  return {
    ledger: {
      intend: writer.intend,
      record: writer.record,
      ...createReader(pool.source),
      verify: (log, check) => verifyLedger(pool.source, log, check),
    },
    state: openState(stage, now),
    marks: createMarks(pool.source),
    async startSequencer(signer, sequencing) {
      const sequencer = await startPostgresSequencer(pool, now, signer, holder, sequencing, silenceMs);
      sequencers.push(sequencer);
      return sequencer;
    },
    counts: () => writer.counts(),
    unplaced: () => countUnplaced(pool.source),
    clockAheadSeconds: () => pool.clockAheadMs() / 1000,
    follow: (changed) => followChanges(pool, changed, followMs),
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      await writer.close();
      for (const sequencer of sequencers) await sequencer[Symbol.asyncDispose]();
      await pool.close();
    },
  };
}

function toStage(pool: Pool): Stage {
  return {
    query: (sql, ...values) => pool.source.query(sql, ...values),
    write: (steps, holdsIntents = false) =>
      pool.transact(
        "state",
        async (transaction) => {
          const result = await runStepsAsync(steps, (step) => transaction.step(step));
          await transaction.query("UPDATE changes SET version = version + 1");
          return result;
        },
        { lock: holdsIntents ? postgresLocks.stateAndIntents : postgresLocks.state },
      ),
  };
}

/** Before a failed call is made again. It is never passed over: what changed may be what was taken away. */
const failedIntervals = 10;

/**
 * Calls at once, for what was written since the caller has read, and after made state was written, by whatever replica; again, and
 * again, where the call fails. While the database is away from here, what others write to it is not known.
 */
function followChanges(pool: Pool, changed: () => Promise<void>, intervalMs: number): Following {
  let known: number | undefined;
  let upToDateMs = performance.now();
  const closing = new AbortController();
  async function follow(): Promise<void> {
    while (!closing.signal.aborted) {
      const lookedMs = performance.now();
      const [row] = await pool.query("SELECT version FROM changes").catch(() => []);
      const version = row === undefined ? known : integer(row, "version");
      const isTaken = version === known || (await succeeds(changed));
      if (isTaken) known = version;
      if (isTaken && row !== undefined) upToDateMs = lookedMs;
      await setTimeout(isTaken ? intervalMs : intervalMs * failedIntervals, undefined, closing).catch(() => undefined);
    }
  }
  const following = follow();
  return {
    behindMs: () => performance.now() - upToDateMs,
    async [Symbol.asyncDispose]() {
      closing.abort();
      await following;
    },
  };
}

/** Whoever is called says itself why not. */
async function succeeds(work: () => Promise<void>): Promise<boolean> {
  return await work().then(
    () => true,
    () => false,
  );
}

/** An operator who starts something is told what the server said. */
export function explained(error: unknown): unknown {
  if (!(error instanceof Refusal)) return error;
  const cause = error.cause instanceof Error ? error.cause : undefined;
  if (cause === undefined) return error;
  const state = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  // Invalid authorization, no such database: waiting does not help.
  const code = state.startsWith("28") || state === "3D000" ? "config" : error.code;
  return new Refusal(code, `${error.message}: ${cause.message}`, { cause });
}
