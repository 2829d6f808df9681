/** What an informer knows: objects by key and by indexes, and what each piece of news changes about them. */
import { keyOf, type Meta } from "./meta.ts";

/** Under which values an object is found. */
export type Indexes<T, Name extends string> = Readonly<Record<Name, (item: T) => readonly string[]>>;

export type Change<T> =
  | { readonly kind: "added"; readonly item: T }
  | { readonly kind: "changed"; readonly item: T; readonly before: T }
  | { readonly kind: "gone"; readonly item: T };

export interface Cache<T extends Meta, Name extends string> {
  get(key: string): T | undefined;
  byIndex(name: Name, value: string): readonly T[];
  values(): IterableIterator<T>;
  readonly size: number;
  /** Nothing, if it is known already. Another UID under the same name is another object: the old one is gone first. */
  put(item: T): readonly Change<T>[];
  remove(key: string): readonly Change<T>[];
  /** These and no others. */
  replace(items: ReadonlyMap<string, T>): readonly Change<T>[];
}

export function openCache<T extends Meta, Name extends string>(indexes: Indexes<T, Name>): Cache<T, Name> {
  const items = new Map<string, T>();
  const shelves = toShelves(indexes);

  const set = (key: string, item: T, before: T | undefined): void => {
    if (before !== undefined) unset(key, before);
    items.set(key, item);
    for (const { valuesOf, keys } of shelves.values()) {
      for (const value of valuesOf(item)) {
        const found = keys.get(value);
        if (found === undefined) keys.set(value, new Set([key]));
        else found.add(key);
      }
    }
  };

  const unset = (key: string, item: T): void => {
    items.delete(key);
    for (const { valuesOf, keys } of shelves.values()) {
      for (const value of valuesOf(item)) {
        const found = keys.get(value);
        found?.delete(key);
        if (found?.size === 0) keys.delete(value);
      }
    }
  };

  const put = (item: T): readonly Change<T>[] => {
    const key = keyOf(item);
    const before = items.get(key);
    if (before?.resourceVersion === item.resourceVersion && before.uid === item.uid) return [];
    set(key, item, before);
    if (before === undefined) return [{ kind: "added", item }];
    if (before.uid === item.uid) return [{ kind: "changed", item, before }];
    return [
      { kind: "gone", item: before },
      { kind: "added", item },
    ];
  };

  const remove = (key: string): readonly Change<T>[] => {
    const before = items.get(key);
    if (before === undefined) return [];
    unset(key, before);
    return [{ kind: "gone", item: before }];
  };

  return {
    get: (key) => items.get(key),
    byIndex: (name, value) => {
      const keys = shelves.get(name)?.keys.get(value) ?? [];
      return [...keys].map((key) => items.get(key)).filter((item) => item !== undefined);
    },
    values: () => items.values(),
    get size() {
      return items.size;
    },
    put,
    remove,
    replace: (next) => [
      ...[...items.keys()].filter((key) => !next.has(key)).flatMap(remove),
      ...[...next.values()].flatMap(put),
    ],
  };
}

interface Shelf<T> {
  readonly valuesOf: (item: T) => readonly string[];
  readonly keys: Map<string, Set<string>>;
}

function toShelves<T, Name extends string>(indexes: Indexes<T, Name>): ReadonlyMap<string, Shelf<T>> {
  const functions = Object.entries<(item: T) => readonly string[]>(indexes);
  return new Map(functions.map(([name, valuesOf]) => [name, { valuesOf, keys: new Map<string, Set<string>>() }]));
}
