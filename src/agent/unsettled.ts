/** Requests by objects that have neither a certificate nor an end yet, for whoever looks at the metrics. Only the agent that leads has any. */
import type { Labelled, Metrics } from "../ops/metrics.ts";
import type { DoorName } from "./request-item.ts";

/** Those of one door, by UID, until it closes. */
export interface Unsettled extends Disposable {
  /** From now on, unless it was there before. */
  see(uid: string): void;
  waitsFor(uid: string): WaitsFor;
  wait(uid: string, waitsFor: WaitsFor): void;
  settle(uid: string): void;
}

export interface WaitsFor {
  /** What it is called as an Event; empty where it is not known to wait. */
  readonly event: string;
  /** Whether anybody has been told. */
  readonly told: boolean;
}

export type OpenUnsettled = (door: DoorName) => Unsettled;

interface One {
  readonly sinceMs: number;
  waitsFor: WaitsFor;
}

const nothing: WaitsFor = { event: "", told: false };

export function openUnsettled({
  metrics,
  now,
}: {
  readonly metrics: Metrics;
  readonly now: () => Date;
}): OpenUnsettled {
  // As informers do, in the order in which they were seen.
  const doors = new Map<DoorName, Map<string, One>>();
  const rows = (valueOf: (some: readonly One[]) => number): readonly Labelled[] =>
    [...doors].flatMap(([door, all]) => {
      const byReason = Map.groupBy(all.values(), ({ waitsFor }) => waitsFor.event);
      return [...new Map([["", []], ...byReason])].map(([reason, some]): Labelled => [{ door, reason }, valueOf(some)]);
    });
  metrics.gauges(
    "requests_waiting",
    "Objects that ask for a certificate and have neither that nor a refusal, at the agent that leads. A door is certificate-request or csr; a reason is the Event that says what is waited for, and empty before there is one.",
    ["door", "reason"],
    () => rows(({ length }) => length),
  );
  metrics.gauges(
    "requests_oldest_seconds",
    "For how long the first of them has waited, since this agent has seen it, in seconds.",
    ["door", "reason"],
    () => rows(([first]) => (first === undefined ? 0 : (+now() - first.sinceMs) / 1000)),
  );
  return (door) => {
    const all = new Map<string, One>();
    doors.set(door, all);
    return {
      see: (uid) => {
        if (!all.has(uid)) all.set(uid, { sinceMs: +now(), waitsFor: nothing });
      },
      waitsFor: (uid) => all.get(uid)?.waitsFor ?? nothing,
      wait: (uid, waitsFor) => {
        const one = all.get(uid);
        if (one !== undefined) one.waitsFor = waitsFor;
      },
      settle: (uid) => void all.delete(uid),
      [Symbol.dispose]: () => void doors.delete(door),
    };
  };
}
