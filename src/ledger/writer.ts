/**
 * Group commit. All drafts that wait when the event loop has read its sockets go into one transaction, with the
 * signatures recorded since; one sync answers them all. It goes on beside the event loop, and what comes meanwhile shares the next.
 */
import type { Connection } from "./connection.ts";
import { type Encoded, type IntentStatements, prepareIntents } from "./intents.ts";
import type { Intended, Ledger } from "./ledger.ts";
import { type Answer, type Call, openWaiting, settle } from "./waiting.ts";

/** How long a signature waits for the next durable write before it gets one of its own. */
export const recordDelayMs = 20;
export const recordsPerWriteMax = 1024;
/** What one turn of the event loop writes, and another then signs: a few milliseconds each, in which nobody else is served. */
const draftsPerTurn = 64;
/** Signatures that may wait while the disk is full; more are dropped, which leaves their intents unrecorded. */
export const recordsQueuedMax = 65_536;
export const retryMsMax = 5000;
/** How often a close tries to write what still waits. */
export const closeAttempts = 3;

export interface WriterCounts {
  readonly recordsQueued: number;
  /** Writes of signatures that failed and were, or will be, tried again. */
  readonly recordsRetried: number;
  /** Signatures that were given up; their intents stay unrecorded. */
  readonly recordsDropped: number;
  readonly failedWrites: number;
}

export interface Writer extends Pick<Ledger, "intend" | "record"> {
  counts(): WriterCounts;
  /** Writes everything that waits; later calls are refused. */
  close(): Promise<void>;
}

interface RecordedSignature {
  readonly entry: number;
  readonly signature: Uint8Array;
}

export function startWriter(connection: Connection, now: () => Date, delayMs = recordDelayMs): Writer {
  const statements = prepareIntents(connection);
  const waiting = openWaiting(now, schedule);
  const counts = { recordsRetried: 0, recordsDropped: 0, failedWrites: 0 };
  let records: RecordedSignature[] = [];
  let retryMs = delayMs;
  let flushing: NodeJS.Immediate | undefined;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;
  let closed = false;

  /** One durable write; its answers are those of the calls, in order. */
  async function write(name: "intend" | "record", group: readonly Call[]): Promise<readonly Answer[]> {
    const written = records.slice(0, recordsPerWriteMax);
    let missing = 0;
    try {
      // If we stop before this is durable, none of these drafts was promised to anybody and the signatures' intents stay
      // unrecorded. After it, the drafts are intents nobody has signed yet: they count as live.
      const answers = connection.stage(name, () => {
        for (const { entry, signature } of written) if (!statements.record(entry, signature)) missing += 1;
        const suspended = group.length === 0 ? new Set<string>() : statements.suspended();
        return group.map(({ drafts }) => intendAll(statements, drafts, suspended));
      });
      await connection.sync();
      records = records.slice(written.length);
      // Those that come from now on wait their whole time for another write to go with.
      clearTimeout(timer);
      timer = undefined;
      counts.recordsDropped += missing;
      retryMs = delayMs;
      return answers;
    } catch (error) {
      counts.failedWrites += 1;
      if (written.length > 0) counts.recordsRetried += 1;
      throw error;
    }
  }

  async function flush(): Promise<void> {
    const group = waiting.take(draftsPerTurn);
    try {
      const answers = await write("intend", group);
      for (const [index, call] of group.entries()) settle(call, answers[index]);
    } catch (error) {
      for (const call of group) call.reject(error);
    }
  }

  async function flushRecords(): Promise<void> {
    try {
      if (records.length > 0) await write("record", []);
    } catch {
      // Counted. Until the disk takes them again they are tried at longer and longer intervals.
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }

  /** One after the other: of two whose time has come at once, the second is scheduled again behind the first. */
  function run(work: () => Promise<void>): void {
    if (writing !== undefined) return;
    writing = work().finally(() => {
      writing = undefined;
      schedule();
    });
  }

  function schedule(): void {
    if (closed || writing !== undefined) return;
    if (waiting.calls() > 0)
      flushing ??= setImmediate(() => {
        flushing = undefined;
        run(flush);
      });
    if (records.length > 0)
      timer ??= setTimeout(() => {
        timer = undefined;
        run(flushRecords);
      }, retryMs);
  }

  return {
    intend: waiting.intend,

    record(intent, signature) {
      if (closed || records.length >= recordsQueuedMax) {
        counts.recordsDropped += 1;
        return;
      }
      records.push({ entry: intent.id, signature });
      schedule();
    },

    counts: () => ({ ...counts, recordsQueued: records.length }),

    async close() {
      closed = true;
      waiting.close();
      clearImmediate(flushing);
      clearTimeout(timer);
      await writing;
      while (waiting.calls() > 0) await flush();
      for (let failures = 0; records.length > 0 && failures < closeAttempts; ) {
        try {
          await write("record", []);
        } catch {
          failures += 1;
        }
      }
      counts.recordsDropped += records.length;
      records = [];
    },
  };
}

/** An error is one draft's, and then its call's. The drafts around it stay written: unsigned, they harm nobody. */
function intendAll(statements: IntentStatements, drafts: readonly Encoded[], suspended: ReadonlySet<string>): Answer {
  const answers: Intended[] = [];
  let failed: Error | undefined;
  for (const draft of drafts) {
    const answer = statements.intend(draft, suspended);
    if (answer instanceof Error) failed ??= answer;
    else answers.push(answer);
  }
  return failed ?? answers;
}
