/** A resource that the contract's cases define for themselves, and take away. */
import { isNotFound } from "../../src/kube/api-error.ts";
import type { Client } from "../../src/kube/client.ts";
import { createObject, deleteObject, getObject } from "../../src/kube/objects.ts";
import { type Resource, toApiVersion, toPath } from "../../src/kube/resource.ts";
import { definitions } from "../support/kube-crds.ts";
import { eventually } from "../support/patience.ts";
import { until } from "./kube-setting.ts";

export function thingsOf(group: string): Resource {
  return { group, version: "v1", plural: "things", kind: "Thing", namespaced: false };
}

/** Returns when it is served. */
export async function define(client: Client, things: Resource): Promise<void> {
  const { group, version, plural, kind } = things;
  const openAPIV3Schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const body = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Cluster",
      names: { plural, singular: plural.slice(0, -1), kind, listKind: `${kind}List` },
      versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema } }],
    },
  };
  await createObject(client, definitions, {}, body);
  await eventually(async () => await client.call({ verb: "GET", path: toPath(things) }));
}

/** Returns when it and all of its objects are gone. Nothing, if it is not there. */
export async function withdraw(client: Client, { plural, group }: Resource): Promise<void> {
  const one = { name: `${plural}.${group}` };
  const isGone = (error: unknown): true => {
    if (isNotFound(error)) return true;
    throw error;
  };
  await deleteObject(client, definitions, one).catch(isGone);
  await until(`${one.name} is gone`, async () => (await getObject(client, definitions, one).catch(isGone)) === true);
}

export async function makeThing(client: Client, things: Resource, name: string): Promise<void> {
  const body = { apiVersion: toApiVersion(things), kind: things.kind, metadata: { name } };
  await createObject(client, things, {}, body);
}
