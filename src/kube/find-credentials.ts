/** A kubeconfig's credentials, or, without one, those that every pod has. */
import { readFile } from "node:fs/promises";
import type { Credentials } from "./credentials.ts";
import { inClusterCredentials } from "./in-cluster.ts";
import { kubeconfigCredentials } from "./kubeconfig.ts";

/** @throws Refusal, or Node's error outside of a pod. */
export async function findCredentials(kubeconfig?: string): Promise<Credentials> {
  if (kubeconfig !== undefined) return await kubeconfigCredentials(kubeconfig);
  // What the kubelet sets in every pod; the port is always 443 behind this name.
  await readFile("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
  return inClusterCredentials({ host: "kubernetes.default.svc", port: "443" });
}
