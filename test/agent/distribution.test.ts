import assert from "node:assert/strict";
import { test } from "node:test";
import { startDistribution } from "../../src/agent/distribution.ts";
import { applyObject } from "../../src/kube/apply.ts";
import { openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { startEvents } from "../../src/kube/events.ts";
import { startInformer } from "../../src/kube/informer.ts";
import { readConfigMap, readNamespace } from "../../src/kube/meta.ts";
import { createObject, getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { startMemoryApi } from "../support/kube-memory.ts";
import { eventually, openKeptLog } from "../support/stack.ts";

test("an istiod that signs is left alone for a while, and once its CA is off the roots are put back", async () => {
  await using api = await startMemoryApi();
  using client = openClient({ credentials: fixedCredentials(api.access) });
  const log = openKeptLog();
  const kube = { client, log, now: () => new Date() };
  const body = { apiVersion: "v1", kind: "Namespace", metadata: { name: "istio-system" } };
  await createObject(client, resources.namespaces, {}, body);
  await using namespaces = startInformer({ resource: resources.namespaces, read: readNamespace, indexes: {} }, kube);
  await using configMaps = startInformer({ resource: resources.configMaps, read: readConfigMap, indexes: {} }, kube);
  await using events = startEvents({ controller: "test", instance: "test" }, kube);
  await Promise.all([namespaces.synced, configMaps.synced]);
  const istiodNamespaces = new Set(["istio-system"]);
  const config = { configMap: "roots", namespaceSelectors: [{}], istiodNamespaces, conflictPauseMs: 1_000 };
  await using distribution = startDistribution(config, { ...kube, namespaces, configMaps, events });
  const one = { namespace: "istio-system", name: "roots" };
  const now = async (): Promise<string | undefined> =>
    readConfigMap(await getObject(client, resources.configMaps, one)).data.get("root-cert.pem");

  await distribution.put({ rootsPem: "ours", istiodRootsPem: "ours and tenants'" }, kube.now);
  await eventually(() => assert.equal(configMaps.get("roots", "istio-system")?.data.size, 1));
  const content = { data: { "root-cert.pem": "istiod's own" } };
  await applyObject(client, resources.configMaps, one, content, { fieldManager: "pilot-discovery", force: true });
  await eventually(() => assert.deepEqual(distribution.conflicts(), ["istio-system"]));
  assert.equal(await now(), "istiod's own");
  // Whatever else happens there meanwhile.
  await applyObject(client, resources.configMaps, one, content, {
    fieldManager: "pilot-discovery",
    force: true,
    labels: { again: "true" },
  });
  assert.equal(await now(), "istiod's own");
  await eventually(async () => assert.equal(await now(), "ours and tenants'"));
  await eventually(() => assert.deepEqual(distribution.conflicts(), []));
  assert.equal(log.of("trust conflict: istiod distributes its own root").length, 1);
});
