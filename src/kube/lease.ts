/**
 * One of several leads, by a Lease. Time is only ever measured here and monotonically: what a lease says about time was written
 * by another machine's clock. A leader believes in itself until `renewMs` after it *began* its last good renewal; the others until
 * `leaseMs` after they *saw* it. So two lead at once only if one clock runs half as fast again as another.
 */
import type { Log } from "../ops/log.ts";
import { isConflict, isNotFound } from "./api-error.ts";
import type { Client } from "./client.ts";
import { type LeaseClaim, type LeaseRecord, readLease, toLease } from "./lease-record.ts";
import { createObject, getObject, replaceObject } from "./objects.ts";
import { pause } from "./pause.ts";
import { resources } from "./resource.ts";

export interface ElectionConfig {
  readonly namespace: string;
  readonly name: string;
  /** Of this process and no other: a pod's name, and something random. */
  readonly identity: string;
  /** Others take over when they have seen no renewal for so long. Default 15 s. */
  readonly leaseMs?: number;
  /** The leader gives up when it could not renew for so long. Less than `leaseMs`. Default 10 s. */
  readonly renewMs?: number;
  /** Between tries. Default 2 s. */
  readonly retryMs?: number;
}

export interface ElectionParts {
  readonly client: Client;
  readonly now: () => Date;
  readonly log: Log;
  /**
   * Runs while we lead. The signal means that we don't any more: nothing may be written after it. What it returns before
   * that, or throws, gives the lead away too.
   */
  readonly lead: (signal: AbortSignal) => Promise<void>;
}

export interface Election extends AsyncDisposable {
  /** Asked right before each write: after a long pause of this process its own timers are late. */
  isLeader(): boolean;
}

/** Disposing waits for `lead` to end, and then lets go of the lease at once. */
export function startElection(config: ElectionConfig, parts: ElectionParts): Election {
  const { retryMs = 2_000 } = config;
  const stopping = new AbortController();
  const candidate = openCandidate(config, parts);
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      if (await candidate.tryToHold(stopping.signal)) await reign(candidate, parts, retryMs, stopping.signal);
      await pause(retryMs * (0.9 + Math.random() * 0.2), stopping.signal);
    }
  };
  const done = run();
  return {
    isLeader: () => candidate.leftMs() > 0 && !stopping.signal.aborted,
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await done;
    },
  };
}

/** From gaining the lease to having lost it or let go of it. */
async function reign(candidate: Candidate, { lead, log }: ElectionParts, retryMs: number, stop: AbortSignal) {
  const ending = new AbortController();
  const end = () => ending.abort();
  log.info("leading", { lease: candidate.name });
  let led = false;
  const work = lead(ending.signal)
    .catch((error: unknown) => log.error("leading failed", { lease: candidate.name }, error))
    .finally(() => {
      led = true;
      end();
    });
  let timer = setTimeout(end, candidate.leftMs());
  stop.addEventListener("abort", end, { once: true });
  while (!ending.signal.aborted) {
    await pause(retryMs, ending.signal);
    if (ending.signal.aborted || !(await candidate.tryToHold(ending.signal))) {
      // A failed try is no loss yet: the timer knows when it is.
      if (candidate.leftMs() <= 0) end();
      continue;
    }
    clearTimeout(timer);
    timer = setTimeout(end, candidate.leftMs());
  }
  clearTimeout(timer);
  stop.removeEventListener("abort", end);
  const lost = !led && !stop.aborted;
  if (lost) log.warn("not leading any more", { lease: candidate.name });
  await work;
  await candidate.release();
}

interface Candidate {
  readonly name: string;
  /** How long we may believe in ourselves without asking again; 0 if we don't hold it. */
  leftMs(): number;
  /** Whether we hold it now. False also when the API server can't be asked. */
  tryToHold(signal: AbortSignal): Promise<boolean>;
  /** Lets go of it, if it is still ours. */
  release(): Promise<void>;
}

interface Seen {
  readonly record: LeaseRecord;
  /** When we saw it in this state for the first time. */
  readonly at: number;
}

function openCandidate(config: ElectionConfig, { client, now, log }: ElectionParts): Candidate {
  const { namespace, name, identity, leaseMs = 15_000, renewMs = 10_000, retryMs = 2_000 } = config;
  const one = { namespace, name };
  let seen: Seen | undefined;
  let until = 0;

  const claim = (holder: string): LeaseClaim => ({ ...one, holder, durationMs: holder ? leaseMs : 1_000, now: now() });
  const see = (record: LeaseRecord): Seen => {
    if (seen?.record.uid !== record.uid || seen.record.resourceVersion !== record.resourceVersion) {
      seen = { record, at: performance.now() };
    }
    return seen;
  };

  const hold = async (signal: AbortSignal): Promise<boolean> => {
    const options = { signal, deadlineMs: Math.max(retryMs, renewMs / 2) };
    const found = await find(options);
    const begun = performance.now();
    if (found === undefined) {
      // If we stop here, the lease is ours without us, and the others take it when its time is over. So below.
      see(readLease(await createObject(client, resources.leases, { namespace }, toLease(claim(identity)), options)));
    } else {
      const { record, at } = see(found);
      const others = record.holder !== "" && record.holder !== identity;
      if (others) until = 0;
      if (others && begun - at < Math.max(record.durationMs, leaseMs)) return false;
      see(readLease(await replaceObject(client, resources.leases, one, toLease(claim(identity), record), options)));
    }
    until = begun + renewMs;
    return true;
  };

  const find = async (options: { signal: AbortSignal; deadlineMs: number }): Promise<LeaseRecord | undefined> => {
    try {
      return readLease(await getObject(client, resources.leases, one, options));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };

  const leftMs = (): number => Math.max(0, until - performance.now());
  return {
    name: `${namespace}/${name}`,
    leftMs,
    tryToHold: async (signal) => {
      try {
        return await hold(signal);
      } catch (error) {
        if (!isConflict(error) && !signal.aborted) {
          log.warn("lease not asked", { lease: `${namespace}/${name}`, message: String(error) });
        }
        return false;
      }
    },
    release: async () => {
      const held = seen?.record;
      until = 0;
      if (held?.holder !== identity) return;
      try {
        const body = toLease(claim(""), held);
        see(readLease(await replaceObject(client, resources.leases, one, body, { deadlineMs: retryMs })));
      } catch {
        // Somebody else has it, or nobody can be asked: its time will be over soon.
      }
    },
  };
}
