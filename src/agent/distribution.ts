/** Applies trust in every selected namespace, the moment it appears; run by the one agent that leads. */

import { Refusal } from "../errors.ts";
import { applyObject } from "../kube/apply.ts";
import type { Client } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Informer } from "../kube/informer.ts";
import type { ConfigMap, Namespace } from "../kube/meta.ts";
import { startQueue } from "../kube/queue.ts";
import { resources } from "../kube/resource.ts";
import type { Log } from "../ops/log.ts";
import { decideTrust, isSelected, type Selection, type TrustState } from "./decide-trust.ts";

export interface DistributeConfig extends Selection {
  /** Istio calls it istio-ca-root-cert; another revision may call it otherwise. One distribution for each name: two would fight. */
  readonly configMap: string;
  /** After this long a conflict is tried once more: the operator may have turned istiod's CA off. Default 10 min. */
  readonly conflictPauseMs?: number;
}

export interface DistributeParts {
  readonly client: Client;
  readonly namespaces: Informer<Namespace, never>;
  /** Of this name only, in all namespaces. */
  readonly configMaps: Informer<ConfigMap, never>;
  readonly events: EventRecorder;
  readonly log: Log;
}

export interface Distribution extends AsyncDisposable {
  /** Puts this in force everywhere; resolves when every selected namespace has it, with when that was. */
  put(roots: Roots, at: () => Date): Promise<Date>;
  /** Namespaces that their istiod fights for: its CA is still on. */
  conflicts(): readonly string[];
}

/** As `TrustState` has them. */
export type Roots = Pick<TrustState, "rootsPem" | "istiodRootsPem">;

/** The one key that istiod manages too; others in the ConfigMap are left alone. */
export const rootKey = "root-cert.pem";
const conflictPauseMsDefault = 600_000;

export function startDistribution(config: DistributeConfig, parts: DistributeParts): Distribution {
  const { client, namespaces, configMaps, events, log } = parts;
  const { conflictPauseMs = conflictPauseMsDefault } = config;
  const ours = new Map<string, string>();
  let state: TrustState | undefined;
  /** Until when each is left alone. */
  const conflicts = new Map<string, number>();
  const pauseLeftMs = (): number => Math.max(0, ...conflicts.values()) - performance.now();
  const waiting: PromiseWithResolvers<void>[] = [];
  const open = new Set<string>();

  const work = async (name: string, signal: AbortSignal): Promise<{ againAfterMs: number } | void> => {
    const namespace = namespaces.get(name);
    if (state === undefined || namespace === undefined || !isSelected(namespace, config)) return settle(name);
    const found = configMaps.get(config.configMap, name);
    const now = found?.data.get(rootKey);
    const step = decideTrust(name, now, ours.get(name), state);
    switch (step.kind) {
      case "none":
        ours.set(name, now ?? "");
        conflicts.delete(name);
        return settle(name);
      case "conflict": {
        if (!conflicts.has(name)) tellConflict(namespace);
        conflicts.set(name, performance.now() + conflictPauseMs);
        // Forgotten, so that the next look counts as the first.
        ours.delete(name);
        return { againAfterMs: conflictPauseMs };
      }
      case "write": {
        // That istiod writes everywhere: nowhere is it fought.
        if (step.overwrites && pauseLeftMs() > 0) return { againAfterMs: pauseLeftMs() };
        const content = { data: { [rootKey]: step.rootsPem } };
        // If we stop before this, the namespace has what it had; the next leader sees the same and does the same.
        await applyObject(client, resources.configMaps, { namespace: name, name: config.configMap }, content, {
          force: true,
          labels: { "istio.io/config": "true" },
          signal,
        });
        ours.set(name, step.rootsPem);
        if (step.overwrites) tellOverwritten(namespace);
        return settle(name);
      }
    }
  };

  const queue = startQueue({ name: "trust", work }, log);

  const settle = (name: string): void => {
    open.delete(name);
    if (open.size > 0) return;
    for (const { resolve } of waiting.splice(0)) resolve();
  };

  const tellOverwritten = (object: Namespace): void => {
    log.warn("foreign trust overwritten", { namespace: object.name, configMap: config.configMap });
    const note = `${config.configMap} held roots that are not this cluster's and was overwritten`;
    events.record({
      resource: resources.namespaces,
      object,
      type: "Warning",
      reason: "TrustOverwritten",
      action: "Distribute",
      note,
    });
  };

  const tellConflict = (object: Namespace): void => {
    log.error("trust conflict: istiod distributes its own root", {
      namespace: object.name,
      configMap: config.configMap,
    });
    const note = `${config.configMap} is written by an istiod whose own CA is on: set pilot.env.ENABLE_CA_SERVER=false`;
    events.record({
      resource: resources.namespaces,
      object,
      type: "Warning",
      reason: "TrustConflict",
      action: "Distribute",
      note,
    });
  };

  const subscriptions = new DisposableStack();
  subscriptions.use(namespaces.subscribe(({ item }) => queue.add(item.name)));
  subscriptions.use(
    configMaps.subscribe(({ item }) => {
      if (item.name === config.configMap) queue.add(item.namespace);
    }),
  );
  return {
    conflicts: () => [...conflicts.keys()],
    put: async (next, at) => {
      state = { ...next, istiodNamespaces: config.istiodNamespaces };
      const selected = namespaces.list().filter((namespace) => isSelected(namespace, config));
      for (const { name } of selected) open.add(name);
      const written = Promise.withResolvers<void>();
      waiting.push(written);
      for (const { name } of selected) queue.add(name);
      if (selected.length === 0) settle("");
      await written.promise;
      return at();
    },
    [Symbol.asyncDispose]: async () => {
      subscriptions.dispose();
      for (const { reject } of waiting.splice(0)) reject(new Refusal("unavailable", "another agent leads now"));
      await queue[Symbol.asyncDispose]();
    },
  };
}
