/** The stage: a hub and two clusters on loopback, each as its own processes, set up by the verbs an operator would type. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createTokenIssuer, type TokenIssuer } from "../support/kubernetes.ts";
import { type Daemon, espalier, type Finished, freePort, startDaemon } from "../support/processes.ts";

export const hub = "hub.example";
export const clusterNames = ["east", "west"] as const;
export type ClusterName = (typeof clusterNames)[number];
/** What Istio's agents expect of whoever serves on "localhost". */
export const servingName = "istiod.istio-system.svc";
/** All that each cluster's agent serves as. */
export const servingNames = ["espalier-agent.espalier-system.svc", servingName];

export interface Cluster {
  readonly name: ClusterName;
  readonly tokens: TokenIssuer;
  readonly agent: string;
  readonly http: string;
  readonly rootFile: string;
  readonly joinTokenFile: string;
  readonly config: string;
}

export interface Stage extends AsyncDisposable {
  readonly out: string;
  readonly socket: string;
  readonly hubAddress: string;
  readonly clusters: Readonly<Record<ClusterName, Cluster>>;
  espalier(...args: readonly string[]): Promise<Finished>;
  issuer(): Daemon;
  startIssuer(): Promise<void>;
  startAgent(name: ClusterName): Promise<void>;
}

const resources = `# What a platform team declares. Nothing here holds a secret.
apiVersion: espalier.dev/v1alpha1
kind: TrustRoot
metadata: { name: main }
---
apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: payments }
spec:
  trustDomain: payments.example
  root: main
  rules:
    - { name: pods, clusters: [east, west], namespaces: [payments] }
    - { name: vms, clusters: [east], namespaces: [payments-vms], proofs: [token, certificate] }
---
apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: orders }
spec:
  trustDomain: orders.example
  root: main
  rules:
    - { name: pods, clusters: [east, west], namespaces: ["orders-*"] }
---
apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata: { name: east }
spec:
  tokens: { issuer: "https://kubernetes.east.example", keys: { jwksFile: east-jwks.json } }
  servingNames: [${servingNames.join(", ")}]
---
apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata: { name: west }
spec:
  tokens: { issuer: "https://kubernetes.west.example", keys: { joined: true } }
  servingNames: [${servingNames.join(", ")}]
`;

export async function openStage(directory: string): Promise<Stage> {
  const out = resolve(directory);
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const [hubPort, hubHttp] = [await freePort(), await freePort()];
  const socket = join(out, "hub", "admin.sock");
  const daemons = new AsyncDisposableStack();
  let issuer: Daemon | undefined;

  const clusters = { east: await toCluster("east", out, hubPort), west: await toCluster("west", out, hubPort) };
  return {
    out,
    socket,
    hubAddress: `localhost:${hubPort}`,
    clusters,
    espalier: async (...args) =>
      await espalier(args, { ESPALIER_ADMIN_SOCKET: socket, USER: process.env["USER"] ?? "demo" }),
    issuer: () => {
      if (issuer === undefined) throw new Error("the issuer has not been started");
      return issuer;
    },
    startIssuer: async () => {
      const config = join(out, "hub", "issuer.yaml");
      await writeFile(join(out, "hub", "resources", "mesh.yaml"), resources);
      await writeFile(join(out, "hub", "resources", "east-jwks.json"), JSON.stringify(clusters.east.tokens.jwks));
      await writeFile(config, `hub: ${hub}\nlisten: 127.0.0.1:${hubPort}\nhttp: 127.0.0.1:${hubHttp}\n`);
      issuer = daemons.use(startDaemon(["issuer", "run", "--config", config]));
      await issuer.event("issuer ready");
    },
    startAgent: async (name) => {
      const agent = daemons.use(startDaemon(["agent", "run", "--config", clusters[name].config]));
      await agent.event("serving workloads");
    },
    [Symbol.asyncDispose]: async () => await daemons.disposeAsync(),
  };
}

/** A cluster's folder: what Kubernetes would give its agent's pod. */
async function toCluster(name: ClusterName, out: string, hubPort: number): Promise<Cluster> {
  const directory = join(out, "clusters", name);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const tokens = createTokenIssuer(`https://kubernetes.${name}.example`);
  const [port, http] = [await freePort(), await freePort()];
  const config = join(directory, "agent.yaml");
  const token = tokens.token({
    namespace: "espalier-system",
    serviceAccount: "espalier-agent",
    audience: `espalier:${hub}`,
  });
  await writeFile(join(directory, "token"), token, { mode: 0o600 });
  await writeFile(join(directory, "jwks.json"), JSON.stringify(tokens.jwks));
  await writeFile(
    config,
    `hub: ${hub}
cluster: ${name}
listen: 127.0.0.1:${port}
http: 127.0.0.1:${http}
issuers: ["127.0.0.1:${hubPort}"]
hubRoots: ../../hub/hub-root.pem
data: data
tokenFile: token
joinTokenFile: join-token
tokens: { issuer: "https://kubernetes.${name}.example", jwksFile: jwks.json }
`,
  );
  return {
    name,
    tokens,
    agent: `localhost:${port}`,
    http: `http://127.0.0.1:${http}`,
    rootFile: join(directory, "data", "root-cert.pem"),
    joinTokenFile: join(directory, "join-token"),
    config,
  };
}
