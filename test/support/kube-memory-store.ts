/** The objects of an API server in memory: versions, history, watchers, and pages that stay as they were when the list began. */
import { randomUUID } from "node:crypto";
import { isRecord, type JsonRecord, recordAt, textAt } from "../../src/kube/json.ts";
import { changeOwners, type Owners } from "./kube-memory-apply.ts";

/** What a failed call is answered with. */
export class Failure extends Error {
  readonly code: number;
  readonly reason: string;
  readonly fields: readonly string[];
  constructor(code: number, reason: string, message: string, fields: readonly string[] = []) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.fields = fields;
  }
}

export interface Stored {
  readonly object: JsonRecord;
  readonly owners: Owners;
}

export interface Happened {
  readonly version: number;
  readonly collection: string;
  readonly before: JsonRecord | undefined;
  readonly after: JsonRecord | undefined;
}

export type Watcher = (happened: Happened) => void;

export interface Store {
  version(): number;
  get(collection: string, key: string): Stored | undefined;
  list(collection: string): readonly JsonRecord[];
  /** Everything as it was, from a continue token's snapshot. */
  keep(rest: readonly JsonRecord[]): string;
  kept(token: string): { readonly version: number; readonly rest: readonly JsonRecord[] };
  write(collection: string, key: string, next: JsonRecord, owners: Owners): JsonRecord;
  remove(collection: string, key: string): void;
  /** @throws Failure 410 if history does not go back so far. */
  watch(collection: string, since: number, watcher: Watcher): Disposable;
  watchers(): number;
  /** As after etcd's compaction and a restart: no history, no snapshots. */
  compact(): void;
}

export function openStore(): Store {
  const collections = new Map<string, Map<string, Stored>>();
  const watchers = new Map<Watcher, string>();
  const snapshots = new Map<string, { readonly version: number; readonly rest: readonly JsonRecord[] }>();
  let history: Happened[] = [];
  let version = 100;
  let oldest = 100;

  const of = (collection: string): Map<string, Stored> => {
    const found = collections.get(collection) ?? new Map<string, Stored>();
    collections.set(collection, found);
    return found;
  };
  const tell = (happened: Happened): void => {
    history.push(happened);
    for (const [watcher, collection] of watchers) if (collection === happened.collection) watcher(happened);
  };
  const expired = () => new Failure(410, "Expired", "too old resource version");

  return {
    version: () => version,
    get: (collection, key) => of(collection).get(key),
    list: (collection) => [...of(collection)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { object }]) => object),
    keep: (rest) => {
      const token = Buffer.from(randomUUID()).toString("base64url");
      snapshots.set(token, { version, rest });
      return token;
    },
    kept: (token) => {
      const found = snapshots.get(token);
      if (found === undefined) throw expired();
      return found;
    },
    write: (collection, key, next, owners) => {
      const before = of(collection).get(key);
      // What changes nothing is not written: no version, no event.
      if (before !== undefined && isSame(before.object, next)) {
        of(collection).set(key, { object: before.object, owners });
        return before.object;
      }
      version += 1;
      const metadata = {
        ...recordAt(next, "metadata"),
        generation: toGeneration(before?.object, next),
        uid: before === undefined ? randomUUID() : textAt(recordAt(before.object, "metadata"), "uid"),
        creationTimestamp:
          before === undefined
            ? new Date().toISOString().replace(/\.\d+Z/, "Z")
            : textAt(recordAt(before.object, "metadata"), "creationTimestamp"),
        resourceVersion: String(version),
      };
      const object = { ...next, metadata };
      of(collection).set(key, { object, owners });
      tell({ version, collection, before: before?.object, after: object });
      return object;
    },
    remove: (collection, key) => {
      const before = of(collection).get(key);
      if (before === undefined) return;
      version += 1;
      of(collection).delete(key);
      const metadata = { ...recordAt(before.object, "metadata"), resourceVersion: String(version) };
      tell({ version, collection, before: { ...before.object, metadata }, after: undefined });
    },
    watch: (collection, since, watcher) => {
      if (since < oldest) throw expired();
      for (const happened of history) {
        if (happened.collection === collection && happened.version > since) watcher(happened);
      }
      watchers.set(watcher, collection);
      return { [Symbol.dispose]: () => void watchers.delete(watcher) };
    },
    watchers: () => watchers.size,
    compact: () => {
      history = [];
      snapshots.clear();
      oldest = version;
    },
  };
}

/** A write that is not an apply: its manager then holds what it changed. */
export function ownersAfter(before: Stored | undefined, next: JsonRecord, manager: string): Owners {
  return changeOwners(before?.owners ?? new Map(), before?.object ?? {}, next, manager);
}

/** Another one for each change of the spec. */
function toGeneration(before: JsonRecord | undefined, next: JsonRecord): number {
  if (before === undefined) return 1;
  const last = Number(recordAt(before, "metadata")["generation"]);
  return JSON.stringify(sorted(before["spec"])) === JSON.stringify(sorted(next["spec"])) ? last : last + 1;
}

function isSame(a: JsonRecord, b: JsonRecord): boolean {
  return JSON.stringify(strip(a)) === JSON.stringify(strip(b));
}

function strip(object: JsonRecord): unknown {
  const {
    uid: _u,
    creationTimestamp: _c,
    resourceVersion: _r,
    generation: _g,
    ...metadata
  } = recordAt(object, "metadata");
  return sorted({ ...object, metadata });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]));
}
