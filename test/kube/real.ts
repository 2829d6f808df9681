/**
 * The contract against a real API server: `KUBECONFIG=… node --test test/kube/real.ts`, with the rights of an administrator. Where the
 * API server is a process of this machine, it is also killed and started again.
 */
import { kubeconfigCredentials } from "../../src/kube/kubeconfig.ts";
import { kubeContract } from "../contract/kube.ts";
import { kubeconfigOf } from "../support/kube-cluster.ts";
import { findServer, restart } from "../support/kube-process.ts";
import { realContract } from "./real-process.ts";

const path = kubeconfigOf(process.env);
const access = await (await kubeconfigCredentials(path)).current();
const server = findServer(access.server.port);

const open = async () => ({
  access,
  // A started watch cache knows nothing from before.
  ...(server === undefined ? {} : { forget: () => restart(server, access) }),
  [Symbol.asyncDispose]: async () => {},
});

kubeContract("real", open);
if (server !== undefined) realContract(open, server, access);
