/** Lets the ledger's old bodies go, behind everything else: by the issuer that leads, once an hour. */
import { setTimeout } from "node:timers/promises";
import type { State } from "../ledger/state.ts";
import type { IssuerConfig } from "../ops/config.ts";
import type { Log } from "../ops/log.ts";

export interface PruneParts {
  readonly state: Pick<State, "prune">;
  readonly leads: () => boolean;
  readonly now: () => Date;
  readonly log: Log;
}

const intervalMsDefault = 3_600_000;
const dayMs = 86_400_000;

export function startPruning(
  { keepDays }: IssuerConfig["retention"],
  { state, leads, now, log }: PruneParts,
  intervalMs = intervalMsDefault,
): AsyncDisposable {
  const closing = new AbortController();
  async function run(days: number): Promise<void> {
    while (!closing.signal.aborted) {
      const expiredBefore = new Date(+now() - days * dayMs);
      const going = (): boolean => leads() && !closing.signal.aborted;
      await state.prune(expiredBefore, going).then(
        (entries) => {
          if (entries > 0) log.info("bodies pruned", { entries, expiredBefore: expiredBefore.toISOString() });
        },
        (error: unknown) => log.error("bodies not pruned", {}, error),
      );
      await setTimeout(intervalMs, undefined, closing).catch(() => undefined);
    }
  }
  const running = keepDays === "forever" ? Promise.resolve() : run(keepDays);
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}
