/** What `src/kube` promises against any API server: calls, apply, lists and connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, isConflict, isNotFound } from "../../src/kube/api-error.ts";
import { applyObject } from "../../src/kube/apply.ts";
import { startEvents } from "../../src/kube/events.ts";
import { isRecord, listAt, recordAt } from "../../src/kube/json.ts";
import { listItems } from "../../src/kube/list.ts";
import { readConfigMap, readMeta } from "../../src/kube/meta.ts";
import { createObject, deleteObject, getObject, mergeObject, replaceObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { silentLog } from "../../src/ops/log.ts";
import { leaseContract } from "./kube-lease.ts";
import { configMap, createConfigMap, type OpenCluster, openSetting, until } from "./kube-setting.ts";
import { watchContract } from "./kube-watch.ts";

export function kubeContract(kind: string, open: OpenCluster): void {
  callContract(kind, open);
  applyContract(kind, open);
  connectionContract(kind, open);
  watchContract(kind, open);
  leaseContract(kind, open);
}

function callContract(kind: string, open: OpenCluster): void {
  test(`${kind}: an object is made once, read, replaced under its version, merged, and deleted`, async () => {
    await using setting = await openSetting(open);
    const { client, namespace } = setting;
    const one = { namespace, name: "thing" };
    await createObject(client, resources.configMaps, { namespace }, configMap("thing", { a: "1" }));
    await assert.rejects(
      createObject(client, resources.configMaps, { namespace }, configMap("thing")),
      (error) => error instanceof ApiError && isConflict(error) && error.reason === "AlreadyExists",
    );
    const made = await getObject(client, resources.configMaps, one);
    const { resourceVersion, uid } = readMeta(made);
    const body = { ...configMap("thing", { a: "2" }), metadata: { name: "thing", resourceVersion } };
    const replaced = readConfigMap(await replaceObject(client, resources.configMaps, one, body));
    assert.deepEqual([...replaced.data], [["a", "2"]]);
    await assert.rejects(replaceObject(client, resources.configMaps, one, body), isConflict);
    const merged = await mergeObject(client, resources.configMaps, one, { data: { b: "3" } });
    assert.deepEqual([...readConfigMap(merged).data].sort(), [
      ["a", "2"],
      ["b", "3"],
    ]);
    await assert.rejects(deleteObject(client, resources.configMaps, one, { uid: "another" }), isConflict);
    await deleteObject(client, resources.configMaps, one, { uid });
    await assert.rejects(getObject(client, resources.configMaps, one), isNotFound);
    await assert.rejects(deleteObject(client, resources.configMaps, one), { code: "not-found" });
  });

  test(`${kind}: more than a thousand objects come in pages, each once`, async () => {
    await using setting = await openSetting(open);
    const { client, namespace } = setting;
    const names = Array.from({ length: 1_050 }, (_, index) => `item-${String(index).padStart(4, "0")}`);
    // Not all at once: what waits for a connection has its deadline too.
    for (let from = 0; from < names.length; from += 105) {
      const some = names.slice(from, from + 105);
      await Promise.all(some.map((name) => createConfigMap(setting, name, {}, { of: "many" })));
    }
    const pages: string[][] = [];
    const selection = { resource: resources.configMaps, namespace, labelSelector: "of=many" };
    const read = (item: unknown) => readMeta(item).name;
    const onPage = (page: readonly string[]) => pages.push([...page]);
    const listed = await listItems(client, selection, {}, { read, onPage, onRestart: assert.fail });
    assert.deepEqual(
      pages.map(({ length }) => length),
      [500, 500, 50],
    );
    assert.deepEqual(pages.flat(), names);
    assert.match(listed.resourceVersion, /^\d+$/);
  });

  test(`${kind}: an event is told once, and then counted`, async () => {
    await using setting = await openSetting(open);
    const { client, namespace } = setting;
    await createConfigMap(setting, "thing");
    const object = readMeta(await getObject(client, resources.configMaps, { namespace, name: "thing" }));
    const config = { controller: "espalier.dev/test", instance: "test-1" };
    await using events = startEvents(config, { client, now: () => new Date(), log: silentLog });
    const occurrence = {
      resource: resources.configMaps,
      object,
      type: "Warning",
      reason: "Tested",
      action: "Test",
      note: "so",
    } as const;
    for (let times = 0; times < 5; times += 1) events.record(occurrence);
    events.record({ ...occurrence, note: "and so" });
    const found = async (): Promise<readonly unknown[]> =>
      listAt(
        await client.call({ verb: "GET", path: `/apis/events.k8s.io/v1/namespaces/${namespace}/events` }),
        "items",
      ).filter((item) => isRecord(item) && item["reason"] === "Tested");
    await until("two events, one of a series", async () => {
      const events = await found();
      return events.length === 2 && events.some((event) => recordAt(event, "series")["count"] === 2);
    });
  });

  test(`${kind}: a storm of events is cut off, in one namespace and of one reason alone, and goes on as time passes`, async () => {
    await using setting = await openSetting(open);
    const { client, namespace } = setting;
    let at = new Date();
    const config = { controller: "espalier.dev/test", instance: "test-1", burst: 2, refillMs: 1_000 };
    await using events = startEvents(config, { client, now: () => at, log: silentLog });
    await createConfigMap(setting, "thing");
    const object = readMeta(await getObject(client, resources.configMaps, { namespace, name: "thing" }));
    const record = (note: string, reason = "Tested", where = object): boolean =>
      events.record({ resource: resources.configMaps, object: where, type: "Normal", reason, action: "Test", note });
    assert.deepEqual(
      ["a", "b", "c"].map((note) => record(note)),
      [true, true, false],
    );
    assert.ok(record("c", "Other") && record("there", "Tested", { ...object, namespace: "default" }));
    assert.ok(record("a"), "what was told is counted");
    at = new Date(+at + 999);
    assert.equal(record("c"), false);
    at = new Date(+at + 1);
    assert.deepEqual(
      ["c", "d"].map((note) => record(note)),
      [true, false],
    );
    at = new Date(+at + 60_000);
    assert.deepEqual(
      ["e", "f", "g"].map((note) => record(note)),
      [true, true, false],
    );
    await until("the events that were taken", async () => {
      const path = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
      const all = listAt(await client.call({ verb: "GET", path }), "items").filter(isRecord);
      const notes = all.filter(({ reason }) => reason === "Tested").map(({ note }) => note);
      return ["a", "b", "c", "e", "f"].every((note) => notes.includes(note)) && notes.length === 5;
    });
  });
}

function applyContract(kind: string, open: OpenCluster): void {
  test(`${kind}: what is applied is so; what is left out goes; what others hold is a conflict until it is taken`, async () => {
    await using setting = await openSetting(open);
    const { client, namespace } = setting;
    const one = { namespace, name: "applied" };
    const apply = async (data: Record<string, string>, options = {}) =>
      readConfigMap(await applyObject(client, resources.configMaps, one, { data }, options));
    const first = await apply({ a: "1", b: "2" }, { labels: { of: "espalier" } });
    assert.deepEqual([...first.data].sort(), [
      ["a", "1"],
      ["b", "2"],
    ]);
    assert.equal(
      (await apply({ a: "1", b: "2" }, { labels: { of: "espalier" } })).resourceVersion,
      first.resourceVersion,
    );
    assert.deepEqual([...(await apply({ a: "3" })).data], [["a", "3"]]);
    await assert.rejects(
      apply({ a: "4" }, { fieldManager: "somebody" }),
      (error) => isConflict(error) && error instanceof ApiError && error.fields.includes(".data.a"),
    );
    const shared = await apply({ c: "5" }, { fieldManager: "somebody" });
    assert.deepEqual([...shared.data].sort(), [
      ["a", "3"],
      ["c", "5"],
    ]);
    const taken = await apply({ a: "4", c: "5" }, { fieldManager: "somebody", force: true });
    assert.equal(taken.data.get("a"), "4");
    await assert.rejects(apply({ a: "3" }), isConflict);
  });

  test(`${kind}: a field that somebody wrote without apply is held by them too`, async () => {
    await using setting = await openSetting(open);
    const { client, namespace } = setting;
    const one = { namespace, name: "edited" };
    await applyObject(client, resources.configMaps, one, { data: { a: "1" } });
    const query = { fieldManager: "editor" };
    const contentType = "application/merge-patch+json";
    const path = `/api/v1/namespaces/${namespace}/configmaps/edited`;
    await client.call({ verb: "PATCH", path, query, contentType, body: { data: { a: "2" } } });
    await assert.rejects(applyObject(client, resources.configMaps, one, { data: { a: "1" } }), isConflict);
    const forced = await applyObject(client, resources.configMaps, one, { data: { a: "1" } }, { force: true });
    assert.equal(readConfigMap(forced).data.get("a"), "1");
  });
}

function connectionContract(kind: string, open: OpenCluster): void {
  test(`${kind}: a hundred calls at once share sixteen connections, two hundred in a row share one`, async () => {
    await using setting = await openSetting(open);
    const { namespace, relay } = setting;
    const get = async (client = setting.client) => await getObject(client, resources.namespaces, { name: namespace });
    const before = relay.taken();
    const one = setting.another();
    for (let calls = 0; calls < 200; calls += 1) await get(one);
    assert.ok(relay.taken() - before <= 2, `${relay.taken() - before} connections`);
    const between = relay.taken();
    const many = setting.another();
    await Promise.all(Array.from({ length: 100 }, () => get(many)));
    assert.ok(relay.taken() - between <= 16, `${relay.taken() - between} connections`);
  });

  test(`${kind}: a call on a connection that went silent ends at its deadline, and the next one is answered`, async () => {
    await using setting = await openSetting(open);
    const { client, namespace, relay } = setting;
    const get = async (deadlineMs: number) =>
      await getObject(client, resources.namespaces, { name: namespace }, { deadlineMs });
    await get(10_000);
    relay.freeze();
    const begun = performance.now();
    await assert.rejects(get(300), { code: "unavailable", message: /no answer in time/ });
    assert.ok(performance.now() - begun < 8_000, "the usual deadline is ten seconds");
    await get(10_000);
  });

  test(`${kind}: a call is stopped by its signal, and by closing the client`, async () => {
    await using setting = await openSetting(open);
    const { namespace, relay } = setting;
    relay.freeze({ newOnes: true });
    const client = setting.another();
    const stop = new AbortController();
    const path = `/api/v1/namespaces/${namespace}`;
    const stopped = client.call({ verb: "GET", path, signal: stop.signal });
    const closed = client.call({ verb: "GET", path });
    stop.abort();
    await assert.rejects(stopped, { code: "unavailable", message: /stopped/ });
    client[Symbol.dispose]();
    await assert.rejects(closed, { code: "unavailable", message: /stopped/ });
    await until("no connection is left", () => relay.open() === 0);
  });

  test(`${kind}: what reads is asked again when its connection is reset`, async () => {
    await using setting = await openSetting(open);
    const { client, namespace, relay } = setting;
    await getObject(client, resources.namespaces, { name: namespace });
    relay.cut();
    setTimeout(relay.accept, 300);
    await getObject(client, resources.namespaces, { name: namespace });
  });
}
