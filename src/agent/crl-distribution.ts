/**
 * CRLs where sidecars look for them: the ConfigMap `istio-ca-crl`, in the namespaces of tenants that have CRLs and in no other. A
 * proxy with any refuses every chain in which a CA has none, so what is not wanted any more is taken away.
 */
import type { Informer } from "../kube/informer.ts";
import type { ConfigMap, Namespace } from "../kube/meta.ts";
import { resources } from "../kube/resource.ts";
import { isSelected, type Selection } from "./decide-trust.ts";
import type { KeptTrust } from "./kept-trust.ts";
import { type Place, startTrustWriter, type TrustWriter, type WriterParts } from "./trust-writer.ts";

/** Istio's names of the ConfigMap and of the key in it; sidecars mount it where there is one (injection-template.yaml). */
export const crlConfigMap = "istio-ca-crl";
export const crlKey = "ca-crl.pem";

export interface CrlParts extends WriterParts {
  readonly namespaces: Informer<Namespace, never>;
  /** Of this name only, in all namespaces. */
  readonly configMaps: Informer<ConfigMap, never>;
}

export interface CrlDistribution extends Pick<TrustWriter, "lacking" | "conflicts">, AsyncDisposable {
  /** Resolves when every place has them; at once where there are none. */
  put(trust: Crls): Promise<void>;
}

export type Crls = Pick<KeptTrust, "crlsPem" | "crlNamespaces">;

/** `selections` are those of Istio's control planes: elsewhere are no pods of theirs. */
export function startCrlDistribution(selections: readonly Selection[], parts: CrlParts): CrlDistribution {
  const { namespaces, configMaps } = parts;
  let crls: Crls | undefined;

  const wantedIn = (namespace: Namespace, { crlsPem, crlNamespaces }: Crls): string => {
    const hasPods = selections.some((selection) => isSelected(namespace, selection));
    return hasPods && crlNamespaces.some((pattern) => matches(pattern, namespace.name)) ? crlsPem : "";
  };

  const find = (namespace: string): Place | undefined => {
    const object = namespaces.get(namespace);
    if (crls === undefined || object === undefined || object.deletedAt !== undefined) return undefined;
    const wanted = wantedIn(object, crls);
    const now = configMaps.get(crlConfigMap, namespace)?.data.get(crlKey);
    if (wanted === "" && now === undefined) return undefined;
    return {
      name: `${crlConfigMap} in ${namespace}`,
      resource: resources.configMaps,
      one: { namespace, name: crlConfigMap },
      now,
      wanted,
      // Applied without it, our key goes and the ConfigMap stays: a proxy takes that as having none.
      content: { data: wanted === "" ? {} : { [crlKey]: wanted } },
      labels: { "istio.io/config": "true" },
      isIstiods: true,
      about: { resource: resources.namespaces, object },
    };
  };

  const writer = startTrustWriter({ find }, parts);
  const subscriptions = new DisposableStack();
  subscriptions.use(namespaces.subscribe(({ item }) => writer.look(item.name)));
  subscriptions.use(configMaps.subscribe(({ item }) => writer.look(item.namespace)));
  return {
    lacking: writer.lacking,
    conflicts: writer.conflicts,
    put: async (next) => {
      crls = next;
      for (const { namespace } of configMaps.list()) writer.look(namespace);
      if (next.crlsPem === "") return;
      await configMaps.synced;
      const wanting = namespaces.list().filter((namespace) => wantedIn(namespace, next) !== "");
      await writer.put(wanting.map(({ name }) => name));
    },
    [Symbol.asyncDispose]: async () => {
      subscriptions.dispose();
      await writer[Symbol.asyncDispose]();
    },
  };
}

/** As rules name namespaces: a name, or a prefix and `*`, or `*`. */
function matches(pattern: string, namespace: string): boolean {
  return pattern.endsWith("*") ? namespace.startsWith(pattern.slice(0, -1)) : pattern === namespace;
}
