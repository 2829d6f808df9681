import assert from "node:assert/strict";
import { test } from "node:test";
import { type Distribution, startDistribution } from "../../src/agent/distribution.ts";
import { applyObject } from "../../src/kube/apply.ts";
import { type Client, openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { startEvents } from "../../src/kube/events.ts";
import { type Informer, startInformer } from "../../src/kube/informer.ts";
import { recordAt, textAt } from "../../src/kube/json.ts";
import { type ConfigMap, readConfigMap, readNamespace } from "../../src/kube/meta.ts";
import { createObject, getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { type Kept, openKeptLog } from "../support/kept-log.ts";
import { type MemoryApi, reply, startMemoryApi } from "../support/kube-memory.ts";
import { eventually } from "../support/patience.ts";

interface Setting extends AsyncDisposable {
  readonly api: MemoryApi;
  readonly client: Client;
  readonly log: Kept;
  readonly distribution: Distribution;
  readonly configMaps: Informer<ConfigMap, never>;
  rootsIn(namespace: string): string | undefined;
  events(): readonly string[];
}

/** Namespaces, the first of them istiod's, and the ConfigMap `roots` distributed to them. */
async function openSetting(names: readonly string[], conflictPauseMs = 4_000): Promise<Setting> {
  await using stack = new AsyncDisposableStack();
  const api = stack.use(await startMemoryApi());
  const client = stack.use(openClient({ credentials: fixedCredentials(api.access) }));
  const log = openKeptLog();
  const kube = { client, log, now: () => new Date() };
  for (const name of names)
    await createObject(client, resources.namespaces, {}, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  const namespaces = stack.use(
    startInformer({ resource: resources.namespaces, read: readNamespace, indexes: {} }, kube),
  );
  const configMaps = stack.use(
    startInformer({ resource: resources.configMaps, read: readConfigMap, indexes: {} }, kube),
  );
  const events = stack.use(startEvents({ controller: "test", instance: "test" }, kube));
  await Promise.all([namespaces.synced, configMaps.synced]);
  const config = {
    configMap: "roots",
    namespaceSelectors: [{}],
    istiodNamespaces: new Set(names.slice(0, 1)),
    conflictPauseMs,
  };
  const distribution = stack.use(startDistribution(config, { ...kube, namespaces, configMaps, events }));
  const kept = stack.move();
  return {
    api,
    client,
    log,
    distribution,
    configMaps,
    rootsIn: (namespace) => configMaps.get("roots", namespace)?.data.get("root-cert.pem"),
    events: () =>
      api.store.list("events.k8s.io/v1/events").flatMap((event) => {
        const regarding = recordAt(event, "regarding");
        return [`${textAt(event, "reason")} ${textAt(regarding, "kind")} ${textAt(regarding, "name")}`];
      }),
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

const roots = { rootsPem: "ours", istiodRootsPem: "ours and tenants'" };
const now = (): Date => new Date();

/** As an admission webhook or a quota does it. */
function refuseIn(api: MemoryApi, namespace: string): void {
  api.intercept(({ verb, path }, response) => {
    if (verb !== "PATCH" || path !== `/api/v1/namespaces/${namespace}/configmaps/roots`) return false;
    reply(response, 403, { kind: "Status", code: 403, reason: "Forbidden", message: "exceeded quota" });
    return true;
  });
}

test("a namespace that refuses its roots is named, holds up no other, and counts once it takes them", async () => {
  await using setting = await openSetting(["istio-system", "shop", "stubborn"]);
  const { api, log, distribution } = setting;
  refuseIn(api, "stubborn");
  let written: Date | undefined;
  const put = distribution.put(roots, now).then((at) => {
    written = at;
  });
  await eventually(() => {
    assert.deepEqual(distribution.lacking(), ["roots in stubborn"]);
    assert.deepEqual([setting.rootsIn("shop"), setting.rootsIn("istio-system")], ["ours", "ours and tenants'"]);
    assert.deepEqual(setting.events(), ["TrustRefused Namespace stubborn"]);
  });
  await eventually(() => assert.ok(log.of("work failed").length > 2));
  assert.equal(written, undefined);
  assert.deepEqual(
    log.of("trust refused").map(({ fields }) => fields["place"]),
    ["roots in stubborn"],
  );
  api.intercept(undefined);
  await put;
  assert.deepEqual(distribution.lacking(), []);
  await eventually(() => assert.equal(setting.rootsIn("stubborn"), "ours"));
});

test("a namespace that refuses its roots and is on its way out does not count from that moment on", async () => {
  await using setting = await openSetting(["istio-system", "leaving"]);
  const { api, log, distribution } = setting;
  refuseIn(api, "leaving");
  const put = distribution.put(roots, now);
  // Until its next try is seconds away.
  await eventually(() => assert.ok(log.of("work failed").length > 4));
  const metadata = { name: "leaving", deletionTimestamp: new Date().toISOString() };
  api.store.write("v1/namespaces", "leaving", { apiVersion: "v1", kind: "Namespace", metadata }, new Map());
  const tries = (): number => api.requests.filter(({ verb }) => verb === "PATCH").length;
  const [begun, before] = [performance.now(), tries()];
  await put;
  assert.ok(tries() === before || performance.now() - begun < 500, "it was tried once more first");
  assert.deepEqual(distribution.lacking(), []);
});

test("an API server that is away is no refusal", async () => {
  await using setting = await openSetting(["istio-system"]);
  const { api, distribution, log } = setting;
  api.intercept(({ verb }, response) => verb === "PATCH" && response.destroy() !== undefined);
  const put = distribution.put(roots, now);
  await eventually(() => assert.ok(log.of("work failed").length > 0));
  assert.deepEqual(distribution.lacking(), []);
  api.intercept(undefined);
  await put;
});

test("an istiod that signs is left alone for a while, and once its CA is off the roots are put back", async () => {
  await using setting = await openSetting(["istio-system"]);
  const { client, configMaps, distribution, log } = setting;
  const one = { namespace: "istio-system", name: "roots" };
  const now = async (): Promise<string | undefined> =>
    readConfigMap(await getObject(client, resources.configMaps, one)).data.get("root-cert.pem");

  await distribution.put(roots, () => new Date());
  await eventually(() => assert.equal(configMaps.get("roots", "istio-system")?.data.size, 1));
  const content = { data: { "root-cert.pem": "istiod's own" } };
  await applyObject(client, resources.configMaps, one, content, { fieldManager: "pilot-discovery", force: true });
  await eventually(() => assert.deepEqual(distribution.conflicts(), ["roots in istio-system"]));
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
