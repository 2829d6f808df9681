/** Waiting between tries: at random, longer each time, and cut short by a stop. */
import { setTimeout as delay } from "node:timers/promises";

export interface BackOff {
  readonly msMin: number;
  readonly msMax: number;
}

/** Full jitter: agents that lost the same API server at once don't come back at once. */
export function toPauseMs({ msMin, msMax }: BackOff, failures: number): number {
  const ceiling = Math.min(msMax, msMin * 2 ** Math.min(failures, 30));
  return msMin / 2 + Math.random() * (ceiling - msMin / 2);
}

/** Ends early, without a word, when the signal says stop. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}
