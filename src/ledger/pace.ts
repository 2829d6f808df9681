/** Long work in short steps: the event loop gets its turn whenever a few milliseconds have gone by. */
import { setImmediate } from "node:timers/promises";

/** How long one step may hold the loop. */
const stepMs = 3;

/** Returns a function to await between two pieces of work; it returns at once while the step lasts. */
export function startPace(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < stepMs) return undefined;
    return setImmediate().then(() => {
      since = performance.now();
    });
  };
}
