/**
 * The roots once more as a ClusterTrustBundle (certificates.k8s.io), where the API server has them: pods that mount it need no
 * ConfigMap in their namespace. It is one for the cluster, and so has nothing of what istiod's own namespace is given beside them.
 */
import { startInformer } from "../kube/informer.ts";
import { readClusterTrustBundle } from "../kube/meta.ts";
import { pause } from "../kube/pause.ts";
import { resources } from "../kube/resource.ts";
import { servedVersion } from "../kube/served.ts";
import type { Distribution } from "./distribution.ts";
import { type Place, startTrustWriter, type WriterParts } from "./trust-writer.ts";

export interface BundleParts extends WriterParts {
  readonly now: () => Date;
}

/** Kubernetes 1.37 serves v1, 1.33 to 1.36 v1beta1, and those before v1alpha1: where its feature gate is on. */
export const bundleVersions = ["v1", "v1beta1", "v1alpha1"];
/** Bundles of the signer that istiod's own CA is (istio pilot clustertrustbundle). */
const istiodsSigner = "istio.io:istiod-ca:";
/** Long enough for a list. Without the right to it the write is refused as well, and that is told. */
const syncMsMax = 5_000;

/** Undefined where the API server knows no ClusterTrustBundles. @throws Refusal `unavailable` when it does not answer. */
export async function startTrustBundle(name: string, parts: BundleParts): Promise<Distribution | undefined> {
  const { client, log } = parts;
  const resource = await servedVersion(client, resources.clusterTrustBundles, bundleVersions);
  if (resource === undefined) {
    log.info("ClusterTrustBundles are not served");
    return undefined;
  }
  const selection = { resource, fieldSelector: `metadata.name=${name}` };
  const bundles = startInformer({ ...selection, read: readClusterTrustBundle, indexes: {} }, parts);
  await Promise.race([bundles.synced, pause(syncMsMax)]);
  let wanted = "";

  const find = (): Place | undefined => {
    // The API server takes no empty one.
    if (wanted === "") return undefined;
    const object = bundles.get(name);
    return {
      name: `ClusterTrustBundle ${name}`,
      resource,
      one: { name },
      now: object?.trustBundle,
      wanted,
      content: { spec: { signerName: signerOf(name), trustBundle: wanted } },
      isIstiods: name.startsWith(istiodsSigner),
      about: object && { resource, object },
    };
  };

  const writer = startTrustWriter({ find }, parts);
  const subscription = bundles.subscribe(() => writer.look(name));
  return {
    lacking: writer.lacking,
    conflicts: writer.conflicts,
    put: async ({ rootsPem }, at) => {
      wanted = rootsPem;
      await writer.put([name]);
      return at();
    },
    [Symbol.asyncDispose]: async () => {
      subscription[Symbol.dispose]();
      await writer[Symbol.asyncDispose]();
      await bundles.stop();
    },
  };
}

/** `example.com:path:suffix` is of the signer `example.com/path` (certificates.k8s.io, ClusterTrustBundleSpec). */
export function signerOf(bundle: string): string {
  const [domain = "", path = ""] = bundle.split(":");
  return `${domain}/${path}`;
}
