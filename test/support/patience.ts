/** How long a test waits for what is to come, on a machine with far too much to do. */
import { setTimeout as delay } from "node:timers/promises";

/** What a call may take that is to be answered. */
export const callMs = 30_000;

/** What `look` returns once it no longer throws. @throws its last error. */
export async function eventually<T>(look: () => T | Promise<T>, withinMs = 60_000, everyMs = 15): Promise<T> {
  const end = Date.now() + withinMs;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (Date.now() > end) throw error;
      await delay(everyMs);
    }
  }
}
