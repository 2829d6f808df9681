/** The declared objects of an API server, kept up to date; and, beside each, what only an API server has. */
import type { Client } from "../kube/client.ts";
import { type Informer, startInformer } from "../kube/informer.ts";
import { recordAt, textAt, textsAt } from "../kube/json.ts";
import { type Meta, readMeta } from "../kube/meta.ts";
import type { Log } from "../ops/log.ts";
import { toApiResource } from "../resources/crd.ts";
import { apiVersion } from "../resources/fields.ts";
import type { Kind } from "../resources/kind.ts";
import type { ResourceObject } from "../resources/objects.ts";

export interface KubeObject extends Meta, ResourceObject {
  /** Somebody has asked for it to go; it is there until nothing holds it any more. */
  readonly deleting: boolean;
  readonly finalizers: readonly string[];
  readonly status: Readonly<Record<string, unknown>>;
}

export interface KubeObjects extends AsyncDisposable {
  /** Resolves with the first whole list of every kind. */
  readonly synced: Promise<unknown>;
  list(): readonly KubeObject[];
  subscribe(changed: () => void): Disposable;
}

export const objectKinds = ["TrustRoot", "MeshTenant", "MeshCluster"] as const satisfies readonly Kind[];
/** Of each kind: as many as files of a directory. */
const itemsMax = 20_000;

export interface KubeObjectsParts {
  readonly client: Client;
  readonly now: () => Date;
  readonly log: Log;
}

export function openKubeObjects(parts: KubeObjectsParts): KubeObjects {
  const informers: readonly Informer<KubeObject, never>[] = objectKinds.map((kind) =>
    startInformer(
      { resource: toApiResource(kind), read: (object) => readObject(kind, object), indexes: {}, itemsMax },
      parts,
    ),
  );
  return {
    synced: Promise.all(informers.map(({ synced }) => synced)),
    list: () => informers.flatMap((informer) => informer.list()),
    subscribe: (changed) => {
      const all = new DisposableStack();
      for (const informer of informers) all.use(informer.subscribe(changed));
      return all;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(informers.map(async (informer) => await informer.stop()));
    },
  };
}

/** @throws Refusal `malformed` for what no API server would send. */
function readObject(kind: Kind, object: unknown): KubeObject {
  const metadata = recordAt(object, "metadata");
  const meta = readMeta(object);
  const { generation } = metadata;
  const spec = recordAt({ object }, "object")["spec"];
  return {
    ...meta,
    kind,
    generation: typeof generation === "number" ? generation : 0,
    deleting: textAt(metadata, "deletionTimestamp") !== undefined,
    finalizers: textsAt(metadata, "finalizers"),
    status: recordAt(object, "status"),
    document: { apiVersion, kind, metadata: { name: meta.name }, ...(spec === undefined ? {} : { spec }) },
  };
}
