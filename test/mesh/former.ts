/** An istiod with its own CA on, which a mesh moves away from; it minds its own namespace alone. */
import assert from "node:assert/strict";
import { createObject, deleteObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import type { RealCluster } from "../support/kube-cluster.ts";
import { freePort } from "../support/processes.ts";
import { type Program, startProgram } from "./program.ts";

const { ESPALIER_PILOT_DISCOVERY: discovery = "", KUBECONFIG_EAST: ofEast = "" } = process.env;

export const podOf = (account: string): string => `${account}-1`;

/** Its namespace, in which are its workloads too: these accounts, with a pod each. */
export async function layFormer(
  cluster: RealCluster,
  namespace: string,
  accounts: readonly string[],
): Promise<AsyncDisposable> {
  await cluster.namespace(namespace, { former: namespace });
  for (const account of accounts) {
    await cluster.account(namespace, account);
    await cluster.pod(namespace, podOf(account), account, "node1");
  }
  const mesh = `trustDomain: cluster.local\ndiscoverySelectors: [{ matchLabels: { former: ${namespace} } }]`;
  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "istio" }, data: { mesh } };
  await createObject(cluster.client, resources.configMaps, { namespace }, configMap);
  return {
    [Symbol.asyncDispose]: async () => {
      // No kubelet would let them go, and with them the namespace.
      for (const account of accounts) await cluster.deletePod(namespace, podOf(account));
      await deleteObject(cluster.client, resources.namespaces, { name: namespace });
    },
  };
}

export interface Former extends AsyncDisposable {
  readonly program: Program;
  /** Of its port for workloads. */
  readonly address: string;
}

export interface FormerOptions {
  /** Where its pod's files are below. */
  readonly directory: string;
  readonly namespace: string;
  /** Its port for workloads; any if absent. */
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Who it is to the API server; an administrator if absent. */
  readonly kubeconfig?: string;
}

export async function startFormer(options: FormerOptions): Promise<Former> {
  const { directory, namespace, env = {}, kubeconfig = ofEast } = options;
  const [http, https, metrics, introspection] = await Promise.all(Array.from({ length: 4 }, freePort));
  const xds = options.port ?? (await freePort());
  const program = startProgram({
    name: "istiod",
    file: discovery,
    directory,
    args: [
      "discovery",
      `--kubeconfig=${kubeconfig}`,
      `--httpAddr=127.0.0.1:${http}`,
      `--httpsAddr=127.0.0.1:${https}`,
      "--grpcAddr=",
      `--secureGRPCAddr=127.0.0.1:${xds}`,
      `--monitoringAddr=127.0.0.1:${metrics}`,
      `--ctrlz_port=${introspection}`,
    ],
    env: {
      POD_NAME: "istiod-1",
      POD_NAMESPACE: namespace,
      SERVICE_ACCOUNT: "istiod",
      CLUSTER_ID: "Kubernetes",
      ...env,
    },
  });
  await program.await(async () => assert.equal((await fetch(`http://127.0.0.1:${http}/ready`)).status, 200));
  return {
    program,
    address: `localhost:${xds}`,
    [Symbol.asyncDispose]: async () => await program[Symbol.asyncDispose](),
  };
}
