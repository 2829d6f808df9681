/** Made state of which each write has a name: that of its act's verb, or its own where it has no act. */
import { AsyncLocalStorage } from "node:async_hooks";
import { Refusal } from "../../src/errors.ts";
import type { State } from "../../src/ledger/state.ts";

/** Writes without an act, by the method that makes them. */
const unsigned: Readonly<Record<string, string>> = {
  acknowledge: "acknowledgement",
  keepFetchedKeys: "fetched keys",
  addSealedKey: "sealed key",
  prune: "prune-bodies",
};

interface Writing {
  readonly name: string;
  /** Commits of this call so far. */
  commits: number;
}

const writing = new AsyncLocalStorage<Writing>();

/** Of the write of made state that is being committed. */
export function nameOfCommit(): string {
  const call = writing.getStore();
  if (call === undefined) throw new Error("a write of made state without a name");
  call.commits += 1;
  // First the act that says how far, then the bodies.
  return call.name === unsigned["prune"] && call.commits > 1 ? "pruned bodies" : call.name;
}

/** Does what is wanted, or has the database refuse it. */
export type Gate = <T>(write: string, call: () => Promise<T>) => Promise<T>;

export function watchState(state: State, gate: Gate): State {
  return new Proxy(state, {
    get: (target, key) => {
      const found: unknown = Reflect.get(target, key);
      if (typeof found !== "function") return found;
      return (...values: readonly unknown[]): unknown => {
        const name = values.find(isAct)?.verb ?? unsigned[String(key)];
        const call = (): unknown => Reflect.apply(found, target, values);
        if (name === undefined) return call();
        return gate(name, async () => await writing.run({ name, commits: 0 }, call));
      };
    },
  });
}

/** Whether the database was asked, and had nothing to give. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof Refusal && error.code === "unavailable";
}

function isAct(value: unknown): value is { readonly verb: string } {
  return typeof value === "object" && value !== null && "verb" in value && "operator" in value;
}
