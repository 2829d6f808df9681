/**
 * How much of the issuer one cluster has at work, on all streams of all its agents together: opening more of them is no way to
 * more. Beyond its share they are not read, which agents feel as HTTP/2's flow control, and then read on one after the other.
 */

import { Refusal } from "../errors.ts";

/** Sixteen agents with all they send at once. */
const itemsMax = 4096;
/** Two connections and a Watch for each of 64 agents, and as many again while they change their certificates. */
const streamsMax = 512;

export interface Shares {
  /** Counts items in. False when the cluster has more than its share: whoever brought them should wait. */
  take(cluster: string, items: number): boolean;
  /** So many are answered. */
  give(cluster: string, items: number): void;
  /** `readOn` is called once, when it is this stream's turn again. */
  hold(cluster: string, readOn: () => void): void;
  /** The stream has ended. */
  leave(cluster: string, readOn: () => void): void;
}

interface Share {
  items: number;
  /** In the order in which they came to wait. */
  readonly held: Set<() => void>;
}

export function openShares(max = itemsMax): Shares {
  const shares = new Map<string, Share>();
  const of = (cluster: string): Share => {
    const share = shares.get(cluster) ?? { items: 0, held: new Set() };
    shares.set(cluster, share);
    return share;
  };
  return {
    take: (cluster, items) => {
      const share = of(cluster);
      share.items += items;
      return share.items <= max;
    },
    give: (cluster, items) => {
      const share = of(cluster);
      share.items -= items;
      const last = share.items === 0;
      if (last) shares.delete(cluster);
      for (const readOn of share.held) {
        if (share.items > max) return;
        share.held.delete(readOn);
        readOn();
        // One at a time, for each answer; nothing would call the others after the last.
        if (!last) return;
      }
    },
    hold: (cluster, readOn) => void of(cluster).held.add(readOn),
    leave: (cluster, readOn) => void shares.get(cluster)?.held.delete(readOn),
  };
}

/** Streams of one cluster's agents: a port takes some thousands, and those of a stolen agent are not to be all of them. */
export interface Places {
  /** One of them, until it is disposed of. @throws Refusal `overloaded`. */
  take(cluster: string): Disposable;
}

export function openPlaces(max = streamsMax): Places {
  const taken = new Map<string, number>();
  return {
    take: (cluster) => {
      const before = taken.get(cluster) ?? 0;
      if (before >= max)
        throw new Refusal("overloaded", `cluster "${cluster}" has ${max} streams open, as many as one may`);
      taken.set(cluster, before + 1);
      return {
        [Symbol.dispose]: () => {
          const left = (taken.get(cluster) ?? 0) - 1;
          if (left > 0) taken.set(cluster, left);
          else taken.delete(cluster);
        },
      };
    },
  };
}
