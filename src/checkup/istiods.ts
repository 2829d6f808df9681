/** The control planes that are there, as Istio's chart makes them. */
import { isRecord, type JsonRecord, listAt, recordAt, someTextAt, textAt } from "../kube/json.ts";
import { resources } from "../kube/resource.ts";
import { daemonSets, deployments } from "./resource.ts";
import type { View } from "./view.ts";

export interface Istiod {
  readonly namespace: string;
  /** Of its Deployment and its Service. */
  readonly name: string;
  /** As in the names of its ConfigMaps: empty, or `-canary`. */
  readonly suffix: string;
  /** As its pods are labelled. */
  readonly revision: string;
  readonly environment: ReadonlyMap<string, string>;
}

/** In the namespaces where the agents expect any. @throws ApiError. */
export async function istiods(view: View): Promise<readonly Istiod[]> {
  const { kubernetes } = await view.site();
  const namespaces = new Set([kubernetes, ...kubernetes.revisions].map(({ istiodNamespace }) => istiodNamespace));
  const found = await Promise.all(
    [...namespaces].map((namespace) => view.list({ resource: deployments, namespace, labelSelector: "app=istiod" })),
  );
  return found.flat().map((object) => {
    const metadata = recordAt(object, "metadata");
    const revision = textAt(recordAt(metadata, "labels"), "istio.io/rev") ?? "default";
    const namespace = someTextAt(metadata, "namespace");
    const name = someTextAt(metadata, "name");
    const suffix = name.replace(/^istiod/, "");
    return { namespace, name, suffix, revision, environment: environmentOf(object) };
  });
}

export interface Ztunnel {
  readonly namespace: string;
  readonly name: string;
  readonly account: string;
  readonly environment: ReadonlyMap<string, string>;
  readonly audiences: readonly string[];
}

/** @throws ApiError. */
export async function ztunnels(view: View): Promise<readonly Ztunnel[]> {
  const found = await view.list({ resource: daemonSets, labelSelector: "app.kubernetes.io/name=ztunnel" });
  return found.map((object) => {
    const metadata = recordAt(object, "metadata");
    const pod = podOf(object);
    const sources = listAt(pod, "volumes").flatMap((volume) => listAt(recordAt(volume, "projected"), "sources"));
    return {
      namespace: someTextAt(metadata, "namespace"),
      name: someTextAt(metadata, "name"),
      account: textAt(pod, "serviceAccountName") ?? "default",
      environment: environmentOf(object),
      audiences: sources.flatMap((source) => textAt(recordAt(source, "serviceAccountToken"), "audience") ?? []),
    };
  });
}

/** A key of one of a control plane's own ConfigMaps; undefined if either is not there. @throws ApiError. */
export async function istioText(
  view: View,
  { namespace, suffix }: Istiod,
  configMap: "istio" | "istio-sidecar-injector",
  key: string,
): Promise<string | undefined> {
  const found = await view.get(resources.configMaps, { namespace, name: `${configMap}${suffix}` });
  return textAt(recordAt(found, "data"), key);
}

function podOf(object: JsonRecord): JsonRecord {
  return recordAt(recordAt(recordAt(object, "spec"), "template"), "spec");
}

/** Of all its containers; what comes from elsewhere is not known. */
function environmentOf(object: JsonRecord): ReadonlyMap<string, string> {
  const pairs = listAt(podOf(object), "containers").flatMap((container) => listAt(container, "env"));
  return new Map(pairs.filter(isRecord).map((one) => [textAt(one, "name") ?? "", textAt(one, "value") ?? ""]));
}
