/** A time limit that leaves nothing behind: unlike `AbortSignal.timeout`, its timer ends with what it limited. */

export interface Deadline extends Disposable {
  /** Aborts when the time is over, or when one of the signals above it does. */
  readonly signal: AbortSignal;
  /** Whether it was the time. */
  isOver(): boolean;
  leftMs(): number;
  /** From here on only the signals above count. */
  lift(): void;
}

export function openDeadline(ms: number, ...above: readonly (AbortSignal | undefined)[]): Deadline {
  const controller = new AbortController();
  const end = performance.now() + ms;
  let over = false;
  const follow = () => controller.abort(new Error("stopped"));
  const signals = above.filter((signal) => signal !== undefined);
  const timer = setTimeout(() => {
    over = true;
    controller.abort(new Error(`${ms} ms are over`));
  }, ms);
  if (signals.some((signal) => signal.aborted)) follow();
  for (const signal of signals) signal.addEventListener("abort", follow, { once: true });
  return {
    signal: controller.signal,
    isOver: () => over,
    leftMs: () => Math.max(0, end - performance.now()),
    lift: () => clearTimeout(timer),
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", follow);
    },
  };
}
