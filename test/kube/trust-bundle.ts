/**
 * The ClusterTrustBundle on a real API server: `KUBECONFIG=… node --test test/kube/trust-bundle.ts`, with the rights of an
 * administrator. Where the API server serves none, that the agent does without is what is tried.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isNotFound } from "../../src/kube/api-error.ts";
import { applyObject } from "../../src/kube/apply.ts";
import { recordAt, textAt } from "../../src/kube/json.ts";
import { listItems } from "../../src/kube/list.ts";
import { readClusterTrustBundle, readConfigMap, readMeta } from "../../src/kube/meta.ts";
import { deleteObject, getObject } from "../../src/kube/objects.ts";
import { type Resource, resources } from "../../src/kube/resource.ts";
import { servedVersion } from "../../src/kube/served.ts";
import { until } from "../contract/kube-setting.ts";
import { type KubeShop, openKubeShop } from "../support/kube-shop.ts";
import type { AgentStack } from "../support/stack.ts";
import { assertIssued } from "../support/workload.ts";

let shop: KubeShop;
let agent: AgentStack;
let resource: Resource | undefined;
const nameOf = (run: string): string => `espalier.example:test-${run}:root-cert`;

before(async () => {
  shop = await openKubeShop();
  const { cluster, run } = shop.site;
  agent = await shop.site.startAgent("bundles", { clusterTrustBundle: nameOf(run) });
  resource = await servedVersion(cluster.client, resources.clusterTrustBundles, ["v1", "v1beta1", "v1alpha1"]);
  console.log(`ClusterTrustBundles are served as ${resource?.version ?? "none"}`);
});
after(async () => {
  if (resource !== undefined)
    await deleteObject(shop.site.cluster.client, resource, { name: nameOf(shop.site.run) }).catch(() => undefined);
  await shop[Symbol.asyncDispose]();
});

async function trustBundle(served: Resource): Promise<string | undefined> {
  try {
    return readClusterTrustBundle(await getObject(shop.site.cluster.client, served, { name: nameOf(shop.site.run) }))
      .trustBundle;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function reasons(): Promise<readonly (string | undefined)[]> {
  const found: (string | undefined)[] = [];
  const read = (event: unknown) => ({
    reason: textAt(recordAt({ event }, "event"), "reason"),
    about: textAt(recordAt(event, "regarding"), "name"),
  });
  const onPage = (page: readonly ReturnType<typeof read>[]): void => {
    for (const { reason, about } of page) if (about === nameOf(shop.site.run)) found.push(reason);
  };
  await listItems(shop.site.cluster.client, { resource: resources.events }, {}, { read, onPage, onRestart: () => {} });
  return found;
}

test("the serving roots stand in the bundle of its signer, and another's are overwritten with an Event", async (t) => {
  if (resource === undefined) return t.skip("this API server serves none");
  const served = resource;
  const { cluster, site, run } = shop.site;
  const wanted = site.servingRootsPem["east"];
  await until("the bundle has them", async () => (await trustBundle(served)) === wanted);
  const object = await getObject(cluster.client, served, { name: nameOf(run) });
  assert.equal(textAt(recordAt(object, "spec"), "signerName"), `espalier.example/test-${run}`);
  const { resourceVersion } = readMeta(object);
  assert.deepEqual(await reasons(), []);
  const root = readConfigMap(
    await getObject(cluster.client, resources.configMaps, { namespace: "default", name: "kube-root-ca.crt" }),
  ).data.get("ca.crt");
  const spec = { signerName: `espalier.example/test-${run}`, trustBundle: root };
  const forging = { fieldManager: "mallory", force: true };
  await applyObject(cluster.client, served, { name: nameOf(run) }, { spec }, forging);
  await until("it is overwritten", async () => (await trustBundle(served)) === wanted);
  await until("an Event says so", async () => (await reasons()).includes("TrustOverwritten"));
  assert.notEqual(
    readMeta(await getObject(cluster.client, served, { name: nameOf(run) })).resourceVersion,
    resourceVersion,
  );
  await deleteObject(cluster.client, served, { name: nameOf(run) });
  await until("it is there again", async () => (await trustBundle(served)) === wanted);
});

test("namespaces get their ConfigMaps and workloads their certificates, whether there are bundles or not", async () => {
  const { cluster, rootConfigMap, site } = shop.site;
  const rootsIn = async (namespace: string): Promise<string | undefined> => {
    const one = { namespace, name: rootConfigMap };
    const found = await getObject(cluster.client, resources.configMaps, one).catch(() => undefined);
    return found === undefined ? undefined : readConfigMap(found).data.get("root-cert.pem");
  };
  await until("they have them", async () => (await rootsIn(shop.namespace)) === site.servingRootsPem["east"]);
  const token = await cluster.token(shop.namespace, "cart", { pod: "cart-1" });
  assertIssued(await shop.ask(agent, { token }));
  assert.equal(agent.log.of("ClusterTrustBundles are not served").length, resource === undefined ? 1 : 0);
  assert.deepEqual(agent.log.of("trust refused"), []);
});
