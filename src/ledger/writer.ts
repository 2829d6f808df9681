/**
 * Group commit. All drafts that wait when the event loop has read its sockets go into one transaction, with the
 * signatures recorded since; one fsync answers them all.
 */
import { Refusal } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { type Encoded, encodeDraft, type IntentStatements, prepareIntents } from "./intents.ts";
import type { Draft, Intended, Ledger } from "./ledger.ts";
import { createTimes } from "./octets.ts";

/** How long a signature waits for the next durable write before it gets one of its own. */
export const recordDelayMs = 20;
/** The most drafts of one transaction, and so of one call. */
export const draftsPerWriteMax = 256;
/** Drafts that may wait; a disk that is slower than this many is overloaded. */
const draftsQueuedMax = 8192;
export const recordsPerWriteMax = 1024;
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
  close(): void;
}

/** Drafts that wait to be written, and who waits for them. */
export interface Call {
  readonly drafts: readonly Encoded[];
  readonly resolve: (answers: readonly Intended[]) => void;
  readonly reject: (error: unknown) => void;
}

export type Answer = readonly Intended[] | Error;

interface RecordedSignature {
  readonly entry: number;
  readonly signature: Uint8Array;
}

export function startWriter(connection: Connection, now: () => Date, delayMs = recordDelayMs): Writer {
  const statements = prepareIntents(connection);
  const times = createTimes();
  const counts = { recordsRetried: 0, recordsDropped: 0, failedWrites: 0 };
  let calls: Call[] = [];
  let records: RecordedSignature[] = [];
  let draftsQueued = 0;
  let retryMs = delayMs;
  let flushing: NodeJS.Immediate | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  /** One durable write; its answers are those of the calls, in order. */
  function write(name: "intend" | "record", group: readonly Call[]): readonly Answer[] {
    const written = records.slice(0, recordsPerWriteMax);
    let missing = 0;
    try {
      // If we stop before this commits, none of these drafts was promised to anybody and the signatures' intents stay
      // unrecorded. After it, the drafts are intents nobody has signed yet: they count as live.
      const answers = connection.transact(name, () => {
        for (const { entry, signature } of written) if (!statements.record(entry, signature)) missing += 1;
        const suspended = group.length === 0 ? new Set<string>() : statements.suspended();
        return group.map(({ drafts }) => intendAll(statements, drafts, suspended));
      });
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

  function flush(): void {
    flushing = undefined;
    const group = takeGroup();
    try {
      const answers = write("intend", group);
      for (const [index, call] of group.entries()) settle(call, answers[index]);
    } catch (error) {
      for (const call of group) call.reject(error);
    }
    schedule();
  }

  function takeGroup(): readonly Call[] {
    let drafts = 0;
    const end = calls.findIndex((call) => (drafts += call.drafts.length) > draftsPerWriteMax);
    const group = calls.splice(0, end === -1 ? calls.length : end);
    for (const call of group) draftsQueued -= call.drafts.length;
    return group;
  }

  function flushRecords(): void {
    timer = undefined;
    try {
      if (records.length > 0) write("record", []);
    } catch {
      // Counted. Until the disk takes them again they are tried at longer and longer intervals.
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
    schedule();
  }

  function schedule(): void {
    if (calls.length > 0) flushing ??= setImmediate(flush);
    if (records.length > 0 && !closed) timer ??= setTimeout(flushRecords, retryMs);
  }

  return {
    async intend(drafts) {
      if (closed) throw new Refusal("unavailable", "the ledger is closed");
      if (drafts.length === 0) return [];
      checkRoom(drafts, draftsQueued);
      const time = now();
      const encoded = drafts.map((draft) => encodeDraft(draft, time, times));
      draftsQueued += encoded.length;
      return new Promise((resolve, reject) => {
        calls.push({ drafts: encoded, resolve, reject });
        schedule();
      });
    },

    record(intent, signature) {
      if (closed || records.length >= recordsQueuedMax) {
        counts.recordsDropped += 1;
        return;
      }
      records.push({ entry: intent.id, signature });
      schedule();
    },

    counts: () => ({ ...counts, recordsQueued: records.length }),

    close() {
      closed = true;
      clearImmediate(flushing);
      clearTimeout(timer);
      while (calls.length > 0) flush();
      clearImmediate(flushing);
      for (let failures = 0; records.length > 0 && failures < closeAttempts; ) {
        try {
          write("record", []);
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

export function settle(call: Call, answer: Answer | undefined): void {
  if (answer === undefined || answer instanceof Error) call.reject(answer ?? new Error("a call without an answer"));
  else call.resolve(answer);
}

/** @throws Refusal `overloaded`. */
export function checkRoom(drafts: readonly Draft[], queued: number): void {
  if (drafts.length > draftsPerWriteMax) {
    throw new Error(`${drafts.length} drafts are more than one durable write takes (${draftsPerWriteMax})`);
  }
  if (queued + drafts.length > draftsQueuedMax) {
    throw new Refusal("overloaded", `${queued} certificates wait for the ledger's disk`);
  }
}
