/** What watches and informers promise against any API server, whatever happens to their connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isExpired } from "../../src/kube/api-error.ts";
import type { Change } from "../../src/kube/cache.ts";
import type { Handler } from "../../src/kube/handlers.ts";
import { type InformerConfig, startInformer } from "../../src/kube/informer.ts";
import { type ConfigMap, readConfigMap, readMeta } from "../../src/kube/meta.ts";
import { deleteObject, mergeObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { watch } from "../../src/kube/watch.ts";
import { silentLog } from "../../src/ops/log.ts";
import { define, makeThing, thingsOf, withdraw } from "./kube-definition.ts";
import { createConfigMap, type OpenCluster, openSetting, type Setting, until } from "./kube-setting.ts";

const quick = { backOff: { msMin: 20, msMax: 400 } };
const indexes = { color: ({ data }: ConfigMap) => (data.has("color") ? [data.get("color") ?? ""] : []) };

function startOn(setting: Setting, config: Partial<InformerConfig<ConfigMap, "color">> = {}, client = setting.client) {
  const { namespace } = setting;
  const labelSelector = "kind=test";
  const selection = { resource: resources.configMaps, namespace, labelSelector, read: readConfigMap, indexes };
  return startInformer({ ...selection, ...quick, ...config }, { client, now: () => new Date(), log: silentLog });
}

const create = async (setting: Setting, name: string, color = "red") =>
  await createConfigMap(setting, name, { color }, { kind: "test" });
const paint = async ({ direct, namespace }: Setting, name: string, color: string) =>
  await mergeObject(direct, resources.configMaps, { namespace, name }, { data: { color } });
const remove = async ({ direct, namespace }: Setting, name: string) =>
  await deleteObject(direct, resources.configMaps, { namespace, name });
const toWords = ({ kind, item }: Change<ConfigMap>) => `${kind} ${item.name} ${item.data.get("color")}`;

export function watchContract(kind: string, open: OpenCluster): void {
  test(`${kind}: an informer knows what is there, what comes, changes and goes, also by index and by selector`, async () => {
    await using setting = await openSetting(open);
    await create(setting, "one");
    await createConfigMap(setting, "foreign");
    await using informer = startOn(setting);
    await informer.synced;
    const words: string[] = [];
    using _ = informer.subscribe((change) => void words.push(toWords(change)));
    assert.deepEqual(words, ["added one red"]);
    await create(setting, "two");
    await until("two is seen", () => informer.get("two", setting.namespace) !== undefined);
    await paint(setting, "one", "blue");
    await until("one is blue", () => informer.byIndex("color", "blue").length === 1);
    await remove(setting, "two");
    await until("two is gone", () => informer.list().length === 1);
    assert.deepEqual(words, ["added one red", "added two red", "changed one blue", "gone two red"]);
    assert.deepEqual(informer.byIndex("color", "red"), []);
    // What is selected no more is gone.
    await mergeObject(
      setting.direct,
      resources.configMaps,
      { namespace: setting.namespace, name: "one" },
      { metadata: { labels: { kind: null } } },
    );
    await until("one is gone", () => informer.list().length === 0);
  });

  test(`${kind}: handlers that throw, now or later, harm nobody`, async () => {
    await using setting = await openSetting(open);
    await using informer = startOn(setting);
    await informer.synced;
    const seen: string[] = [];
    using subscriptions = new DisposableStack();
    const subscribe = (handler: Handler<ConfigMap>) => subscriptions.use(informer.subscribe(handler));
    subscribe(() => {
      throw new Error("thrown");
    });
    subscribe(async () => {
      throw new Error("rejected");
    });
    subscribe(({ item }) => void seen.push(item.name));
    await create(setting, "one");
    await create(setting, "two");
    await until("both are seen", () => seen.length === 2);
  });

  test(`${kind}: an informer whose connections are reset misses nothing and tells nothing twice`, async () => {
    await using setting = await openSetting(open);
    for (const name of ["stays", "changes", "goes"]) await create(setting, name);
    await using informer = startOn(setting);
    await informer.synced;
    const words: string[] = [];
    using _ = informer.subscribe((change) => void words.push(toWords(change)));
    words.length = 0;
    setting.relay.cut();
    await paint(setting, "changes", "blue");
    await remove(setting, "goes");
    await create(setting, "comes");
    await delay(200);
    setting.relay.accept();
    await until("all is seen", () => words.length >= 3);
    await delay(100);
    assert.deepEqual(words.sort(), ["added comes red", "changed changes blue", "gone goes red"]);
  });

  test(`${kind}: a watch that goes silent is given up, and another one goes on where it was`, async () => {
    await using setting = await openSetting(open);
    await using informer = startOn(setting, { silenceMsMax: 600 });
    await informer.synced;
    await create(setting, "before");
    await until("before is seen", () => informer.list().length === 1);
    setting.relay.freeze();
    await create(setting, "meanwhile");
    // What is frozen stays so: it comes by another connection or not at all.
    await until("meanwhile is seen", () => informer.list().length === 2);
  });

  test(`${kind}: after an expired version it lists again and tells exactly what has changed`, async (t) => {
    await using setting = await openSetting(open);
    const { cluster, relay } = setting;
    if (cluster.forget === undefined) return t.skip("this API server can't be restarted from here");
    for (const name of ["stays", "changes", "goes", "renewed"]) await create(setting, name);
    await using informer = startOn(setting, { pageMax: 2 });
    await informer.synced;
    const words: string[] = [];
    using _ = informer.subscribe((change) => void words.push(toWords(change)));
    words.length = 0;
    relay.cut();
    await paint(setting, "changes", "blue");
    await remove(setting, "goes");
    await remove(setting, "renewed");
    await create(setting, "renewed", "green");
    await create(setting, "comes");
    const before = informer.freshness();
    await cluster.forget();
    relay.accept();
    await until("all is seen", () => words.length >= 5);
    await delay(100);
    const expected = [
      "added comes red",
      "added renewed green",
      "changed changes blue",
      "gone goes red",
      "gone renewed red",
    ];
    assert.deepEqual(words.sort(), expected);
    assert.ok((informer.freshness() ?? 0) > (before ?? 0));
  });

  test(`${kind}: what an informer knew goes with its definition, though its watch was cut by then`, async () => {
    await using setting = await openSetting(open);
    const { client, direct, relay } = setting;
    const things = thingsOf(`${setting.namespace}.example`);
    await define(direct, things);
    try {
      await makeThing(direct, things, "before");
      const config = { resource: things, read: readMeta, indexes: {}, ...quick };
      await using informer = startInformer(config, { client, now: () => new Date(), log: silentLog });
      await informer.synced;
      const words: string[] = [];
      using _ = informer.subscribe(({ kind: what, item }) => void words.push(`${what} ${item.name}`));
      relay.cut();
      await withdraw(direct, things);
      relay.accept();
      await until("it is gone", () => informer.list().length === 0);
      await define(direct, things);
      await makeThing(direct, things, "after");
      await until("the next one is seen", () => informer.get("after") !== undefined);
      assert.deepEqual(words, ["added before", "gone before", "added after"]);
    } finally {
      await withdraw(direct, things);
    }
  });

  test(`${kind}: a version that is too old is told as expired`, async () => {
    await using setting = await openSetting(open);
    const { client } = setting;
    const config = { resource: resources.namespaces, resourceVersion: "1", signal: AbortSignal.timeout(60_000) };
    await assert.rejects(
      watch(client, config, () => {}),
      isExpired,
    );
  });

  test(`${kind}: stopping an informer while it watches, lists or waits leaves nothing behind`, async () => {
    await using setting = await openSetting(open);
    const { relay } = setting;
    const assertStops = async (prepare: (client: ReturnType<Setting["another"]>) => Promise<AsyncDisposable>) => {
      const client = setting.another();
      const informer = await prepare(client);
      const begun = performance.now();
      await informer[Symbol.asyncDispose]();
      assert.ok(performance.now() - begun < 5_000, "it waits for no answer, which is given ten seconds");
      client[Symbol.dispose]();
      await until("no connection is left", () => relay.open() === 0);
      await delay(100);
      const taken = relay.taken();
      relay.thaw();
      relay.accept();
      await delay(300);
      assert.equal(relay.taken(), taken, "nothing is asked any more");
    };
    await assertStops(async (client) => {
      const informer = startOn(setting, {}, client);
      await informer.synced;
      await delay(100);
      return informer;
    });
    await assertStops(async (client) => {
      relay.freeze({ newOnes: true });
      const informer = startOn(setting, {}, client);
      await delay(100);
      await assert.rejects(async () => {
        await informer.stop();
        await informer.synced;
      });
      return informer;
    });
    await assertStops(async (client) => {
      relay.cut();
      const informer = startOn(setting, { backOff: { msMin: 150, msMax: 150 } }, client);
      await delay(100);
      return informer;
    });
  });
}
