/** Times as tests want them: a clock that can be moved, and moments beside the real one's. */

export const daySeconds = 86_400;

/** A clock that runs with the real one, ahead of it or behind. TLS goes by the real one whatever this says. */
export interface Clock {
  now(): Date;
  offsetSeconds: number;
}

export function openClock(): Clock {
  const clock: Clock = { offsetSeconds: 0, now: () => new Date(Date.now() + clock.offsetSeconds * 1000) };
  return clock;
}

/** One that stands still: what waits by it waits as long as the machine takes. */
export function openStandingClock(): Clock {
  const begun = Date.now();
  const clock: Clock = { offsetSeconds: 0, now: () => new Date(begun + clock.offsetSeconds * 1000) };
  return clock;
}

/** With the clock moved, forward or back. */
export async function moved(clock: Clock, seconds: number, work: () => Promise<void>): Promise<void> {
  clock.offsetSeconds += seconds;
  try {
    await work();
  } finally {
    clock.offsetSeconds -= seconds;
  }
}

export function ago(seconds: number): Date {
  return new Date(Date.now() - seconds * 1000);
}
