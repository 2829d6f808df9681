/**
 * Group commit over a network: while some writes are on their way, drafts gather for the next, and signatures go on a way
 * of their own. Replicas write beside one another; only what has one idempotency key waits for the other.
 */
import { Refusal } from "../errors.ts";
import { type Encoded, readSuspensions } from "./intents.ts";
import type { Intended, Intent, Ledger } from "./ledger.ts";
import { sameBytes } from "./octets.ts";
import { type DraftAnswer, intendDrafts, recordSignatures } from "./postgres-intents.ts";
import { type Pool, postgresLocks } from "./postgres-pool.ts";
import { blob } from "./rows.ts";
import { type Answer, type Call, openWaiting, settle } from "./waiting.ts";
import { closeAttempts, recordsPerWriteMax, recordsQueuedMax, retryMsMax, type WriterCounts } from "./writer.ts";

export interface PostgresWriter extends Pick<Ledger, "intend" | "record"> {
  counts(): WriterCounts;
  /** Writes everything that waits; later calls are refused. */
  close(): Promise<void>;
}

/** Transactions with drafts that are on their way at once: more wait less and hold fewer drafts each. */
const writesMax = 3;

export function startPostgresWriter(pool: Pool, now: () => Date, delayMs: number): PostgresWriter {
  const counts = { recordsRetried: 0, recordsDropped: 0, failedWrites: 0 };
  const waiting = openWaiting(now, schedule);
  const writing = new Set<Promise<void>>();
  let flushing: NodeJS.Immediate | undefined;
  let closed = false;
  let promised: (Encoded & { readonly id: number }) | undefined;
  const records = startRecords(pool, delayMs, counts);

  async function write(group: readonly Call[]): Promise<void> {
    try {
      const drafts = group.flatMap((call) => call.drafts);
      // If we stop before this commits, none of these drafts was promised to anybody. After it, they are intents nobody has
      // signed yet: they count as live.
      const answers = await pool.transact(
        "intend",
        (transaction, suspensions) => intendDrafts(transaction, suspensions, drafts),
        { lock: postgresLocks.intents, read: readSuspensions },
      );
      for (const [index, answer] of answers.entries()) {
        const draft = drafts[index];
        if (!(answer instanceof Error) && answer.kind === "intent" && draft !== undefined)
          promised = { ...draft, id: answer.intent.id };
      }
      let from = 0;
      for (const call of group) settle(call, toAnswer(answers.slice(from, (from += call.drafts.length))));
    } catch (error) {
      counts.failedWrites += 1;
      // A draft that the database cannot hold is its own call's, and not that of those it was written with.
      if (group.length > 1 && !(error instanceof Refusal)) for (const call of group) await write([call]);
      else for (const call of group) call.reject(error);
    }
  }

  function flush(): void {
    flushing = undefined;
    const group = waiting.take();
    const written = write(group).finally(() => {
      writing.delete(written);
      schedule();
    });
    writing.add(written);
    schedule();
  }

  function schedule(): void {
    if (waiting.calls() > 0 && writing.size < writesMax) flushing ??= setImmediate(flush);
  }

  // After a failover to a server that did not have everything, nothing is written until somebody has seen to it.
  pool.expect(async (transaction) => {
    const last = promised;
    if (last === undefined) return;
    const [row] = await transaction.query("SELECT leaf_hash FROM entries WHERE id = $1", last.id);
    if (row !== undefined && sameBytes(blob(row, "leaf_hash"), last.leafHash)) return;
    throw new Refusal("unavailable", `the database has lost entry ${last.id}, which was promised: it is an older copy`);
  });

  return {
    intend: waiting.intend,

    record(intent, signature) {
      if (closed) counts.recordsDropped += 1;
      else records.add(intent, signature);
    },

    counts: () => ({ ...counts, recordsQueued: records.queued() }),

    async close() {
      closed = true;
      waiting.close();
      while (waiting.calls() > 0 || writing.size > 0) {
        if (waiting.calls() > 0) flush();
        await Promise.all(writing);
      }
      clearImmediate(flushing);
      await records.close();
    },
  };
}

interface Records {
  add(intent: Intent, signature: Uint8Array): void;
  queued(): number;
  close(): Promise<void>;
}

/** Signatures go behind their replies: what waits for `delayMs` is one write, and one that failed is tried again. */
function startRecords(
  pool: Pool,
  delayMs: number,
  counts: { recordsRetried: number; recordsDropped: number; failedWrites: number },
): Records {
  let waiting: { readonly entry: number; readonly signature: Uint8Array }[] = [];
  let retryMs = delayMs;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let running: Promise<boolean> = Promise.resolve(true);

  async function write(): Promise<boolean> {
    const group = waiting.slice(0, recordsPerWriteMax);
    if (group.length === 0) return true;
    try {
      // If we stop before this commits, the intents stay unrecorded and count as live.
      counts.recordsDropped += await pool.transact("record", (transaction) =>
        recordSignatures(
          transaction,
          group.map(({ entry }) => entry),
          group.map(({ signature }) => signature),
        ),
      );
      waiting = waiting.slice(group.length);
      retryMs = delayMs;
      return true;
    } catch {
      // Counted. Until the database takes them again they are tried at longer and longer intervals.
      counts.failedWrites += 1;
      counts.recordsRetried += 1;
      retryMs = Math.min(retryMs * 2, retryMsMax);
      return false;
    }
  }

  function schedule(): void {
    if (waiting.length === 0 || closed) return;
    timer ??= setTimeout(() => {
      running = write().finally(() => {
        timer = undefined;
        schedule();
      });
    }, retryMs);
  }

  return {
    add(intent, signature) {
      if (waiting.length >= recordsQueuedMax) counts.recordsDropped += 1;
      else waiting.push({ entry: intent.id, signature });
      schedule();
    },
    queued: () => waiting.length,
    async close() {
      closed = true;
      clearTimeout(timer);
      await running;
      for (let failures = 0; waiting.length > 0 && failures < closeAttempts; ) if (!(await write())) failures += 1;
      counts.recordsDropped += waiting.length;
      waiting = [];
    },
  };
}

/** The first error of a call's drafts is the call's. The drafts around it stay written: unsigned, they harm nobody. */
function toAnswer(answers: readonly DraftAnswer[]): Answer {
  const intended: Intended[] = [];
  for (const answer of answers) {
    if (answer instanceof Error) return answer;
    intended.push(answer);
  }
  return intended;
}
