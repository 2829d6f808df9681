/** What becomes of each durable write: drawn from a seed, so that a schedule that fails can be had again. */
import type { Random } from "../support/random.ts";

/**
 * Lost, or kept though it was reported lost; slow, by the issuer's clock; the process is gone before it or right after it; or refused
 * by the database itself, while another process holds its lock.
 */
export const fates = ["lost", "kept", "slow", "killed before", "killed after", "refused"] as const;
export type Fate = (typeof fates)[number];

/** One cell of the matrix. A write is named by the verb of its act, or by what it is where it has none. */
export interface Cell {
  readonly write: string;
  readonly fate: Fate;
}

export interface Fates {
  /** Of this write, which is about to be committed. */
  of(write: string): Exclude<Fate, "refused"> | "done";
  /** Whether the database is to refuse this write. It counts once the database has: see `refused`. */
  refuses(write: string): boolean;
  refused(write: string): void;
  /** All is well while this goes on. */
  calm<T>(work: () => Promise<T>): Promise<T>;
  /** From now on all is well. */
  end(): void;
  /** Whether the write that this schedule is about has met its fate. */
  hit(): boolean;
  /** How often each has happened, by `toCell`. */
  readonly met: ReadonlyMap<string, number>;
}

export function toCell({ write, fate }: Cell): string {
  return `${write}: ${fate}`;
}

/** The first write of the cell's name meets the cell's fate, and before that all is well; afterwards it is all chance. */
export function drawFates(random: Random, cell?: Cell): Fates {
  const met = new Map<string, number>();
  // Some schedules have a fault now and then, in some hardly anything works.
  const often = 0.02 + 0.3 * random.next() ** 2;
  let aim = cell;
  let calm = 0;
  const meet = (write: string, fate: Fate): void => {
    const name = toCell({ write, fate });
    met.set(name, (met.get(name) ?? 0) + 1);
    if (aim?.write === write && aim.fate === fate) aim = undefined;
  };
  const draw = (write: string): Fate | "done" => {
    if (aim !== undefined && calm === 0) return aim.write === write ? aim.fate : "done";
    return calm > 0 || random.next() >= often ? "done" : random.pick(fates);
  };
  return {
    met,
    of: (write) => {
      const fate = draw(write);
      if (fate === "done" || fate === "refused") return "done";
      meet(write, fate);
      return fate;
    },
    refuses: (write) => draw(write) === "refused",
    refused: (write) => meet(write, "refused"),
    calm: async (work) => {
      calm += 1;
      try {
        return await work();
      } finally {
        calm -= 1;
      }
    },
    end: () => {
      calm += 1;
    },
    hit: () => aim === undefined,
  };
}
