/** What a kubelet does for a pod: its token, and what it has mounted, from the API into folders below a program's working directory. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiError } from "../../src/kube/api-error.ts";
import { recordAt, textAt } from "../../src/kube/json.ts";
import { readConfigMap } from "../../src/kube/meta.ts";
import { getObject, type One } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import type { Cluster, Workload } from "./stage.ts";

type Files = Readonly<Record<string, string>>;

export interface Mount {
  readonly kind: "Secret" | "ConfigMap";
  readonly name: string;
  /** Where, in the pod. */
  readonly path: string;
}

/** What is not there is left out: istiod's chart says of each that it is optional. */
export async function mount(
  cluster: Cluster,
  namespace: string,
  mounts: readonly Mount[],
  directory: string,
): Promise<void> {
  for (const { kind, name, path } of mounts) {
    const read = kind === "Secret" ? secretOf : configMapOf;
    const files = await read(cluster, { namespace, name }).catch(orNone);
    for (const [file, text] of Object.entries(files)) write(join(directory, path), file, text);
  }
}

function orNone(error: unknown): Files {
  if (error instanceof ApiError && error.status === 404) return {};
  throw error;
}

/** What the pods of a mesh have, and a VM is given: the cluster's roots, and a token of its own. */
export async function mountWorkload(
  cluster: Cluster,
  workload: Workload,
  directory: string,
  withToken: boolean,
): Promise<void> {
  const roots: Mount = { kind: "ConfigMap", name: "istio-ca-root-cert", path: "var/run/secrets/istio" };
  await mount(cluster, workload.namespace, [roots], directory);
  if (!withToken) return;
  write(join(directory, "var/run/secrets/tokens"), "istio-token", await tokenOf(cluster, workload));
}

export async function tokenOf(
  { kube }: Cluster,
  { namespace, account, pod }: Pick<Workload, "namespace" | "account" | "pod">,
): Promise<string> {
  return await kube.token(namespace, account, pod === undefined ? {} : { pod });
}

function write(directory: string, file: string, text: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, file), text, { mode: 0o600 });
}

/** What stands in istio-ca-root-cert of a namespace. */
export async function rootsIn(cluster: Cluster, namespace: string): Promise<string> {
  return (await configMapOf(cluster, { namespace, name: "istio-ca-root-cert" }))["root-cert.pem"] ?? "";
}

export async function secretOf({ kube }: Cluster, one: One): Promise<Files> {
  const data = recordAt(await getObject(kube.client, resources.secrets, one), "data");
  const decoded = (key: string): string => Buffer.from(textAt(data, key) ?? "", "base64").toString("utf8");
  return Object.fromEntries(Object.keys(data).map((key) => [key, decoded(key)]));
}

async function configMapOf({ kube }: Cluster, one: One): Promise<Files> {
  return Object.fromEntries(readConfigMap(await getObject(kube.client, resources.configMaps, one)).data);
}
