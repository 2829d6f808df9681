/**
 * How long the hub may be away before somebody's certificate ends. Workloads renew at half of a certificate's life, so whoever was past
 * that when the hub was last there has a newer one; the first of the others to end is the first to suffer.
 */
import { readCertificate } from "../pki/certificate.ts";

export interface LeafEnds {
  /** Of a certificate that is handed out, DER. */
  see(leaf: Uint8Array): void;
  /** The first end among those that were not to be renewed yet when the hub was last there; undefined when there are none. */
  first(reachable: boolean): Date | undefined;
}

/** Under load a few tell of all: reading every leaf would cost as much as checking it. */
const lookMs = 50;
/** Ends are kept by the minute. */
const minuteMs = 60_000;
/** Ninety days of minutes: as many as certificates can live. */
const endsMax = 130_000;

export function openLeafEnds(now: () => Date): LeafEnds {
  /** By the minute of the end, when the last of them is to be renewed. */
  const renewals = new Map<number, number>();
  let looked = Number.NEGATIVE_INFINITY;
  let reached = now().getTime();

  const forget = (): void => {
    for (const [minute, renewal] of renewals) if (renewal < reached) renewals.delete(minute);
  };

  return {
    see(leaf) {
      const at = now().getTime();
      reached = at;
      if (at - looked < lookMs) return;
      looked = at;
      const { notBefore, notAfter } = readCertificate(leaf);
      if (renewals.size >= endsMax) forget();
      const minute = Math.floor(notAfter.getTime() / minuteMs);
      const renewal = (notBefore.getTime() + notAfter.getTime()) / 2;
      renewals.set(minute, Math.max(renewal, renewals.get(minute) ?? 0));
    },
    first(reachable) {
      if (reachable) reached = now().getTime();
      forget();
      if (renewals.size === 0) return undefined;
      let first = Number.POSITIVE_INFINITY;
      for (const minute of renewals.keys()) first = Math.min(first, minute);
      return new Date(first * minuteMs);
    },
  };
}
