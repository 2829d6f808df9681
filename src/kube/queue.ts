/** Work by key: one worker at a time for one key, again with growing pauses while it fails, and nothing lost in between. */
import { Refusal } from "../errors.ts";
import type { Log } from "../ops/log.ts";
import { type BackOff, toPauseMs } from "./pause.ts";

export interface Done {
  /** Look at it again then, even if nothing has happened. */
  readonly againAfterMs?: number;
}

export interface QueueConfig {
  /** For logs. */
  readonly name: string;
  /** Brings one thing in order, whatever happened to it. Throwing means trying again later. The signal: we are stopping. */
  readonly work: (key: string, signal: AbortSignal) => Promise<Done | void>;
  /** Default 4. */
  readonly workers?: number;
  /** After failures of one key. Default 0.2 s to 5 min. */
  readonly backOff?: BackOff;
  /** Keys that wait, are worked on, or wait for their next try. Default 200,000. */
  readonly keysMax?: number;
  /** What stopping waits for work under way. Default 10 s. */
  readonly drainMs?: number;
}

export interface Queue extends AsyncDisposable {
  /**
   * A key that waits already is not added twice; one that is being worked on comes again afterwards, since the work may not have
   * seen what happened. @throws Refusal `overloaded` when full.
   */
  add(key: string): void;
  /** Keys that wait, are worked on, or wait for their next try. */
  size(): number;
}

interface Entry {
  state: "waiting" | "working" | "pausing";
  /** Added while it was worked on. */
  again: boolean;
  failures: number;
  timer: NodeJS.Timeout | undefined;
}

export function startQueue(config: QueueConfig, log: Log): Queue {
  const { name, work, workers = 4, backOff = { msMin: 200, msMax: 300_000 }, keysMax = 200_000 } = config;
  const entries = new Map<string, Entry>();
  const waiting = new Set<string>();
  const working = new Set<Promise<void>>();
  const stopping = new AbortController();

  const add = (key: string): void => {
    if (stopping.signal.aborted) return;
    const entry = entries.get(key);
    if (entry === undefined) {
      if (entries.size >= keysMax) throw new Refusal("overloaded", `the queue ${name} holds ${keysMax} keys`);
      entries.set(key, { state: "waiting", again: false, failures: 0, timer: undefined });
      waiting.add(key);
    } else if (entry.state === "working") entry.again = true;
    // What failed waits its time out: news of it is no reason to believe that it works now. A planned look comes at once.
    else if (entry.state === "pausing" && entry.failures === 0) wait(key, entry);
    start();
  };

  const wait = (key: string, entry: Entry): void => {
    clearTimeout(entry.timer);
    entry.timer = undefined;
    entry.state = "waiting";
    waiting.add(key);
  };

  const start = (): void => {
    for (const key of waiting) {
      if (working.size >= workers || stopping.signal.aborted) return;
      const entry = entries.get(key);
      waiting.delete(key);
      if (entry === undefined) continue;
      const under = workOn(key, entry).finally(() => {
        working.delete(under);
        start();
      });
      working.add(under);
    }
  };

  const workOn = async (key: string, entry: Entry): Promise<void> => {
    entry.state = "working";
    entry.again = false;
    try {
      const done = await work(key, stopping.signal);
      entry.failures = 0;
      settle(key, entry, done?.againAfterMs);
    } catch (error) {
      if (stopping.signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      log.warn("work failed", { queue: name, key, failures: entry.failures + 1, message });
      const waitMs = toPauseMs(backOff, entry.failures);
      entry.failures += 1;
      pauseFor(key, entry, waitMs);
    }
  };

  const settle = (key: string, entry: Entry, againAfterMs: number | undefined): void => {
    if (entry.again) wait(key, entry);
    else if (againAfterMs === undefined) entries.delete(key);
    else pauseFor(key, entry, againAfterMs);
  };

  const pauseFor = (key: string, entry: Entry, ms: number): void => {
    if (stopping.signal.aborted) return;
    entry.state = "pausing";
    // Node's timers end at 2^31-1 ms; looking too early does no harm.
    entry.timer = setTimeout(
      () => {
        wait(key, entry);
        start();
      },
      Math.min(ms, 0x7fffffff),
    );
  };

  return {
    add,
    size: () => entries.size,
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      for (const { timer } of entries.values()) clearTimeout(timer);
      waiting.clear();
      await drained([...working], config.drainMs ?? 10_000);
      entries.clear();
    },
  };
}

async function drained(working: readonly Promise<void>[], ms: number): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  await Promise.race([Promise.all(working), over.promise]);
  clearTimeout(timer);
}
