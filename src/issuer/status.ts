/**
 * Tells each object what became of it, and holds what others name until they don't. Only the issuer that leads writes; two that
 * both believe so write the same, since a status says nothing but what is in force.
 */

import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { isConflict, isNotFound } from "../kube/api-error.ts";
import type { Client } from "../kube/client.ts";
import { isRecord, listAt } from "../kube/json.ts";
import { mergeObject } from "../kube/objects.ts";
import type { Log } from "../ops/log.ts";
import { toApiResource } from "../resources/crd.ts";
import { toPlace } from "../resources/objects.ts";
import { type Condition, decideStatus, type Standing, usersOf } from "./decide-status.ts";
import type { KubeObject, KubeObjects } from "./kube-objects.ts";

/** An object with it is not deleted before we take it off. */
export const finalizer = "espalier.dev/in-use";
/** How often is looked, whether anything is told or not: whoever begins to lead is not told so. */
const lookMs = 5_000;
/** After a change, so that several are written as one. */
const settleMs = 100;

export interface StatusParts {
  readonly client: Client;
  readonly objects: KubeObjects;
  readonly standing: () => Standing;
  readonly leads: () => boolean;
  readonly now: () => Date;
  readonly log: Log;
}

export interface StatusWriter extends AsyncDisposable {
  /** Something may have changed. */
  stir(): void;
}

export function startStatus(parts: StatusParts): StatusWriter {
  const { objects, leads, log } = parts;
  const stop = new AbortController();
  const { signal } = stop;
  let stirred = Promise.withResolvers<void>();
  const stir = (): void => stirred.resolve();
  const subscription = objects.subscribe(stir);
  const pause = async (ms: number): Promise<void> => await delay(ms, undefined, { signal }).catch(() => undefined);

  const look = async (object: KubeObject): Promise<void> => {
    try {
      await hold(object, parts, signal);
      await write(object, parts, signal);
    } catch (error) {
      // It has changed or gone meanwhile: the next look sees it as it is.
      if (signal.aborted || isConflict(error) || isNotFound(error)) return;
      log.warn("status not written", { object: toPlace(object), message: String(error) });
    }
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      await Promise.race([stirred.promise, pause(lookMs)]);
      await pause(settleMs);
      stirred = Promise.withResolvers();
      for (const object of objects.list()) if (leads() && !signal.aborted) await look(object);
    }
  };
  const done = run();
  return {
    stir,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      subscription[Symbol.dispose]();
      await done;
    },
  };
}

/** Of a MeshTenant nothing depends; what it names is held for as long as it does in the state in force. */
async function hold(object: KubeObject, { client, standing }: StatusParts, signal: AbortSignal): Promise<void> {
  const { kind, name, resourceVersion, finalizers, deleting } = object;
  const { world } = standing();
  if (world === undefined) return;
  const has = finalizers.includes(finalizer);
  const wanted = usersOf(object, world.declared).length > 0;
  // The API server takes no new finalizers of what is on its way out; then the last good state is what holds.
  if (has === wanted || (wanted && deleting)) return;
  const others = finalizers.filter((one) => one !== finalizer);
  const metadata = { resourceVersion, finalizers: wanted ? [...others, finalizer] : others };
  // If we stop here, it is held for longer than it must be, or goes as if nobody named it: the last good state stays in force.
  await mergeObject(client, toApiResource(kind), { name }, { metadata }, { signal });
}

async function write(object: KubeObject, { client, standing, now }: StatusParts, signal: AbortSignal): Promise<void> {
  const conditions = decideStatus(object, standing());
  if (conditions === undefined) return;
  const status = toStatus(object, conditions, now());
  if (isDeepStrictEqual(status, object.status)) return;
  const { kind, name } = object;
  await mergeObject(client, toApiResource(kind), { name, subresource: "status" }, { status }, { signal });
}

/** A condition's time is that of its last change of mind. */
function toStatus({ status, generation }: KubeObject, conditions: readonly Condition[], now: Date): object {
  const before = listAt(status, "conditions").filter(isRecord);
  const time = `${now.toISOString().slice(0, 19)}Z`;
  return {
    conditions: conditions.map((condition) => {
      const last = before.find(({ type }) => type === condition.type);
      const lastTransitionTime = last?.["status"] === condition.status ? last["lastTransitionTime"] : time;
      return { ...condition, observedGeneration: generation, lastTransitionTime };
    }),
    observedGeneration: generation,
  };
}
