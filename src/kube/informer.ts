/**
 * A collection kept up to date: listed once, then watched for as long as we run. Whatever ends the watch (a reset, silence, an
 * old resource version, an API server that is away for a night), it goes on by itself; until then the last known state stands,
 * and `freshness` says how old it is. Where the API server has no such resource any more, nothing is there.
 */
import { Refusal } from "../errors.ts";
import type { Log } from "../ops/log.ts";
import { ApiError, isExpired, isNotFound } from "./api-error.ts";
import { type Indexes, openCache } from "./cache.ts";
import type { Client } from "./client.ts";
import { type Handler, openHandlers } from "./handlers.ts";
import { recordAt, someTextAt } from "./json.ts";
import { listItems, type Selection } from "./list.ts";
import { keyOf, type Meta, readMeta } from "./meta.ts";
import { type BackOff, pause, toPauseMs } from "./pause.ts";
import { toPath } from "./resource.ts";
import { isWithdrawn } from "./served.ts";
import { type WatchEvent, watch } from "./watch.ts";

export interface InformerConfig<T extends Meta, Name extends string> extends Selection {
  /** Keeps of an object what is needed; what it drops costs nothing. What it refuses is as if it weren't there. */
  readonly read: (object: unknown) => T;
  readonly indexes: Indexes<T, Name>;
  readonly pageMax?: number;
  /** Without as much as a bookmark, until the watch counts as broken. Default 130 s. */
  readonly silenceMsMax?: number;
  /** After failures. Default 0.5 to 30 s. */
  readonly backOff?: BackOff;
  /** More objects than this are refused as a whole, and said so. Default 150,000, Kubernetes' own limit of pods. */
  readonly itemsMax?: number;
}

export interface InformerParts {
  readonly client: Client;
  readonly now: () => Date;
  readonly log: Log;
}

export interface Informer<T extends Meta, Name extends string> extends AsyncDisposable {
  /** Resolves with the first whole list; rejects only if stopped before. */
  readonly synced: Promise<void>;
  get(name: string, namespace?: string): T | undefined;
  /** By `keyOf`. */
  at(key: string): T | undefined;
  byIndex(index: Name, value: string): readonly T[];
  list(): readonly T[];
  /** When we last had proof that this is the state: a list, an event or a bookmark. Undefined before the first list. */
  freshness(): Date | undefined;
  /** Hears of what is there as added, then of every change. */
  subscribe(handler: Handler<T>): Disposable;
  /** Afterwards nothing of it runs: no request, no timer, no call of a handler. */
  stop(): Promise<void>;
}

/** After this many failed watches in a row it lists anew: the resource version may be of a cluster restored from a backup. */
const watchFailuresMax = 4;
/** A watch that the server ends sooner counts as a failure, or we would ask again at once and forever. */
const shortWatchMs = 1_000;
/** One that lived longer shows that things work, even if nothing came. A list does not: the next watch may fail as the last. */
const longWatchMs = 10_000;

export function startInformer<T extends Meta, Name extends string = never>(
  config: InformerConfig<T, Name>,
  { client, now, log }: InformerParts,
): Informer<T, Name> {
  const { read, backOff = { msMin: 500, msMax: 30_000 }, itemsMax = 150_000 } = config;
  const path = toPath(config.resource, config.namespace === undefined ? {} : { namespace: config.namespace });
  const stopping = new AbortController();
  const { signal } = stopping;
  const cache = openCache<T, Name>(config.indexes);
  const handlers = openHandlers<T>(path, log);
  const synced = Promise.withResolvers<void>();
  synced.promise.catch(() => {});
  let fresh: Date | undefined;
  let resourceVersion: string | undefined;
  let failures = 0;

  const readOne = (object: unknown): T | undefined => {
    try {
      return read(object);
    } catch (error) {
      log.warn("object not understood", { resource: path, message: toMessage(error) });
      return undefined;
    }
  };

  const know = (items: ReadonlyMap<string, T>, asOf: Date): void => {
    signal.throwIfAborted();
    handlers.tell(cache.replace(items));
    fresh = asOf;
    synced.resolve();
  };

  const relist = async (): Promise<string> => {
    const asOf = now();
    const items = new Map<string, T>();
    const onPage = (page: readonly (T | undefined)[]) => {
      for (const item of page) if (item !== undefined) items.set(keyOf(item), item);
      if (items.size > itemsMax) throw new Refusal("overloaded", `${path}: more than ${itemsMax} objects`);
    };
    const listing = { read: readOne, onPage, onRestart: () => items.clear() };
    try {
      const listed = await listItems(client, config, { ...config, signal }, listing);
      know(items, asOf);
      return listed.resourceVersion;
    } catch (error) {
      if (isNotFound(error) && (await isWithdrawn(client, config.resource, signal).catch(() => false)))
        know(new Map(), asOf);
      throw error;
    }
  };

  const onEvent = (event: WatchEvent): void => {
    if (signal.aborted) return;
    if (event.kind === "bookmark") resourceVersion = someTextAt(recordAt(event.object, "metadata"), "resourceVersion");
    else take(event);
    fresh = now();
    failures = 0;
  };

  const take = (event: WatchEvent & { kind: "object" }): void => {
    const meta = readMeta(event.object);
    resourceVersion = meta.resourceVersion;
    const item = event.type === "DELETED" ? undefined : readOne(event.object);
    if (item !== undefined && cache.get(keyOf(item)) === undefined && cache.size >= itemsMax) {
      throw new Refusal("overloaded", `${path}: more than ${itemsMax} objects`);
    }
    handlers.tell(item === undefined ? cache.remove(keyOf(meta)) : cache.put(item));
  };

  /** One list if one is needed, and one watch. */
  const round = async (): Promise<void> => {
    resourceVersion ??= await relist();
    const begun = performance.now();
    try {
      await watch(client, { ...config, resourceVersion, signal }, onEvent);
    } finally {
      if (performance.now() - begun > longWatchMs) failures = 0;
    }
    if (performance.now() - begun < shortWatchMs) throw new Refusal("unavailable", `${path}: the watch ended at once`);
  };

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await round();
      } catch (error) {
        if (signal.aborted) return;
        if (isExpired(error)) log.info("listing again", { resource: path, message: toMessage(error) });
        else log.warn("watch interrupted", { resource: path, message: toMessage(error) });
        const waitMs = Math.max(
          toPauseMs(backOff, failures),
          error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0,
        );
        failures += 1;
        if (isExpired(error) || isNotFound(error) || failures % watchFailuresMax === 0) resourceVersion = undefined;
        await pause(waitMs, signal);
      }
    }
  };

  const done = run();
  const stop = async (): Promise<void> => {
    stopping.abort();
    synced.reject(new Refusal("unavailable", `${path}: stopped`));
    await done;
  };
  return {
    synced: synced.promise,
    get: (name, namespace = "") => cache.get(keyOf({ namespace, name })),
    at: cache.get,
    byIndex: cache.byIndex,
    list: () => [...cache.values()],
    freshness: () => fresh,
    subscribe: (handler) => handlers.subscribe(handler, cache.values()),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
