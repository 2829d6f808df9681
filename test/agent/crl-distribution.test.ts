import assert from "node:assert/strict";
import { test } from "node:test";
import { type CrlDistribution, startCrlDistribution } from "../../src/agent/crl-distribution.ts";
import { applyObject } from "../../src/kube/apply.ts";
import { type Client, openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { startEvents } from "../../src/kube/events.ts";
import { startInformer } from "../../src/kube/informer.ts";
import { readConfigMap, readNamespace } from "../../src/kube/meta.ts";
import { createObject, getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { type Kept, openKeptLog } from "../support/kept-log.ts";
import { type MemoryApi, startMemoryApi } from "../support/kube-memory.ts";
import { eventually } from "../support/patience.ts";

interface Setting extends AsyncDisposable {
  readonly api: MemoryApi;
  readonly client: Client;
  readonly log: Kept;
  readonly distribution: CrlDistribution;
  addNamespace(name: string): Promise<void>;
  /** The CRLs of a namespace; undefined for no ConfigMap, empty for one without them. */
  crlsIn(namespace: string): Promise<string | undefined>;
}

async function openSetting(names: readonly string[]): Promise<Setting> {
  await using stack = new AsyncDisposableStack();
  const api = stack.use(await startMemoryApi());
  const client = stack.use(openClient({ credentials: fixedCredentials(api.access) }));
  const log = openKeptLog();
  const kube = { client, log, now: () => new Date() };
  const addNamespace = async (name: string): Promise<void> => {
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
    await createObject(client, resources.namespaces, {}, namespace);
  };
  for (const name of names) await addNamespace(name);
  const all = { read: readConfigMap, indexes: {}, fieldSelector: "metadata.name=istio-ca-crl" };
  const configMaps = stack.use(startInformer({ resource: resources.configMaps, ...all }, kube));
  const namespaces = stack.use(
    startInformer({ resource: resources.namespaces, read: readNamespace, indexes: {} }, kube),
  );
  const events = stack.use(startEvents({ controller: "test", instance: "test" }, kube));
  await Promise.all([namespaces.synced, configMaps.synced]);
  const selection = { namespaceSelectors: [{}], istiodNamespaces: new Set(["istio-system"]) };
  const distribution = stack.use(startCrlDistribution([selection], { ...kube, namespaces, configMaps, events }));
  const kept = stack.move();
  return {
    api,
    client,
    log,
    distribution,
    addNamespace,
    crlsIn: async (namespace) => {
      const one = { namespace, name: "istio-ca-crl" };
      const found = await getObject(client, resources.configMaps, one).catch(() => undefined);
      return found === undefined ? undefined : (readConfigMap(found).data.get("ca-crl.pem") ?? "");
    },
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

const crls = { crlsPem: "crls", crlNamespaces: ["pay-*", "shop"] };
const none = { crlsPem: "", crlNamespaces: [] };

test("CRLs go to the namespaces of tenants that have them, also to those that appear, and to no other", async () => {
  await using setting = await openSetting(["pay-a", "pay-b", "shop", "shopping", "istio-system", "kube-public"]);
  const { distribution, crlsIn, addNamespace } = setting;
  await distribution.put(crls);
  for (const name of ["pay-a", "pay-b", "shop"]) assert.equal(await crlsIn(name), "crls", name);
  await addNamespace("pay-late");
  await eventually(async () => assert.equal(await crlsIn("pay-late"), "crls"));
  await distribution.put({ ...crls, crlsPem: "newer" });
  for (const name of ["pay-a", "pay-late", "shop"]) assert.equal(await crlsIn(name), "newer", name);
  for (const name of ["shopping", "istio-system", "kube-public"]) assert.equal(await crlsIn(name), undefined, name);
  assert.deepEqual(setting.log.of("foreign trust overwritten"), []);
});

test("CRLs that are not wanted any more are taken away, and what else is in the ConfigMap stays", async () => {
  await using setting = await openSetting(["pay-a", "shop", "other"]);
  const { client, distribution, crlsIn } = setting;
  const mine = { data: { note: "an operator's" } };
  const one = { namespace: "shop", name: "istio-ca-crl" };
  await distribution.put(crls);
  await applyObject(client, resources.configMaps, one, mine, { fieldManager: "kubectl" });
  await distribution.put({ ...crls, crlNamespaces: ["pay-a"] });
  await eventually(async () => assert.equal(await crlsIn("shop"), ""));
  const shop = readConfigMap(await getObject(client, resources.configMaps, one));
  assert.deepEqual([...shop.data], [["note", "an operator's"]]);
  await distribution.put(none);
  await eventually(async () => assert.equal(await crlsIn("pay-a"), ""));
  await distribution.put(crls);
  await eventually(async () => assert.deepEqual([await crlsIn("pay-a"), await crlsIn("shop")], ["crls", "crls"]));
  assert.deepEqual(setting.log.of("foreign trust overwritten"), []);
  await distribution.put(none);
  await eventually(async () => assert.deepEqual([await crlsIn("pay-a"), await crlsIn("shop")], ["", ""]));
  assert.equal(await crlsIn("other"), undefined);
});

test("where no tenant has CRLs nobody waits, whatever the API server says to that ConfigMap", async () => {
  await using setting = await openSetting(["shop"]);
  setting.api.intercept(({ path }, response) => path.includes("/configmaps") && response.destroy() !== undefined);
  await setting.distribution.put(none);
  assert.deepEqual(setting.distribution.lacking(), []);
});

test("what somebody else put in their place is put right", async () => {
  await using setting = await openSetting(["shop"]);
  const { client, distribution, crlsIn } = setting;
  const forged = { data: { "ca-crl.pem": "forged" } };
  const one = { namespace: "shop", name: "istio-ca-crl" };
  await applyObject(client, resources.configMaps, one, forged, { fieldManager: "somebody" });
  await distribution.put(crls);
  assert.equal(await crlsIn("shop"), "crls");
});
