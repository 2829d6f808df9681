/** A hub and an agent beside a real API server, with a tenant `shop` in a namespace of its own; what two test files need of it. */
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { createObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { agentSchema } from "../../src/ops/config.ts";
import { deleteNamespace, openRealCluster, type RealCluster, writeKubeconfig } from "./kube-cluster.ts";
import { type Relay, startRelay } from "./kube-relay.ts";
import {
  type AgentStack,
  type Answer,
  clusterDocument,
  csrFor,
  document,
  eventually,
  makeSite,
  openClock,
  openWorkload,
  type Site,
  startAgentOf,
  startIssuerOn,
  tlsOf,
} from "./stack.ts";

const kubernetesSchema = agentSchema.shape.kubernetes.unwrap();

type Kubernetes = z.input<typeof kubernetesSchema>;

export interface KubeStage extends AsyncDisposable {
  readonly cluster: RealCluster;
  /** Between agent and API server. */
  readonly relay: Relay;
  readonly site: Site;
  readonly agent: AgentStack;
  /** Names that no other run has. */
  readonly run: string;
  readonly names: { readonly shop: string; readonly system: string; readonly istio: string };
  readonly rootConfigMap: string;
  /** An account `cart` with a pod `cart-1` is there. */
  askAs(token: string, account?: string): Promise<Answer>;
}

export async function openKubeStage(kubernetes: (run: string) => Partial<Kubernetes>): Promise<KubeStage> {
  const { KUBECONFIG: path } = process.env;
  if (path === undefined) throw new Error("KUBECONFIG is not set: test/kube/run starts an API server if it can");
  const run = randomUUID().slice(0, 6);
  const names = { shop: `shop-${run}`, system: `espalier-${run}`, istio: `istio-${run}` };
  const node = `node-${run}`;
  const rootConfigMap = `istio-ca-root-cert-${run}`;
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await openRealCluster(path));
  const relay = stack.use(await startRelay(cluster.access));
  for (const name of Object.values(names)) {
    await cluster.namespace(name, { mesh: run });
    stack.defer(async () => await deleteNamespace(cluster.client, name));
  }
  await createObject(cluster.client, resources.nodes, {}, { apiVersion: "v1", kind: "Node", metadata: { name: node } });
  await cluster.account(names.system, "espalier-agent");
  await cluster.account(names.shop, "cart");
  await cluster.pod(names.system, "agent-0", "espalier-agent", node);
  await cluster.pod(names.shop, "cart-1", "cart", node);
  const keys = { jwks: JSON.parse(cluster.jwks) };
  const rule = { name: "pods", clusters: ["east"], namespaces: [names.shop], proofs: ["token"] };
  const documents = [
    document("TrustRoot", "main", {}),
    document("MeshTenant", "shop", { trustDomain: "shop.example", root: "main", rules: [rule] }),
    clusterDocument("east", {
      tokens: { issuer: cluster.issuer, keys },
      agent: { namespace: names.system, serviceAccount: "espalier-agent" },
    }),
  ];
  const clock = openClock();
  const site = stack.use(await makeSite({ documents, serving: ["east"] }));
  const issuer = stack.use(await startIssuerOn(site, { clock }));
  const tokenFile = join(site.directory, "agent-token");
  const options = { audience: "espalier:hub.example", pod: "agent-0" };
  writeFileSync(tokenFile, await cluster.token(names.system, "espalier-agent", options), { mode: 0o600 });
  const jwksFile = join(site.directory, "agent-jwks.json");
  writeFileSync(jwksFile, cluster.jwks);
  const agent = stack.use(
    await startAgentOf(site, "east", {
      clock,
      issuers: [issuer.address],
      tokens: { issuer: cluster.issuer, jwksFile },
      config: {
        tokenFile,
        kubernetes: kubernetesSchema.parse({
          kubeconfig: writeKubeconfig(site.directory, relay.access),
          namespace: names.system,
          rootConfigMap,
          namespaceSelector: { mesh: run },
          istiodNamespace: names.istio,
          ...kubernetes(run),
        }),
      },
    }),
  );
  // Its certificates are asked for again with growing pauses, and a machine may be busy.
  await eventually(async () => await agent.ready(), 60_000);
  const kept = stack.move();
  return {
    cluster,
    relay,
    site,
    agent,
    run,
    names,
    rootConfigMap,
    askAs: async (token, account = "cart") => {
      using workload = openWorkload(await agent.address(), tlsOf(site, "east"), "east");
      return await workload.ask({ token, csr: csrFor(`spiffe://shop.example/ns/${names.shop}/sa/${account}`) });
    },
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}
