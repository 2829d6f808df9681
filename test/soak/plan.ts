/** What will happen, and when: drawn from a seed before anything starts, so that a run can be had again as far as a machine allows. */
import { openRandom } from "../support/random.ts";

export const issuers = ["issuer-1", "issuer-2", "issuer-3"] as const;
export const agents = ["agent-1", "agent-2"] as const;
export type Name = (typeof issuers)[number] | (typeof agents)[number];

/** Times are milliseconds since the load began. */
export type Event =
  | { readonly atMs: number; readonly kind: "kill"; readonly victim: Name }
  | { readonly atMs: number; readonly kind: "restart the database" }
  | { readonly atMs: number; readonly kind: "fail the database over" };

export interface Plan {
  readonly seed: number;
  /** In the order of their times. */
  readonly events: readonly Event[];
  /** When a workload asks for its certificate. */
  readonly callsAtMs: readonly number[];
  readonly lastKillMs: number;
  /** From here on every call must succeed. */
  readonly calmMs: number;
  readonly endMs: number;
}

/** On an average; each at a time of its own, as pods of many nodes start. */
const callsPerSecond = 25;
/** After the last kill, until all must be well. */
const settleMs = 10_000;
/** How long it must stay so. */
const calmForMs = 10_000;

export function drawPlan(minutes: number, seed: number, killEverySeconds: number): Plan {
  const random = openRandom(seed);
  const killEveryMs = killEverySeconds * 1000;
  const lastMs = Math.max(10_000, Math.round(minutes * 60_000));
  const kills = Array.from({ length: Math.floor(lastMs / killEveryMs) }, (_, n): Event => {
    return { atMs: (n + 1) * killEveryMs, kind: "kill", victim: random.pick([...issuers, ...agents]) };
  });
  const within = (from: number, to: number): number => Math.round(lastMs * (from + (to - from) * random.next()));
  const events: Event[] = [
    ...kills,
    { atMs: within(0.25, 0.4), kind: "restart the database" },
    { atMs: within(0.6, 0.75), kind: "fail the database over" },
  ];
  const calmMs = lastMs + settleMs;
  const endMs = calmMs + calmForMs;
  const calls = Array.from({ length: Math.round((endMs / 1000) * callsPerSecond) }, () =>
    Math.floor(random.next() * endMs),
  );
  return {
    seed,
    events: events.sort((a, b) => a.atMs - b.atMs),
    callsAtMs: calls.sort((a, b) => a - b),
    lastKillMs: lastMs,
    calmMs,
    endMs,
  };
}
