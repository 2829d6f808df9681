/** Work that is done again and again behind everything else: one pass after the other, on a timer or when somebody asks. */
import { Refusal } from "../errors.ts";
import type { SequencerOptions } from "./sequencer.ts";

export interface Passes extends AsyncDisposable {
  /** A pass now, with a head at its end. */
  run(): Promise<void>;
}

/**
 * `pass` is told whether a head is due. It is called once more when this is closed. One that is refused as `not-ready` ends
 * the timer, where `endsWhenFenced`: the epoch is another's and does not come back.
 */
export function startPasses(
  pass: (headDue: boolean) => Promise<void>,
  { intervalMs = 1000, headIntervalMs = 60_000, onFault = () => undefined }: SequencerOptions,
  endsWhenFenced: boolean,
): Passes {
  let headAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let running = Promise.resolve();

  /** One pass after the other, whoever asked. */
  function enqueue(isDue: () => boolean): Promise<void> {
    const next = running.then(async () => {
      const headDue = isDue();
      await pass(headDue);
      if (headDue) headAt = performance.now();
    });
    running = next.catch(() => undefined);
    return next;
  }

  async function tick(): Promise<void> {
    try {
      await enqueue(() => performance.now() - headAt >= headIntervalMs);
    } catch (error) {
      onFault(error);
      if (endsWhenFenced) closed ||= error instanceof Refusal && error.code === "not-ready";
    }
    if (!closed) timer = setTimeout(() => void tick(), intervalMs);
  }

  timer = setTimeout(() => void tick(), intervalMs);
  return {
    run: () => enqueue(() => true),
    async [Symbol.asyncDispose]() {
      const wasClosed = closed;
      closed = true;
      clearTimeout(timer);
      if (!wasClosed) await enqueue(() => true).catch(onFault);
    },
  };
}
