/** What becomes of each durable write: drawn from a seed, so that a schedule that fails can be had again. */
import type { WriteName } from "../../src/ledger/connection.ts";
import type { Random } from "../support/random.ts";

/** A write of the database, or a key that is made. */
export type DurableWrite = WriteName | "key";

/**
 * Lost, or kept though it was reported lost; slow, by the issuer's clock; or the process is gone before it or right after it.
 * Refused is the database's own word, while another process holds its lock: see `Disk.lock`.
 */
export const fates = ["lost", "kept", "slow", "killed before", "killed after", "refused"] as const;
export type Fate = (typeof fates)[number];

export interface Fates {
  /** Of this write. */
  of(write: DurableWrite): Exclude<Fate, "refused"> | "done";
  /** Whether the database refuses everything until the next step. */
  refuses(): boolean;
  /** From now on all is well. */
  end(): void;
  /** How often each has happened to each write. */
  readonly met: ReadonlyMap<string, number>;
}

export function drawFates(random: Random): Fates {
  const met = new Map<string, number>();
  // Some schedules have a fault now and then, in some hardly anything works.
  const often = 0.02 + 0.3 * random.next() ** 2;
  let ended = false;
  const meet = (write: string, fate: Fate): void =>
    void met.set(`${write} ${fate}`, (met.get(`${write} ${fate}`) ?? 0) + 1);
  return {
    met,
    of: (write) => {
      if (ended || random.next() >= often) return "done";
      const fate = random.pick(["lost", "kept", "slow", "killed before", "killed after"] as const);
      meet(write, fate);
      return fate;
    },
    refuses: () => {
      if (ended || random.next() >= often) return false;
      meet("any", "refused");
      return true;
    },
    end: () => {
      ended = true;
    },
  };
}
