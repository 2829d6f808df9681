/** What everything in a cluster has, and the few kinds we keep, without what we don't need of them. */
import { dateAt, recordAt, someTextAt, textAt } from "./json.ts";

export interface Meta {
  /** Empty for what is in no namespace. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** @throws Refusal `malformed`. */
export function readMeta(object: unknown): Meta {
  const metadata = recordAt(object, "metadata");
  return {
    namespace: textAt(metadata, "namespace") ?? "",
    name: someTextAt(metadata, "name"),
    uid: someTextAt(metadata, "uid"),
    resourceVersion: someTextAt(metadata, "resourceVersion"),
  };
}

/** Unique among the objects of one resource: neither part can hold a slash. */
export function keyOf({ namespace, name }: Pick<Meta, "namespace" | "name">): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}

export interface Pod extends Meta {
  readonly serviceAccount: string;
  /** Empty until it is scheduled. */
  readonly node: string;
  readonly phase: string;
  /** When it was asked to go. */
  readonly deletedAt: Date | undefined;
}

/** @throws Refusal `malformed`. */
export function readPod(object: unknown): Pod {
  const spec = recordAt(object, "spec");
  return {
    ...readMeta(object),
    // The admission plug-in that sets it can be off.
    serviceAccount: textAt(spec, "serviceAccountName") ?? "default",
    node: textAt(spec, "nodeName") ?? "",
    phase: textAt(recordAt(object, "status"), "phase") ?? "",
    deletedAt: dateAt(recordAt(object, "metadata"), "deletionTimestamp"),
  };
}

export interface Namespace extends Meta {
  readonly labels: ReadonlyMap<string, string>;
  readonly deletedAt: Date | undefined;
}

/** @throws Refusal `malformed`. */
export function readNamespace(object: unknown): Namespace {
  const metadata = recordAt(object, "metadata");
  return {
    ...readMeta(object),
    labels: readTexts(recordAt(metadata, "labels")),
    deletedAt: dateAt(metadata, "deletionTimestamp"),
  };
}

export interface ServiceAccount extends Meta {
  readonly deletedAt: Date | undefined;
}

/** @throws Refusal `malformed`. */
export function readServiceAccount(object: unknown): ServiceAccount {
  return { ...readMeta(object), deletedAt: dateAt(recordAt(object, "metadata"), "deletionTimestamp") };
}

export interface ConfigMap extends Meta {
  readonly data: ReadonlyMap<string, string>;
}

/** @throws Refusal `malformed`. */
export function readConfigMap(object: unknown): ConfigMap {
  return { ...readMeta(object), data: readTexts(recordAt(object, "data")) };
}

export interface ClusterTrustBundle extends Meta {
  /** PEM. */
  readonly trustBundle: string;
}

/** @throws Refusal `malformed`. */
export function readClusterTrustBundle(object: unknown): ClusterTrustBundle {
  return { ...readMeta(object), trustBundle: textAt(recordAt(object, "spec"), "trustBundle") ?? "" };
}

export interface PageEnd {
  readonly resourceVersion: string;
  /** Empty on the last page. */
  readonly next: string;
}

/** @throws Refusal `malformed`. */
export function readPageEnd(list: unknown): PageEnd {
  const metadata = recordAt(list, "metadata");
  return {
    resourceVersion: someTextAt(metadata, "resourceVersion"),
    next: textAt(metadata, "continue") ?? "",
  };
}

function readTexts(record: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  return new Map(Object.keys(record).map((key) => [key, textAt(record, key) ?? ""]));
}
