/** Drafts that wait for their durable write, and who waits for them: the same before either database. */
import { Refusal } from "../errors.ts";
import { type Encoded, encodeDraft } from "./intents.ts";
import type { Intended, Ledger } from "./ledger.ts";
import { createTimes } from "./octets.ts";

/** The most drafts of one transaction, and so of one call. */
export const draftsPerWriteMax = 256;
/** Drafts that may wait; a disk that is slower than this many is overloaded. */
const draftsQueuedMax = 8192;

export interface Call {
  readonly drafts: readonly Encoded[];
  readonly resolve: (answers: readonly Intended[]) => void;
  readonly reject: (error: unknown) => void;
}

/** One for each draft of a call, in their order; an error is the whole call's. */
export type Answer = readonly Intended[] | Error;

export interface Waiting extends Pick<Ledger, "intend"> {
  /** What the next write is made of: whole calls, the oldest first, of so many drafts together; or one call alone. */
  take(most?: number): readonly Call[];
  readonly calls: () => number;
  /** Later calls are refused; those that wait are still to be taken. */
  close(): void;
}

/** `schedule` is told of every call. */
export function openWaiting(now: () => Date, schedule: () => void): Waiting {
  const times = createTimes();
  const calls: Call[] = [];
  let draftsQueued = 0;
  let closed = false;
  return {
    async intend(drafts) {
      if (closed) throw new Refusal("unavailable", "the ledger is closed");
      if (drafts.length === 0) return [];
      checkRoom(drafts.length, draftsQueued);
      const time = now();
      const encoded = drafts.map((draft) => encodeDraft(draft, time, times));
      draftsQueued += encoded.length;
      return new Promise((resolve, reject) => {
        calls.push({ drafts: encoded, resolve, reject });
        schedule();
      });
    },

    take(most = draftsPerWriteMax) {
      let drafts = 0;
      const end = calls.findIndex((call, n) => (drafts += call.drafts.length) > most && n > 0);
      const group = calls.splice(0, end === -1 ? calls.length : end);
      for (const call of group) draftsQueued -= call.drafts.length;
      return group;
    },

    calls: () => calls.length,
    close: () => {
      closed = true;
    },
  };
}

export function settle(call: Call, answer: Answer | undefined): void {
  if (answer === undefined || answer instanceof Error) call.reject(answer ?? new Error("a call without an answer"));
  else call.resolve(answer);
}

/** @throws Refusal `overloaded`. */
function checkRoom(drafts: number, queued: number): void {
  if (drafts > draftsPerWriteMax) {
    throw new Error(`${drafts} drafts are more than one durable write takes (${draftsPerWriteMax})`);
  }
  if (queued + drafts > draftsQueuedMax) {
    throw new Refusal("overloaded", `${queued} certificates wait for the ledger's disk`);
  }
}
