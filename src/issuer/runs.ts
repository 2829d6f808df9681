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
