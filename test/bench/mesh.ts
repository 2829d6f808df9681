/** A hub and one cluster in a temporary directory, made with the same verbs an operator types. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { runVerb, type Server, startProcess } from "./server.ts";

export const hub = "hub.example";
export const cluster = "east";
export const trustDomain = "shop.example";
export const servingName = "istiod.istio-system.svc";
export const tokenIssuer = "https://kubernetes.default.svc.cluster.local";

/** What a driver has to know; plain values, for it is another process. */
export interface MeshPlan {
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

export interface Mesh extends AsyncDisposable {
  readonly issuer: Server;
  readonly agent: Server;
  readonly plan: MeshPlan;
}

/** `nodeFlags` are given to the issuer and the agent. */
export async function startMesh(nodeFlags: readonly string[]): Promise<Mesh> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "espalier-bench-"));
  stack.defer(async () => await rm(directory, { recursive: true }));
  const at = (name: string): string => join(directory, name);
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const tokens = createTokenIssuer(tokenIssuer, pair);

  await runVerb("init", "--hub", hub, "--dir", directory);
  await writeFile(at("resources/all.yaml"), resources(tokens.jwks));
  await writeFile(at("issuer.yaml"), `hub: ${hub}\nlisten: 127.0.0.1:0\nhttp: 127.0.0.1:0\n`);
  const issuer = stack.use(startProcess(["issuer", "run", "--config", at("issuer.yaml")], at("issuer.log"), nodeFlags));
  const issuerAddress = `127.0.0.1:${await issuer.waitFor("issuer ready", "port")}`;
  const socket = at("admin.sock");
  await runVerb("root", "create", "main", "--socket", socket);
  await runVerb("root", "create", "--serving", cluster, "--socket", socket);
  const servingRootPem = await runVerb("root", "show", cluster, "--serving", "--socket", socket);
  const hubRootPem = await runVerb("root", "show", hub, "--socket", socket);

  const agentTokenFile = at("agent-token");
  await writeFile(agentTokenFile, agentToken(pair));
  await writeFile(at("cluster-jwks.json"), JSON.stringify(tokens.jwks));
  await writeFile(at("agent.yaml"), agentYaml(issuerAddress));
  const agent = stack.use(startProcess(["agent", "run", "--config", at("agent.yaml")], at("agent.log"), nodeFlags));
  const agentAddress = `127.0.0.1:${await agent.waitFor("serving workloads", "port")}`;

  const tokenKeyPem = pair.privateKey.export({ type: "pkcs8", format: "pem" });
  const opened = stack.move();
  return {
    issuer,
    agent,
    plan: { issuerAddress, agentAddress, tokenKeyPem, servingRootPem, hubRootPem, agentTokenFile },
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

function agentToken(pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }): string {
  return createTokenIssuer(tokenIssuer, pair).token({
    namespace: "espalier-system",
    serviceAccount: "espalier-agent",
    audience: `espalier:${hub}`,
  });
}

function resources(jwks: object): string {
  return `apiVersion: espalier.dev/v1alpha1
kind: TrustRoot
metadata: { name: main }
spec: {}
---
apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: shop }
spec:
  trustDomain: ${trustDomain}
  root: main
  quotas: { perTokenHour: 100000 }
  rules: [{ name: all, clusters: [${cluster}], namespaces: ["shop-*"] }]
---
apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata: { name: ${cluster} }
spec:
  tokens: { issuer: "${tokenIssuer}", keys: { jwks: ${JSON.stringify(jwks)} } }
  servingNames: [${servingName}]
`;
}

function agentYaml(issuerAddress: string): string {
  return `hub: ${hub}
cluster: ${cluster}
listen: 127.0.0.1:0
http: 127.0.0.1:0
issuers: ["${issuerAddress}"]
hubRoots: hub-root.pem
tokenFile: agent-token
tokens: { issuer: "${tokenIssuer}", jwksFile: cluster-jwks.json }
`;
}
