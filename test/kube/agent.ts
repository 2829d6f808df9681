/**
 * An agent beside a real API server: `KUBECONFIG=… node --test test/kube/agent.ts`, with the rights of an administrator. Tokens are
 * the cluster's own, by TokenRequest; outages are those of a relay between agent and API server.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import { applyObject } from "../../src/kube/apply.ts";
import { recordAt, textAt } from "../../src/kube/json.ts";
import { listItems } from "../../src/kube/list.ts";
import { readConfigMap } from "../../src/kube/meta.ts";
import { getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { until } from "../contract/kube-setting.ts";
import { type KubeShop, openKubeShop } from "../support/kube-shop.ts";
import type { KubeSite } from "../support/kube-site.ts";
import { eventually } from "../support/patience.ts";
import type { AgentStack } from "../support/stack.ts";
import { type Answer, assertIssued, assertRefused, csrFor, openWorkload, tlsOf } from "../support/workload.ts";

let shop: KubeShop;
let stage: KubeSite;
let agent: AgentStack;

before(async () => {
  shop = await openKubeShop(["token", "impersonated"]);
  stage = shop.site;
  const { cluster, istio } = stage;
  for (const account of ["till", "ghost"]) await cluster.account(shop.namespace, account);
  await cluster.pod(istio, "ztunnel-1", "ztunnel", shop.node);
  agent = await stage.startAgent("first");
});
after(async () => await shop[Symbol.asyncDispose]());

async function askAs(token: string, account: string): Promise<Answer> {
  return await shop.ask(agent, { token, account });
}

async function rootsIn(namespace: string): Promise<string | undefined> {
  const one = { namespace, name: stage.rootConfigMap };
  const found = await getObject(stage.cluster.client, resources.configMaps, one).catch(() => undefined);
  return found === undefined ? undefined : readConfigMap(found).data.get("root-cert.pem");
}

test("a pod's own token gets its certificate, and not once the pod is gone", async () => {
  const token = await stage.cluster.token(shop.namespace, "cart", { pod: "cart-1" });
  assertIssued(await askAs(token, "cart"));
  await stage.cluster.pod(shop.namespace, "cart-2", "cart", shop.node);
  const second = await stage.cluster.token(shop.namespace, "cart", { pod: "cart-2" });
  assertIssued(await askAs(second, "cart"));
  await stage.cluster.deletePod(shop.namespace, "cart-2");
  await eventually(async () => assertRefused(await askAs(second, "cart"), "proof-invalid", /does not exist/));
});

test("a pod of the same name is another pod, and is served the moment it is there", async () => {
  await stage.cluster.pod(shop.namespace, "till-0", "till", shop.node);
  const before = await stage.cluster.token(shop.namespace, "till", { pod: "till-0" });
  assertIssued(await askAs(before, "till"));
  await stage.cluster.deletePod(shop.namespace, "till-0");
  await stage.cluster.pod(shop.namespace, "till-0", "till", shop.node);
  assertIssued(await askAs(await stage.cluster.token(shop.namespace, "till", { pod: "till-0" }), "till"));
  assertRefused(await askAs(before, "till"), "proof-invalid", /replaced by another/);
});

test("a ztunnel is given the workloads of its node", async (t) => {
  const cart = shop.idOf("cart");
  const ztunnel = await stage.cluster.token(stage.istio, "ztunnel", { pod: "ztunnel-1" });
  await t.test(
    "its own node's",
    async () => void assertIssued(await shop.ask(agent, { token: ztunnel, impersonated: cart })),
  );
  await t.test("one hundred at once cost no look-up of their own", async () => {
    const before = stage.relay.taken();
    // On one connection, as a ztunnel has it.
    using client = openWorkload(await agent.address(), tlsOf(stage.site, "east"), "east");
    const asked = { token: ztunnel, csr: csrFor(cart), metadata: { ImpersonatedIdentity: cart } };
    const answers = await Promise.all(Array.from({ length: 100 }, async () => await client.ask(asked)));
    for (const one of answers) assertIssued(one);
    assert.ok(stage.relay.taken() - before < 5, "connections were made for them");
  });
});

test("every selected namespace gets the roots, and a forged one is overwritten with an Event", async () => {
  const wanted = stage.site.servingRootsPem["east"];
  const { cluster, system, istio: istioNamespace, rootConfigMap } = stage;
  for (const name of [shop.namespace, system, await stage.namespace("other")]) {
    await until(`${name} has them`, async () => (await rootsIn(name)) === wanted);
  }
  const istio = await rootsIn(istioNamespace);
  assert.ok(
    istio?.startsWith(wanted ?? "-") && istio.length > (wanted ?? "").length,
    "istiod's namespace has its tenants' too",
  );
  const fresh = await stage.namespace("fresh");
  await until("a new one has them", async () => (await rootsIn(fresh)) === wanted);
  const content = { data: { "root-cert.pem": "forged" } };
  await applyObject(cluster.client, resources.configMaps, { namespace: shop.namespace, name: rootConfigMap }, content, {
    fieldManager: "mallory",
    force: true,
  });
  await until("it is overwritten", async () => (await rootsIn(shop.namespace)) === wanted);
  const seen = async (): Promise<boolean> => {
    const reasons: string[] = [];
    const onPage = (items: readonly unknown[]): void => {
      for (const event of items) reasons.push(textAt(recordAt({ event }, "event"), "reason") ?? "");
    };
    await listItems(
      cluster.client,
      { resource: resources.events },
      {},
      { read: (item) => item, onPage, onRestart: () => {} },
    );
    return reasons.includes("TrustOverwritten");
  };
  await until("an Event says so", seen);
});

test("istiod's certificate is whole before istiod starts", async () => {
  const { cluster, istio, site } = stage;
  const one = { namespace: istio, name: "istiod-tls" };
  await until(
    "it is there",
    async () =>
      await getObject(cluster.client, resources.secrets, one).then(
        () => true,
        () => false,
      ),
  );
  const data = recordAt(await getObject(cluster.client, resources.secrets, one), "data");
  const pem = (key: string): string => Buffer.from(textAt(data, key) ?? "", "base64").toString("utf8");
  assert.equal(pem("ca.crt"), site.servingRootsPem["east"]);
  const certificate = new X509Certificate(pem("tls.crt"));
  assert.match(certificate.subjectAltName ?? "", /DNS:istiod\.istio-system\.svc/);
  assert.ok(certificate.verify(new X509Certificate(pem("ca.crt")).publicKey));
});

test("with the API server away known pods are served up to the staleness limit, and unknown ones are UNAVAILABLE", async () => {
  const known = await stage.cluster.token(shop.namespace, "cart", { pod: "cart-1" });
  await stage.cluster.pod(shop.namespace, "late-1", "ghost", shop.node);
  const other = await stage.cluster.token(shop.namespace, "ghost", { pod: "late-1" });
  await stage.cluster.deletePod(shop.namespace, "late-1");
  await eventually(async () => assertRefused(await askAs(other, "ghost"), "proof-invalid"));
  stage.relay.cut();
  assertIssued(await askAs(known, "cart"));
  // Its answer from a moment ago is forgotten first.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assertRefused(await askAs(other, "ghost"), "unavailable");
  stage.clock.offsetSeconds = 301;
  assertRefused(await askAs(known, "cart"), "unavailable");
  stage.relay.accept();
  stage.clock.offsetSeconds = 0;
  await until("it is served again", async () => "chain" in (await askAs(known, "cart")));
});

test("an istiod that still distributes its own root is not fought, and readiness says so", async () => {
  const { cluster, istio, rootConfigMap } = stage;
  const own = "istiod's own";
  await until("readiness says so", async () => {
    // As often as it takes: one who leads only from now on takes the first for what an istiod has left.
    if ((await rootsIn(istio)) !== own)
      await applyObject(
        cluster.client,
        resources.configMaps,
        { namespace: istio, name: rootConfigMap },
        { data: { "root-cert.pem": own } },
        { fieldManager: "pilot-discovery", force: true },
      );
    const answer = await fetch(`http://127.0.0.1:${agent.running.httpPort}/readyz`);
    return answer.status === 503 && (await answer.text()).includes(rootConfigMap);
  });
  assert.equal(await rootsIn(istio), own);
});

test("a second agent takes over when the first one goes, with the state it left", async () => {
  await agent[Symbol.asyncDispose]();
  agent = await stage.startAgent("second");
  await until("it leads", () => agent.log.lines.some((line) => line.event === "leading"));
  await agent.address();
  assertIssued(await askAs(await stage.cluster.token(shop.namespace, "cart", { pod: "cart-1" }), "cart"));
});
