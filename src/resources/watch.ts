/** Keeps up with a directory of documents: a good edit takes the place of what is in force, a bad one is told and changes nothing. */
import { type FSWatcher, watch } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Refusal, refusals, toRefusal } from "../errors.ts";
import type { Declared } from "./declared.ts";
import { readFiles, stampOf } from "./load.ts";
import { DocumentsRefused } from "./problem.ts";
import { digestOf, readDocuments } from "./read.ts";
import type { SourceFile } from "./yaml.ts";

export interface WatchConfig {
  /** What was loaded at the start and is in force. */
  readonly inForce: Declared;
  readonly hub?: string;
  /** How often the files are looked at when nothing says they changed, in ms. Default 1000. */
  readonly intervalMs?: number;
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
  /** Once for each bad edit, or each try. */
  readonly onRefused: (refused: DocumentsRefused) => void;
}

/**
 * File system events only make it sooner: what counts is the content, looked at again and again, since events get lost on
 * network mounts and when links are swapped. Disposing waits for what is under way.
 */
export function watchDirectory(directory: string, config: WatchConfig, parts: WatchParts): AsyncDisposable {
  const { intervalMs = 1000, settleMs = 200 } = config;
  const stop = new AbortController();
  const signal = config.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, config.signal]);
  const alarm = openAlarm(directory);
  const look = toLook(directory, config, parts);

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

/** One look at the files. Says whether they are still moving, so that the next look should not wait. */
function toLook(directory: string, config: WatchConfig, { onChange, onRefused }: WatchParts): Look {
  let inForce = config.inForce;
  // What was last judged, good or bad: nothing is said twice of the same.
  let judged = inForce.digest;
  let stamp: string | undefined;
  return async (settle, signal) => {
    const first = await snapshot(directory, stamp);
    if (first === undefined || first.digest === judged) {
      if (first !== undefined) stamp = first.stamp;
      return false;
    }
    await settle();
    if (signal.aborted) return false;
    const second = await snapshot(directory);
    if (second?.digest !== first.digest) return true;
    judged = second.digest;
    stamp = second.stamp;
    try {
      const next = toNext(directory, second.read(), inForce, config.hub);
      // If we stop here, the next start reads the same files again.
      await onChange(next);
      inForce = next;
    } catch (error) {
      if (error instanceof Refusal && refusals[error.code].retry) [judged, stamp] = [inForce.digest, undefined];
      onRefused(toRefused(directory, error));
    }
    return false;
  };
}

interface Snapshot {
  /** Missing when they cannot be read. */
  readonly stamp?: string;
  readonly digest: string;
  readonly read: () => readonly SourceFile[];
}

/**
 * The files as they are now, or why they cannot be read, which is told like any other bad edit; undefined when they still bear
 * the stamp they had. The stamp is taken before they are read: a later write changes it again.
 */
async function snapshot(directory: string, before?: string): Promise<Snapshot | undefined> {
  try {
    const stamp = await stampOf(directory);
    if (stamp === before) return undefined;
    const files = await readFiles(directory);
    return { stamp, digest: digestOf(files), read: () => files };
  } catch (error) {
    const read = () => {
      throw error;
    };
    return { digest: `unreadable: ${toRefused(directory, error).message}`, read };
  }
}

/** A mount that went away looks like everybody having been deleted at once; that is taken for what it more likely is. */
function toNext(directory: string, files: readonly SourceFile[], inForce: Declared, hub: string | undefined): Declared {
  const next = readDocuments(files, { inForce, ...(hub === undefined ? {} : { hub }) });
  const count = ({ roots, tenants, clusters }: Declared) => roots.size + tenants.size + clusters.size;
  if (count(next) > 0 || count(inForce) === 0) return next;
  throw problemOf(directory, "holds no documents any more: delete the last ones with the issuer stopped");
}

function toRefused(directory: string, error: unknown): DocumentsRefused {
  if (error instanceof DocumentsRefused) return error;
  return problemOf(directory, toRefusal(error).message, error);
}

function problemOf(file: string, rule: string, cause?: unknown): DocumentsRefused {
  return new DocumentsRefused([{ file, line: 1, column: 1, path: [], rule }], { cause });
}

interface Alarm {
  /** Until the directory stirs, the time is over, or the signal says stop. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

function openAlarm(directory: string): Alarm {
  let stirred = Promise.withResolvers<void>();
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(directory, () => stirred.resolve());
    // Without events there is still the interval.
    watcher.on("error", () => watcher?.close());
  } catch {
    watcher = undefined;
  }
  return {
    async wait(ms, signal) {
      const over = new AbortController();
      await Promise.race([stirred.promise, pause(ms, AbortSignal.any([signal, over.signal]))]);
      over.abort();
      stirred = Promise.withResolvers();
    },
    close: () => watcher?.close(),
  };
}

/** Ends early, without a word, when the signal says stop. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
