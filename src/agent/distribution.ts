/** Applies trust in every selected namespace, the moment it appears; run by the one agent that leads. */

import type { Informer } from "../kube/informer.ts";
import type { ConfigMap, Namespace } from "../kube/meta.ts";
import { resources } from "../kube/resource.ts";
import { isSelected, type Selection, type TrustState, wantedIn } from "./decide-trust.ts";
import { type Place, startTrustWriter, type TrustWriter, type WriterParts } from "./trust-writer.ts";

export interface DistributeConfig extends Selection {
  /** Istio calls it istio-ca-root-cert; another revision may call it otherwise. One distribution for each name: two would fight. */
  readonly configMap: string;
  /** As `startTrustWriter` has it. */
  readonly conflictPauseMs?: number;
}

export interface DistributeParts extends WriterParts {
  readonly namespaces: Informer<Namespace, never>;
  /** Of this name only, in all namespaces. */
  readonly configMaps: Informer<ConfigMap, never>;
}

export interface Distribution extends Pick<TrustWriter, "lacking" | "conflicts">, AsyncDisposable {
  /** Puts this in force everywhere; resolves when every place has it, with when that was. */
  put(roots: Roots, at: () => Date): Promise<Date>;
}

/** As `TrustState` has them. */
export type Roots = Pick<TrustState, "rootsPem" | "istiodRootsPem">;

/** The one key that istiod manages too; others in the ConfigMap are left alone. */
export const rootKey = "root-cert.pem";

export function startDistribution(config: DistributeConfig, parts: DistributeParts): Distribution {
  const { namespaces, configMaps } = parts;
  const { configMap, istiodNamespaces, conflictPauseMs } = config;
  let state: TrustState | undefined;

  const find = (namespace: string): Place | undefined => {
    const object = namespaces.get(namespace);
    if (state === undefined || object === undefined || !isSelected(object, config)) return undefined;
    const wanted = wantedIn(namespace, state);
    return {
      name: `${configMap} in ${namespace}`,
      resource: resources.configMaps,
      one: { namespace, name: configMap },
      now: configMaps.get(configMap, namespace)?.data.get(rootKey),
      wanted,
      content: { data: { [rootKey]: wanted } },
      labels: { "istio.io/config": "true" },
      isIstiods: istiodNamespaces.has(namespace),
      about: { resource: resources.namespaces, object },
    };
  };

  const writer = startTrustWriter({ find, conflictPauseMs }, parts);
  const subscriptions = new DisposableStack();
  subscriptions.use(namespaces.subscribe(({ item }) => writer.look(item.name)));
  subscriptions.use(
    configMaps.subscribe(({ item }) => {
      if (item.name === configMap) writer.look(item.namespace);
    }),
  );
  return {
    lacking: writer.lacking,
    conflicts: writer.conflicts,
    put: async (next, at) => {
      state = { ...next, istiodNamespaces };
      const selected = namespaces.list().filter((namespace) => isSelected(namespace, config));
      await writer.put(selected.map(({ name }) => name));
      return at();
    },
    [Symbol.asyncDispose]: async () => {
      subscriptions.dispose();
      await writer[Symbol.asyncDispose]();
    },
  };
}
