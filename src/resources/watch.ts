/** Keeps up with where documents come from: a good edit takes the place of what is in force, a bad one is told and changes nothing. */
import { setTimeout as delay } from "node:timers/promises";
import { Refusal, refusals, toRefusal } from "../errors.ts";
import type { Context } from "./check.ts";
import type { Declared } from "./declared.ts";
import { DocumentsRefused } from "./problem.ts";

/** Where documents come from. */
export interface Source {
  /** What it is called where it is refused as a whole. */
  readonly name: string;
  /** What is there now; undefined when it still bears the stamp that it had. */
  snapshot(before?: string): Promise<Snapshot | undefined>;
  /** Calls `stir` to have the next look sooner; what counts is what is found then. Returns what ends it. */
  subscribe(stir: () => void): () => void;
}

export interface Snapshot {
  /** Missing when it has to be looked at anyhow. */
  readonly stamp?: string;
  readonly digest: string;
  /** @throws DocumentsRefused, or what made it unreadable. */
  readonly declare: (context: Context) => Declared;
}

export interface WatchConfig {
  /** What was loaded at the start and is in force. */
  readonly inForce: Declared;
  /** What else the documents are held against, asked for at each change. */
  readonly context?: () => Promise<Omit<Context, "inForce">>;
  /** How often is looked when nothing says that there is something new, in ms. Default 1000. */
  readonly intervalMs?: number;
  /** How often documents that were refused are held against what there is by then, in ms. Default 60,000. */
  readonly againMs?: number;
  /** How long they must have stayed as they are before they count, in ms: an editor or a mount may be half way. Default 200. */
  readonly settleMs?: number;
  readonly signal?: AbortSignal;
}

export interface WatchParts {
  /**
   * Called also when a bad edit was taken back. What it throws counts as a bad edit; a Refusal that says trying again can
   * help (the database is away) has it called again at the next look.
   */
  readonly onChange: (declared: Declared) => void | Promise<void>;
  /** Once for each bad edit, or each try; and where it is refused for another reason by then. */
  readonly onRefused: (refused: DocumentsRefused) => void;
}

/** Disposing waits for what is under way. */
export function watchSource(source: Source, config: WatchConfig, parts: WatchParts): AsyncDisposable {
  const { intervalMs = 1000, settleMs = 200 } = config;
  const stop = new AbortController();
  const signal = config.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, config.signal]);
  const alarm = openAlarm(source);
  const look = toLook(source, config, parts);

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      const changed = await look(() => pause(settleMs, signal), signal);
      if (!changed) await alarm.wait(intervalMs, signal);
    }
  };
  const done = run().finally(() => alarm.close());
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

type Look = (settle: () => Promise<void>, signal: AbortSignal) => Promise<boolean>;

/** One look. Says whether it is still moving, so that the next look should not wait. */
function toLook(source: Source, config: WatchConfig, { onChange, onRefused }: WatchParts): Look {
  let inForce = config.inForce;
  // What was last judged, good or bad: nothing is said twice of the same.
  let judged = inForce.digest;
  let stamp: string | undefined;
  let refused: { readonly message: string; readonly at: number } | undefined;
  return async (settle, signal) => {
    const again = refused !== undefined && performance.now() - refused.at >= (config.againMs ?? 60_000);
    const first = await source.snapshot(again ? undefined : stamp);
    if (first === undefined || (first.digest === judged && !again)) {
      if (first !== undefined) stamp = first.stamp;
      return false;
    }
    await settle();
    if (signal.aborted) return false;
    const second = await source.snapshot();
    if (second?.digest !== first.digest) return true;
    judged = second.digest;
    stamp = second.stamp;
    try {
      const next = toNext(source.name, second, { ...(await config.context?.()), inForce });
      // If we stop here, the next start reads the same again.
      await onChange(next);
      inForce = next;
      refused = undefined;
    } catch (error) {
      if (error instanceof Refusal && refusals[error.code].retry) [judged, stamp] = [inForce.digest, undefined];
      const refusal = toRefused(source.name, error);
      if (!again || refusal.message !== refused?.message) onRefused(refusal);
      refused = { message: refusal.message, at: performance.now() };
    }
    return false;
  };
}

/** A mount that went away looks like everybody having been deleted at once; that is taken for what it more likely is. */
function toNext(name: string, found: Snapshot, context: Context & { readonly inForce: Declared }): Declared {
  const { inForce } = context;
  const next = found.declare(context);
  const count = ({ roots, tenants, clusters }: Declared) => roots.size + tenants.size + clusters.size;
  if (count(next) > 0 || count(inForce) === 0) return next;
  throw problemOf(name, "holds no documents any more: delete the last ones with the issuer stopped");
}

export function toRefused(name: string, error: unknown): DocumentsRefused {
  if (error instanceof DocumentsRefused) return error;
  return problemOf(name, toRefusal(error).message, error);
}

function problemOf(file: string, rule: string, cause?: unknown): DocumentsRefused {
  return new DocumentsRefused([{ file, line: 1, column: 1, path: [], rule }], { cause });
}

interface Alarm {
  /** Until something stirs, the time is over, or the signal says stop. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

function openAlarm(source: Source): Alarm {
  let stirred = Promise.withResolvers<void>();
  const close = source.subscribe(() => stirred.resolve());
  return {
    async wait(ms, signal) {
      const over = new AbortController();
      await Promise.race([stirred.promise, pause(ms, AbortSignal.any([signal, over.signal]))]);
      over.abort();
      stirred = Promise.withResolvers();
    },
    close,
  };
}

/** Ends early, without a word, when the signal says stop. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
