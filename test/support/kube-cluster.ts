/** A real cluster as an agent's test needs it: its objects, its bound tokens, and a kubeconfig that leads through a relay. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Client, openClient } from "../../src/kube/client.ts";
import { type Access, fixedCredentials } from "../../src/kube/credentials.ts";
import { recordAt, someTextAt } from "../../src/kube/json.ts";
import { kubeconfigCredentials } from "../../src/kube/kubeconfig.ts";
import { createObject, deleteObject } from "../../src/kube/objects.ts";
import { resources, toPath } from "../../src/kube/resource.ts";

/** Where the API server is, that test/kube/run has started. */
export function kubeconfigOf(env: NodeJS.ProcessEnv): string {
  const { KUBECONFIG: path } = env;
  if (path === undefined) throw new Error("KUBECONFIG is not set: test/kube/run starts an API server if it can");
  return path;
}

export interface RealCluster extends Disposable {
  readonly access: Access;
  readonly client: Client;
  /** The cluster's own. */
  readonly jwks: string;
  readonly issuer: string;
  namespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>;
  account(namespace: string, name: string): Promise<void>;
  /** Bound to a node, never run: enough for its tokens. */
  pod(namespace: string, name: string, serviceAccount: string, node: string): Promise<void>;
  deletePod(namespace: string, name: string): Promise<void>;
  /** By TokenRequest, bound to the pod if one is named. */
  token(
    namespace: string,
    serviceAccount: string,
    options: { readonly audience?: string; readonly pod?: string },
  ): Promise<string>;
  /** As that account, for an hour. */
  accessOf(namespace: string, serviceAccount: string): Promise<Access>;
}

export async function openRealCluster(kubeconfig: string): Promise<RealCluster> {
  const access = await (await kubeconfigCredentials(kubeconfig)).current();
  const client = openClient({ credentials: fixedCredentials(access) });
  const [jwks, discovery] = await Promise.all([
    client.call({ verb: "GET", path: "/openid/v1/jwks" }),
    client.call({ verb: "GET", path: "/.well-known/openid-configuration" }),
  ]);
  const issuer = someTextAt(recordAt({ discovery }, "discovery"), "issuer");
  const metadata = (name: string): object => ({ metadata: { name } });
  const tokenOf: RealCluster["token"] = async (namespace, name, { audience = "istio-ca", pod }) => {
    const boundObjectRef = pod === undefined ? {} : { boundObjectRef: { kind: "Pod", apiVersion: "v1", name: pod } };
    const spec = { audiences: [audience], expirationSeconds: 3600, ...boundObjectRef };
    const path = toPath(resources.serviceAccounts, { namespace, name, subresource: "token" });
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
    return someTextAt(recordAt(await client.call({ verb: "POST", path, body }), "status"), "token");
  };
  return {
    access,
    client,
    jwks: JSON.stringify(jwks),
    issuer,
    namespace: async (name, labels = {}) => {
      await createObject(
        client,
        resources.namespaces,
        {},
        { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } },
      );
    },
    account: async (namespace, name) => {
      await createObject(
        client,
        resources.serviceAccounts,
        { namespace },
        { apiVersion: "v1", kind: "ServiceAccount", ...metadata(name) },
      );
    },
    pod: async (namespace, name, serviceAccountName, nodeName) => {
      const spec = {
        serviceAccountName,
        nodeName,
        automountServiceAccountToken: false,
        containers: [{ name: "main", image: "none" }],
      };
      await createObject(
        client,
        resources.pods,
        { namespace },
        { apiVersion: "v1", kind: "Pod", ...metadata(name), spec },
      );
    },
    deletePod: async (namespace, name) => {
      // At once: without a kubelet nobody would confirm its end.
      const body = { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds: 0 };
      await client.call({ verb: "DELETE", path: toPath(resources.pods, { namespace, name }), body });
    },
    token: tokenOf,
    accessOf: async (namespace, name) => {
      const { server, tls } = access;
      const { cert: _, key: __, ...trusted } = tls;
      return { server, tls: trusted, token: await tokenOf(namespace, name, { audience: issuer }) };
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

/** As an administrator's, with another server. */
export function writeKubeconfig(directory: string, { server, tls, token }: Access): string {
  const base64 = (pem: string | undefined): string | undefined => pem && Buffer.from(pem, "utf8").toString("base64");
  const path = join(directory, "kubeconfig.json");
  const cluster = {
    server: server.href,
    "certificate-authority-data": base64(tls.ca),
    "tls-server-name": tls.serverName,
  };
  const user = { "client-certificate-data": base64(tls.cert), "client-key-data": base64(tls.key), token };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    clusters: [{ name: "test", cluster }],
    users: [{ name: "test", user }],
  };
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

export async function deleteNamespace(client: Client, name: string): Promise<void> {
  await deleteObject(client, resources.namespaces, { name }).catch(() => undefined);
}
