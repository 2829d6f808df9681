/** The workloads of the demo, and how they ask: by Istio's own protocol, through `espalier request`. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Finished } from "../support/processes.ts";
import { type ClusterName, type Stage, servingName } from "./stage.ts";

export interface Workload {
  readonly tenant: "payments" | "orders";
  readonly cluster: ClusterName;
  readonly namespace: string;
  readonly name: string;
  /** Its token is bound to no pod; it renews by its certificate. */
  readonly vm: boolean;
  readonly keyType: string;
}

export const workloads: readonly Workload[] = [
  { tenant: "payments", cluster: "east", namespace: "payments", name: "checkout", vm: false, keyType: "P-256" },
  { tenant: "payments", cluster: "west", namespace: "payments", name: "settlement", vm: false, keyType: "RSA-2048" },
  { tenant: "orders", cluster: "east", namespace: "orders-web", name: "cart", vm: false, keyType: "P-384" },
  { tenant: "orders", cluster: "west", namespace: "orders-batch", name: "shipping", vm: false, keyType: "P-256" },
  { tenant: "payments", cluster: "east", namespace: "payments-vms", name: "mainframe", vm: true, keyType: "P-256" },
];

export function find(name: string): Workload {
  const found = workloads.find((workload) => workload.name === name);
  if (found === undefined) throw new Error(`the demo has no workload ${name}`);
  return found;
}

export function directoryOf(stage: Stage, { tenant, cluster, name }: Workload): string {
  return join(stage.out, tenant, cluster, name);
}

export function spiffeId({ tenant, namespace, name }: Workload): string {
  return `spiffe://${tenant}.example/ns/${namespace}/sa/${name}`;
}

export function tokenFileOf(stage: Stage, workload: Workload): string {
  return join(stage.out, "tokens", `${workload.tenant}-${workload.cluster}-${workload.name}`);
}

/** What the kubelet would project into the pod. */
export async function writeToken(stage: Stage, workload: Workload): Promise<void> {
  const { namespace, name, vm, cluster } = workload;
  const token = stage.clusters[cluster].tokens.token({
    namespace,
    serviceAccount: name,
    pod: !vm,
    expiresInSeconds: 3600,
  });
  await mkdir(join(stage.out, "tokens"), { recursive: true, mode: 0o700 });
  await writeFile(tokenFileOf(stage, workload), token, { mode: 0o600 });
}

/** Asks at the cluster's own agent, unless the arguments say otherwise: the last of an option counts. */
export async function ask(stage: Stage, workload: Workload, ...overrides: readonly string[]): Promise<Finished> {
  const { agent, rootFile, name } = stage.clusters[workload.cluster];
  const where = ["--agent", agent, "--ca", rootFile, "--server-name", servingName, "--cluster-id", name];
  const what = ["--key-type", workload.keyType, "--identity", spiffeId(workload)];
  return await stage.espalier("request", ...where, ...what, ...overrides);
}

/** The usual request: by token, into the workload's folder. */
export async function obtain(stage: Stage, workload: Workload): Promise<Finished> {
  return await ask(
    stage,
    workload,
    "--token-file",
    tokenFileOf(stage, workload),
    "--out",
    directoryOf(stage, workload),
  );
}
