/** Those who want to hear of changes. What one of them throws is logged, and the others hear of it all the same. */
import type { Log } from "../ops/log.ts";
import type { Change } from "./cache.ts";

/** Called in order, one change after the other. Long work belongs into a queue. */
export type Handler<T> = (change: Change<T>) => void | Promise<void>;

export interface Handlers<T> {
  /** Hears of `known` as added first. Disposing ends it. */
  subscribe(handler: Handler<T>, known: Iterable<T>): Disposable;
  tell(changes: readonly Change<T>[]): void;
}

export function openHandlers<T>(what: string, log: Log): Handlers<T> {
  const handlers = new Set<{ readonly handler: Handler<T> }>();
  const failed = (error: unknown) => log.error("handler failed", { resource: what }, error);
  const call = (handler: Handler<T>, change: Change<T>): void => {
    try {
      const answer = handler(change);
      if (answer instanceof Promise) answer.catch(failed);
    } catch (error) {
      failed(error);
    }
  };
  return {
    subscribe: (handler, known) => {
      const entry = { handler };
      for (const item of known) call(handler, { kind: "added", item });
      handlers.add(entry);
      return { [Symbol.dispose]: () => void handlers.delete(entry) };
    },
    tell: (changes) => {
      for (const change of changes) for (const { handler } of handlers) call(handler, change);
    },
  };
}
