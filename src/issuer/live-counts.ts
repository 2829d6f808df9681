/**
 * How many certificates of a tenant have not ended. Kept in memory, by the minute in which they end, so that a request costs a
 * look-up: this replica adds what it gives, and counts anew from the ledger now and then, for what others have given.
 */
import { setTimeout } from "node:timers/promises";
import { leafMs } from "../controller/succession.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Log } from "../ops/log.ts";
import type { Declared } from "../resources/declared.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";
import type { LiveWorld } from "./live.ts";

export interface LiveCounts {
  count(tenant: string, at: Date): number;
  add(tenant: string, notAfter: Date): void;
  /** From the ledger, with what is added meanwhile. */
  recount(tenants: readonly MeshTenant[], ledger: Pick<Ledger, "live">, at: Date): Promise<void>;
}

export interface RecountParts {
  readonly ledger: Pick<Ledger, "live">;
  readonly live: Pick<LiveWorld, "world">;
  readonly now: () => Date;
  readonly log: Log;
}

interface Ends {
  total: number;
  /** Up to here they have been taken off. */
  minute: number;
  readonly minutes: Map<number, number>;
}

const minuteMs = 60_000;
const recountMs = 300_000;
/** Clocks of replicas, and the order in which their entries came. */
const slackMs = 3_600_000;

export function openLiveCounts(): LiveCounts {
  let tenants = new Map<string, Ends>();
  /** Added while the ledger is being counted. */
  let meanwhile: (readonly [tenant: string, notAfter: Date])[] | undefined;
  return {
    count: (tenant, at) => {
      const ends = tenants.get(tenant);
      return ends === undefined ? 0 : takeOff(ends, Math.floor(+at / minuteMs));
    },
    add: (tenant, notAfter) => {
      put(tenants, tenant, notAfter);
      meanwhile?.push([tenant, notAfter]);
    },
    recount: async (wanted, ledger, at) => {
      const longestMs = Math.max(...wanted.map(leafMs));
      const names = new Set(wanted.map(({ name }) => name));
      const next = new Map<string, Ends>();
      meanwhile = [];
      try {
        for await (const { intents } of ledger.live({ since: new Date(+at - longestMs - slackMs) }, at)) {
          for (const { log, notAfter } of intents) if (names.has(log)) put(next, log, notAfter);
        }
        for (const [tenant, notAfter] of meanwhile) put(next, tenant, notAfter);
        tenants = next;
      } finally {
        meanwhile = undefined;
      }
    },
  };
}

function put(tenants: Map<string, Ends>, tenant: string, notAfter: Date): void {
  const minute = Math.floor(+notAfter / minuteMs);
  const ends = tenants.get(tenant) ?? { total: 0, minute: 0, minutes: new Map<number, number>() };
  tenants.set(tenant, ends);
  ends.total += 1;
  ends.minutes.set(minute, (ends.minutes.get(minute) ?? 0) + 1);
}

/** Those that have ended before this minute; at most a look at each minute for which there are any. */
function takeOff(ends: Ends, now: number): number {
  if (ends.minute === now) return ends.total;
  ends.minute = now;
  for (const [minute, count] of ends.minutes) {
    if (minute >= now) continue;
    ends.total -= count;
    ends.minutes.delete(minute);
  }
  return ends.total;
}

/** Tenants whose live certificates are counted. */
export function limited({ tenants }: Declared): readonly MeshTenant[] {
  return [...tenants.values()].filter(({ quotas }) => quotas.liveCertificates !== undefined);
}

/** At once, and every five minutes; nothing where no tenant has a limit. */
export function startRecounts(counts: LiveCounts, { ledger, live, now, log }: RecountParts): AsyncDisposable {
  const closing = new AbortController();
  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      const tenants = limited(live.world().declared);
      const failed = (error: unknown): void => log.error("live certificates not counted", {}, error);
      if (tenants.length > 0) await counts.recount(tenants, ledger, now()).catch(failed);
      await setTimeout(recountMs, undefined, closing).catch(() => undefined);
    }
  }
  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}
