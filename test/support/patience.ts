/** How long a test waits for what is to come, on a machine with far too much to do. */
import { setTimeout as delay } from "node:timers/promises";

/** What a call may take that is to be answered. */
export const callMs = 30_000;

/** Between two looks, at the most: whoever looks all the time takes it from what is waited for. */
const pauseMsMax = 250;

/** What `look` returns once it no longer throws. It looks often at first, and less and less. @throws its last error. */
export async function eventually<T>(look: () => T | Promise<T>, withinMs = 120_000, pauseMsMin = 10): Promise<T> {
  const end = Date.now() + withinMs;
  for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMs * 1.2, pauseMsMax)) {
    try {
      return await look();
    } catch (error) {
      if (Date.now() > end) throw error;
      await delay(pauseMs);
    }
  }
}
