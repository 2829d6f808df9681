/** Server-side apply in small: every leaf has its managers, lists are leaves, a foreign leaf with another value is a conflict. */
import { isRecord, type JsonRecord } from "../../src/kube/json.ts";

/** Managers by the path of a leaf, as JSON. */
export type Owners = ReadonlyMap<string, ReadonlySet<string>>;

export interface Applied {
  readonly object: JsonRecord;
  readonly owners: Owners;
  /** Paths held by others with another value. With force there are none. */
  readonly conflicts: readonly string[];
}

/** Nobody's: identity, and what the server writes. */
const unowned = new Set(["apiVersion", "kind", "name", "namespace", "uid", "resourceVersion", "creationTimestamp"]);

export function apply(before: JsonRecord, owners: Owners, asked: JsonRecord, manager: string, force: boolean): Applied {
  const next = new Map([...owners].map(([path, managers]) => [path, new Set(managers)]));
  const had = new Map(leaves(before));
  const wanted = new Map(leaves(asked));
  const conflicts: string[] = [];
  const object = structuredClone(before);
  for (const [path, value] of wanted) {
    const same = JSON.stringify(had.get(path)) === JSON.stringify(value);
    const others = [...(next.get(path) ?? [])].filter((name) => name !== manager);
    if (!same && others.length > 0 && !force) conflicts.push(toField(path));
    next.set(path, new Set(same ? [...others, manager] : [manager]));
    set(object, toPath(path), value);
  }
  for (const [path, managers] of next) {
    if (wanted.has(path) || !managers.delete(manager) || managers.size > 0) continue;
    next.delete(path);
    set(object, toPath(path), undefined);
  }
  return { object, owners: next, conflicts };
}

export function changeOwners(owners: Owners, before: JsonRecord, after: JsonRecord, manager: string): Owners {
  const had = new Map(leaves(before));
  const next = new Map<string, ReadonlySet<string>>();
  for (const [path, value] of leaves(after)) {
    const same = JSON.stringify(had.get(path)) === JSON.stringify(value);
    next.set(path, same ? (owners.get(path) ?? new Set([manager])) : new Set([manager]));
  }
  return next;
}

function* leaves(value: JsonRecord, path: readonly string[] = []): Generator<[string, unknown]> {
  for (const [key, member] of Object.entries(value)) {
    const at = [...path, key];
    if (unowned.has(key) && (path.length === 0 || (path.length === 1 && path[0] === "metadata"))) continue;
    if (isRecord(member)) yield* leaves(member, at);
    else yield [JSON.stringify(at), member];
  }
}

function toPath(path: string): readonly string[] {
  const keys: unknown = JSON.parse(path);
  return Array.isArray(keys) ? keys.map(String) : [];
}

function toField(path: string): string {
  return `.${toPath(path).join(".")}`;
}

function set(object: Record<string, unknown>, [key, ...rest]: readonly string[], value: unknown): void {
  if (key === undefined) return;
  const below = object[key];
  if (rest.length > 0) {
    const next: Record<string, unknown> = isRecord(below) ? { ...below } : {};
    set(next, rest, value);
    object[key] = next;
  } else if (value === undefined) delete object[key];
  else object[key] = value;
}
