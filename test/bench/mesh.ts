/** A hub and its clusters in a temporary directory, made with the same verbs an operator types. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { runVerb, type Server, startProcess } from "./server.ts";

export const hub = "hub.example";
/** Each has a tenant of its own: `shop` its namespaces `shop-*` in `east`, `bank` its own in `west`. */
export const tenants = { east: "shop", west: "bank" } as const;
export type Cluster = keyof typeof tenants;
export const servingName = "istiod.istio-system.svc";
export const tokenIssuer = "https://kubernetes.default.svc.cluster.local";

/** What a driver has to know; plain values, for it is another process. */
export interface MeshPlan {
  readonly cluster: Cluster;
  readonly tenant: string;
  readonly issuerAddress: string;
  readonly agentAddress: string;
  /** The key that signs the cluster's tokens, PEM. */
  readonly tokenKeyPem: string;
  /** The cluster's serving root, PEM. */
  readonly servingRootPem: string;
  readonly hubRootPem: string;
  /** A file with the agent's own token. */
  readonly agentTokenFile: string;
}

/** An agent, and how to drive it. */
export interface Side {
  readonly agent: Server;
  readonly plan: MeshPlan;
}

export interface Mesh extends Side, AsyncDisposable {
  readonly issuer: Server;
  /** Starts the other cluster's agent. */
  startWest(): Promise<Side>;
}

/** The agent of `east` is there at once. `nodeFlags` are given to the issuer and the agents. */
export async function startMesh(nodeFlags: readonly string[]): Promise<Mesh> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "espalier-bench-"));
  stack.defer(async () => await rm(directory, { recursive: true }));
  const at = (name: string): string => join(directory, name);
  const pairs = { east: newPair(), west: newPair() };

  await runVerb("init", "--hub", hub, "--dir", directory);
  await writeFile(at("resources/all.yaml"), resources(pairs));
  await writeFile(at("issuer.yaml"), `hub: ${hub}\nlisten: 127.0.0.1:0\nhttp: 127.0.0.1:0\n`);
  const issuer = stack.use(startProcess(["issuer", "run", "--config", at("issuer.yaml")], at("issuer.log"), nodeFlags));
  const issuerAddress = `127.0.0.1:${await issuer.waitFor("issuer ready", "port")}`;
  const socket = at("admin.sock");
  await runVerb("root", "create", "main", "--socket", socket);
  const hubRootPem = await runVerb("root", "show", hub, "--socket", socket);

  const startSide = async (cluster: Cluster): Promise<Side> => {
    await runVerb("root", "create", "--serving", cluster, "--socket", socket);
    const servingRootPem = await runVerb("root", "show", cluster, "--serving", "--socket", socket);
    const pair = pairs[cluster];
    const agentTokenFile = at(`${cluster}-token`);
    await writeFile(agentTokenFile, agentToken(pair));
    await writeFile(at(`${cluster}-jwks.json`), JSON.stringify(createTokenIssuer(tokenIssuer, pair).jwks));
    await writeFile(at(`${cluster}.yaml`), agentYaml(cluster, issuerAddress));
    const verb = ["agent", "run", "--config", at(`${cluster}.yaml`)];
    const agent = opened.use(startProcess(verb, at(`${cluster}.log`), nodeFlags));
    const agentAddress = `127.0.0.1:${await agent.waitFor("serving workloads", "port")}`;
    const tokenKeyPem = pair.privateKey.export({ type: "pkcs8", format: "pem" });
    const tenant = tenants[cluster];
    const roots = { servingRootPem, hubRootPem };
    return { agent, plan: { cluster, tenant, issuerAddress, agentAddress, tokenKeyPem, ...roots, agentTokenFile } };
  };
  const opened = stack.move();
  const east = await startSide("east").catch(async (error: unknown) => {
    await opened.disposeAsync();
    throw error;
  });
  return {
    issuer,
    ...east,
    startWest: async () => await startSide("west"),
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function newPair(): Pair {
  return generateKeyPairSync("rsa", { modulusLength: 2048 });
}

function agentToken(pair: Pair): string {
  return createTokenIssuer(tokenIssuer, pair).token({
    namespace: "espalier-system",
    serviceAccount: "espalier-agent",
    audience: `espalier:${hub}`,
  });
}

function resources(pairs: Readonly<Record<Cluster, Pair>>): string {
  const documents = Object.entries(tenants).map(
    ([cluster, tenant]) => `---
apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: ${tenant} }
spec:
  trustDomain: ${tenant}.example
  root: main
  quotas: { perTokenHour: 100000 }
  rules: [{ name: all, clusters: [${cluster}], namespaces: ["${tenant}-*"] }]
---
apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata: { name: ${cluster} }
spec:
  tokens: { issuer: "${tokenIssuer}", keys: { jwks: ${JSON.stringify(createTokenIssuer(tokenIssuer, pairs[cluster === "east" ? "east" : "west"]).jwks)} } }
  servingNames: [${servingName}]
`,
  );
  return `apiVersion: espalier.dev/v1alpha1
kind: TrustRoot
metadata: { name: main }
spec: {}
${documents.join("")}`;
}

function agentYaml(cluster: Cluster, issuerAddress: string): string {
  return `hub: ${hub}
cluster: ${cluster}
listen: 127.0.0.1:0
http: 127.0.0.1:0
issuers: ["${issuerAddress}"]
hubRoots: hub-root.pem
data: ${cluster}-data
tokenFile: ${cluster}-token
tokens: { issuer: "${tokenIssuer}", jwksFile: ${cluster}-jwks.json }
`;
}
