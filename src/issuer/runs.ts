/** What may run so many times at once: each run reads much of the ledger, and issuing waits for none of them. */
import { Refusal } from "../errors.ts";

export type Runs = <T>(run: () => AsyncIterable<T>) => AsyncGenerator<T>;

/** @throws Refusal `overloaded` beyond them. */
export function limitRuns(max: number, what: string): Runs {
  let running = 0;
  return async function* limited(run) {
    if (running >= max) throw new Refusal("overloaded", `${max} ${what} run already: each reads all of the ledger`);
    running += 1;
    try {
      yield* run();
    } finally {
      running -= 1;
    }
  };
}

/** What holds the event loop for a while rests so many times as long: issuing has the others. */
const rests = 9;

/** Work that is done one after the other, and for a tenth of the time at most. @throws Refusal `overloaded` where so many wait. */
export function limitWork(max: number, what: string): <T>(work: () => T) => Promise<T> {
  let waiting = 0;
  let rested: Promise<void> = Promise.resolve();
  return async (work) => {
    if (waiting >= max) throw new Refusal("overloaded", `${max} ${what} wait already`);
    waiting += 1;
    const turn = rested;
    const next = Promise.withResolvers<void>();
    rested = next.promise;
    await turn;
    waiting -= 1;
    const since = performance.now();
    try {
      return work();
    } finally {
      setTimeout(next.resolve, (performance.now() - since) * rests);
    }
  };
}
