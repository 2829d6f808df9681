/** Keeps trust as it should be in many places: one object each, written the moment it is needed, and told of where that cannot be. */
import { Refusal } from "../errors.ts";
import { ApiError } from "../kube/api-error.ts";
import { applyObject } from "../kube/apply.ts";
import type { Client } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Meta } from "../kube/meta.ts";
import type { One } from "../kube/objects.ts";
import { startQueue } from "../kube/queue.ts";
import type { Resource } from "../kube/resource.ts";
import type { Log } from "../ops/log.ts";
import { decideTrust, type Written } from "./decide-trust.ts";

/** One object, as it is and as it should be. */
export interface Place {
  /** For people. */
  readonly name: string;
  readonly resource: Resource;
  readonly one: One;
  readonly now: Written;
  readonly wanted: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Whether an istiod whose own CA is still on writes there too. */
  readonly isIstiods: boolean;
  /** What an Event tells of; undefined where there is nothing yet. */
  readonly about: { readonly resource: Resource; readonly object: Meta } | undefined;
}

export interface TrustWriter extends AsyncDisposable {
  /** Something has happened there. */
  look(key: string): void;
  /** Resolves once all of these are as they should be. */
  put(keys: readonly string[]): Promise<void>;
  /** Places that refuse it: a full quota, an immutable ConfigMap, a webhook that says no, an istiod that fights. */
  lacking(): readonly string[];
  /** Those of them that an istiod fights for: its CA is still on. */
  conflicts(): readonly string[];
}

export interface WriterConfig {
  /** Undefined where nothing is to be written, or not any more. */
  readonly find: (key: string) => Place | undefined;
  /** After this long a conflict is tried once more: the operator may have turned istiod's CA off. Default 10 min. */
  readonly conflictPauseMs?: number | undefined;
}

export interface WriterParts {
  readonly client: Client;
  readonly events: EventRecorder;
  readonly log: Log;
  /** Somebody else's roots stood where ours belong. */
  readonly onOverwritten?: () => void;
}

export function startTrustWriter(
  config: WriterConfig,
  { client, events, log, onOverwritten }: WriterParts,
): TrustWriter {
  const { find, conflictPauseMs = 600_000 } = config;
  const ours = new Map<string, string>();
  const lacking = new Map<string, string>();
  /** Until when each is left alone. */
  const conflicts = new Map<string, number>();
  const pauseLeftMs = (): number => Math.max(0, ...conflicts.values()) - performance.now();
  const waiting: PromiseWithResolvers<void>[] = [];
  const open = new Set<string>();

  const work = async (key: string, signal: AbortSignal): Promise<{ againAfterMs: number } | void> => {
    const place = find(key);
    if (place === undefined) return settle(key);
    const step = decideTrust({ ...place, ours: ours.get(key) });
    switch (step.kind) {
      case "none":
        ours.set(key, place.wanted);
        return settle(key);
      case "conflict": {
        if (!conflicts.has(key)) tellConflict(place);
        conflicts.set(key, performance.now() + conflictPauseMs);
        lacking.set(key, place.name);
        // Forgotten, so that the next look counts as the first.
        ours.delete(key);
        return { againAfterMs: conflictPauseMs };
      }
      case "write": {
        // That istiod writes everywhere: nowhere is it fought.
        if (step.overwrites && pauseLeftMs() > 0) {
          lacking.set(key, place.name);
          return { againAfterMs: pauseLeftMs() };
        }
        await write(key, place, signal);
        ours.set(key, place.wanted);
        if (step.overwrites) tellOverwritten(place);
        return settle(key);
      }
    }
  };

  const write = async (key: string, place: Place, signal: AbortSignal): Promise<void> => {
    const { resource, one, content, labels } = place;
    try {
      // If we stop before this, the place has what it had; the next leader sees the same and does the same.
      await applyObject(client, resource, one, content, { force: true, signal, ...(labels && { labels }) });
    } catch (error) {
      // An API server that is away refuses nothing; what is on its way out need not have it.
      if (error instanceof ApiError && find(key) !== undefined) {
        if (!lacking.has(key)) tellRefused(place, error);
        lacking.set(key, place.name);
      }
      throw error;
    }
  };

  const queue = startQueue({ name: "trust", work }, log);

  const settle = (key: string): void => {
    open.delete(key);
    lacking.delete(key);
    conflicts.delete(key);
    if (open.size > 0) return;
    for (const { resolve } of waiting.splice(0)) resolve();
  };

  const tell = ({ about }: Place, reason: string, note: string): void => {
    if (about !== undefined) events.record({ ...about, type: "Warning", reason, action: "Distribute", note });
  };

  const tellOverwritten = (place: Place): void => {
    onOverwritten?.();
    log.warn("foreign trust overwritten", { place: place.name });
    tell(place, "TrustOverwritten", `${place.one.name} held roots that are not this cluster's and was overwritten`);
  };

  const tellConflict = (place: Place): void => {
    log.error("trust conflict: istiod distributes its own root", { place: place.name });
    const note = `${place.one.name} is written by an istiod whose own CA is on: set pilot.env.ENABLE_CA_SERVER=false`;
    tell(place, "TrustConflict", note);
  };

  const tellRefused = (place: Place, { message }: ApiError): void => {
    log.error("trust refused", { place: place.name, message });
    tell(place, "TrustRefused", `${place.one.name} cannot be written: ${message}`);
  };

  return {
    look: (key) => {
      // At once: what is on its way out must hold up nobody until its next try.
      if (find(key) === undefined) settle(key);
      else queue.add(key);
    },
    put: async (keys) => {
      for (const key of keys) open.add(key);
      const written = Promise.withResolvers<void>();
      waiting.push(written);
      for (const key of keys) queue.add(key);
      if (keys.length === 0) settle("");
      await written.promise;
    },
    lacking: () => [...lacking.values()],
    conflicts: () => [...conflicts.keys()].flatMap((key) => lacking.get(key) ?? []),
    [Symbol.asyncDispose]: async () => {
      for (const { reject } of waiting.splice(0)) reject(new Refusal("unavailable", "another agent leads now"));
      await queue[Symbol.asyncDispose]();
    },
  };
}
