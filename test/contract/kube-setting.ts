/** What every case of the Kubernetes contract stands on: a cluster, a relay before it, and a namespace of its own. */
import { randomUUID } from "node:crypto";
import { type Client, openClient } from "../../src/kube/client.ts";
import { type Access, fixedCredentials } from "../../src/kube/credentials.ts";
import { createObject, deleteObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { type Relay, startRelay } from "../support/kube-relay.ts";
import { eventually } from "../support/patience.ts";

export interface ContractCluster extends AsyncDisposable {
  readonly access: Access;
  /** Afterwards no watch can go on from before; as after a restart. Where it is missing, such cases are left out. */
  readonly forget?: () => Promise<void>;
}

export type OpenCluster = () => Promise<ContractCluster>;

export interface Setting extends AsyncDisposable {
  readonly cluster: ContractCluster;
  readonly namespace: string;
  readonly relay: Relay;
  /** Through the relay. */
  readonly client: Client;
  /** Past it. */
  readonly direct: Client;
  /** Another client through the relay, closed with the setting. */
  another(): Client;
}

export async function openSetting(open: OpenCluster): Promise<Setting> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await open());
  const relay = stack.use(await startRelay(cluster.access));
  const clients = stack.use(new DisposableStack());
  const another = () => clients.use(openClient({ credentials: fixedCredentials(relay.access) }));
  const client = another();
  const direct = stack.use(openClient({ credentials: fixedCredentials(cluster.access) }));
  const namespace = `espalier-${randomUUID().slice(0, 8)}`;
  await createObject(direct, resources.namespaces, {}, namespaceBody(namespace));
  stack.defer(async () => {
    await deleteObject(direct, resources.namespaces, { name: namespace }).catch(() => undefined);
  });
  const owned = stack.move();
  return { cluster, namespace, relay, client, direct, another, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export function namespaceBody(name: string): object {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name } };
}

export function configMap(name: string, data: Readonly<Record<string, string>> = {}, labels: object = {}): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels }, data };
}

export async function createConfigMap(
  { direct, namespace }: Setting,
  name: string,
  data?: Readonly<Record<string, string>>,
  labels?: object,
): Promise<void> {
  await createObject(direct, resources.configMaps, { namespace }, configMap(name, data, labels));
}

/** Until it holds. @throws Error if it does not in time. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 120_000): Promise<void> {
  await eventually(async () => {
    if (!(await holds())) throw new Error(`not in ${withinMs} ms: ${what}`);
  }, withinMs);
}
