/** On a KubeSite the tenant `shop` with a namespace of its own, in it the account `cart` and its pod `cart-1`: what most files need. */

import { document } from "./documents.ts";
import { kubeconfigOf } from "./kube-cluster.ts";
import { type KubeSite, type KubeTenants, openKubeSite } from "./kube-site.ts";
import type { AgentStack } from "./stack.ts";
import { type Answer, csrFor, openWorkload, tlsOf } from "./workload.ts";

export interface KubeShop extends AsyncDisposable {
  readonly site: KubeSite;
  /** The tenant's namespace. */
  readonly namespace: string;
  /** Where its pods are. */
  readonly node: string;
  idOf(account: string): string;
  /** With a workload's own token, or with ztunnel's for the identity of another. */
  ask(agent: AgentStack, asked: ShopAsked): Promise<Answer>;
}

export interface ShopAsked {
  readonly token: string;
  /** Whose CSR it is; `cart`, if nothing else is said. */
  readonly account?: string;
  readonly impersonated?: string;
}

/** The proofs are those of its one rule; `more` is what else of the MeshTenant is stated. */
export async function openKubeShop(proofs: readonly string[] = ["token"], more: object = {}): Promise<KubeShop> {
  await using stack = new AsyncDisposableStack();
  const toTenants: KubeTenants = (named) => [
    document("MeshTenant", "shop", {
      trustDomain: "shop.example",
      root: "main",
      rules: [{ name: "pods", clusters: ["east"], namespaces: [named("shop")], proofs: [...proofs] }],
      ...more,
    }),
  ];
  const site = stack.use(await openKubeSite(kubeconfigOf(process.env), toTenants));
  const [namespace, node] = [await site.namespace("shop"), await site.node("node")];
  await site.cluster.account(namespace, "cart");
  await site.cluster.pod(namespace, "cart-1", "cart", node);
  const idOf: KubeShop["idOf"] = (account) => `spiffe://shop.example/ns/${namespace}/sa/${account}`;
  const opened = stack.move();
  return {
    site,
    namespace,
    node,
    idOf,
    ask: async (agent, { token, account = "cart", impersonated }) => {
      using workload = openWorkload(await agent.address(), tlsOf(site.site, "east"), "east");
      const metadata = impersonated === undefined ? {} : { ImpersonatedIdentity: impersonated };
      return await workload.ask({ token, csr: csrFor(impersonated ?? idOf(account)), metadata });
    },
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}
