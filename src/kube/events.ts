/**
 * Kubernetes Events: what a user sees in `kubectl describe`. Best effort, and bounded: the same thing said again is counted, not
 * written again, and a storm is cut off, in one namespace and of one reason alone. `events.k8s.io/v1` rather than the core's, since its
 * series are made for that.
 */
import type { EventsV1Event } from "@kubernetes/client-node";
import type { Log } from "../ops/log.ts";
import { isNotFound } from "./api-error.ts";
import type { Client } from "./client.ts";
import type { Meta } from "./meta.ts";
import { toMicroTime } from "./micro-time.ts";
import { createObject, mergeObject } from "./objects.ts";
import { type Resource, resources, toApiVersion } from "./resource.ts";
import type { Wire } from "./wire.ts";

export interface Occurrence {
  readonly resource: Resource;
  readonly object: Meta;
  readonly type: "Normal" | "Warning";
  /** Machine's: `Issued`, `PolicyDenied`. */
  readonly reason: string;
  /** What was being done: `Sign`. */
  readonly action: string;
  /** People's. Never a token, a key or a CSR. */
  readonly note: string;
}

export interface EventRecorder extends AsyncDisposable {
  /** Never throws, never waits. False where it is one too many: whoever has to have it told says it again later. */
  record(occurrence: Occurrence): boolean;
}

export interface EventsConfig {
  /** Such as `espalier.dev/agent`. */
  readonly controller: string;
  /** This process, such as the pod's name. */
  readonly instance: string;
  /** How often the count of a repeated event is written. Default 60 s. */
  readonly seriesMs?: number;
  /** New events of one reason in one namespace at once, and one more in each `refillMs`. Default 25, 5 s. */
  readonly burst?: number;
  readonly refillMs?: number;
}

/** What is forgotten is written as new when it happens again. */
const rememberedMax = 1_000;
/** Behind these, new ones are dropped. */
const pendingMax = 100;
/** The API server's limit. */
const noteMax = 1_024;
/** The API server takes none that is older than its own 6 minutes into account for a series; then begin a new one. */
const seriesLifeMs = 360_000;

interface Told {
  readonly namespace: string;
  readonly name: string;
  count: number;
  writtenCount: number;
  at: number;
  writtenAt: number;
}

export interface EventsParts {
  readonly client: Client;
  readonly now: () => Date;
  readonly log: Log;
}

export function startEvents(config: EventsConfig, { client, now, log }: EventsParts): EventRecorder {
  const { seriesMs = 60_000, burst = 25, refillMs = 5_000 } = config;
  const stopping = new AbortController();
  const told = new Map<string, Told>();
  /** When all of a burst can be had again. */
  const fullAgain = new Map<string, number>();
  let pending = 0;
  let last: Promise<void> = Promise.resolve();

  /** `kind` is what is rationed. */
  const spend = (kind: string, at: number): boolean => {
    const since = Math.max(at, fullAgain.get(kind) ?? at);
    if (since - at > (burst - 1) * refillMs) return false;
    keep(fullAgain, kind, since + refillMs);
    return true;
  };

  /** One after the other: events are nobody's hurry. */
  const post = (write: () => Promise<unknown>, key: string): void => {
    pending += 1;
    last = last
      .then(async () => {
        if (!stopping.signal.aborted) await write();
      })
      .catch((error: unknown) => {
        told.delete(key);
        if (!isNotFound(error) && !stopping.signal.aborted) log.warn("event not written", { message: String(error) });
      })
      .finally(() => {
        pending -= 1;
      });
  };

  const repeat = (key: string, before: Told, date: Date): void => {
    before.count += 1;
    before.at = date.getTime();
    if (pending >= pendingMax || (before.at - before.writtenAt < seriesMs && before.writtenCount > 1)) return;
    before.writtenAt = before.at;
    before.writtenCount = before.count;
    const series = { count: before.count, lastObservedTime: toMicroTime(date) };
    post(() => mergeObject(client, resources.events, before, { series }, { signal: stopping.signal }), key);
  };

  const record = (occurrence: Occurrence): boolean => {
    const { object, type, reason, action } = occurrence;
    const date = now();
    const at = date.getTime();
    const note = occurrence.note.slice(0, noteMax);
    const key = JSON.stringify([object.uid, type, reason, action, note]);
    const before = told.get(key);
    if (before !== undefined && at - before.at < seriesLifeMs) {
      repeat(key, before, date);
      return true;
    }
    if (stopping.signal.aborted || pending >= pendingMax) return false;
    if (!spend(JSON.stringify([object.namespace, reason]), at)) return false;
    // Of what is in no namespace, the API server takes events in this one only.
    const namespace = object.namespace || "default";
    // As client-go: unique, and sorted by time. Some objects' names have what an event's may not, such as colons.
    const name = `${object.name
      .slice(0, 200)
      .toLowerCase()
      .replaceAll(/[^a-z0-9.-]/g, "-")}.${at.toString(16)}${Math.floor(Math.random() * 0xffff_ffff).toString(16)}`;
    keep(told, key, { namespace, name, count: 1, writtenCount: 1, at, writtenAt: at });
    const body = toEvent(occurrence, config, { namespace, name, note, date });
    post(() => createObject(client, resources.events, { namespace }, body, { signal: stopping.signal }), key);
    return true;
  };

  return {
    record,
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await last;
    },
  };
}

/** The oldest go. */
function keep<T>(all: Map<string, T>, key: string, value: T): void {
  all.delete(key);
  all.set(key, value);
  for (const oldest of all.keys()) {
    if (all.size <= rememberedMax) return;
    all.delete(oldest);
  }
}

interface Written {
  readonly namespace: string;
  readonly name: string;
  readonly note: string;
  readonly date: Date;
}

function toEvent(
  { resource, object, type, reason, action }: Occurrence,
  { controller, instance }: EventsConfig,
  { namespace, name, note, date }: Written,
): Wire<EventsV1Event> {
  return {
    apiVersion: toApiVersion(resources.events),
    kind: resources.events.kind,
    metadata: { namespace, name },
    eventTime: toMicroTime(date),
    type,
    reason,
    action,
    note,
    regarding: {
      apiVersion: toApiVersion(resource),
      kind: resource.kind,
      name: object.name,
      uid: object.uid,
      resourceVersion: object.resourceVersion,
      ...(object.namespace === "" ? {} : { namespace: object.namespace }),
    },
    reportingController: controller,
    reportingInstance: instance,
  };
}
