/** Random numbers that come again for the same seed: what a test has drawn, a person can draw again. */

export interface Random {
  /** At least 0, below 1. */
  next(): number;
  /** A whole number from 0 on, below `count`. */
  below(count: number): number;
  /** @throws Error where there is nothing to pick from. */
  pick<T>(all: readonly T[]): T;
}

/** Mulberry32: a state of 32 bits, and good enough to draw schedules with. Never for a key. */
export function openRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number): number => Math.floor(next() * count);
  return {
    next,
    below,
    pick: (all) => {
      const picked = all[below(all.length)];
      if (picked === undefined) throw new Error("nothing to pick from");
      return picked;
    },
  };
}
