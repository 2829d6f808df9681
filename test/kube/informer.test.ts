import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { type InformerConfig, startInformer } from "../../src/kube/informer.ts";
import { type ConfigMap, readConfigMap, readMeta } from "../../src/kube/meta.ts";
import { resources } from "../../src/kube/resource.ts";
import { silentLog } from "../../src/ops/log.ts";
import { configMap, until } from "../contract/kube-setting.ts";
import { type Intercept, type MemoryApi, reply, startMemoryApi } from "../support/kube-memory.ts";

function put(api: MemoryApi, name: string, data: Readonly<Record<string, string>> = {}): void {
  const object = { ...configMap(name, data), metadata: { name, namespace: "default" } };
  api.store.write("v1/configmaps", `default/${name}`, object, new Map());
}

function start(api: MemoryApi, config: Partial<InformerConfig<ConfigMap, never>> = {}, now = () => new Date()) {
  const client = openClient({ credentials: fixedCredentials(api.access), backOff: { msMin: 5, msMax: 20 } });
  const usual = { resource: resources.configMaps, read: readConfigMap, indexes: {}, backOff: { msMin: 5, msMax: 50 } };
  return startInformer({ ...usual, ...config }, { client, now, log: silentLog });
}

const isWatch = (query: URLSearchParams) => query.get("watch") === "true";
const lists = (api: MemoryApi) => api.requests.filter(({ query }) => !isWatch(query)).length;
const watches = (api: MemoryApi) => api.requests.filter(({ query }) => isWatch(query));

/** The first `times` watches get these lines, and end. */
function watchesSay(times: number, ...lines: readonly string[]): Intercept {
  let left = times;
  return ({ query }, response) => {
    if (!isWatch(query) || left <= 0) return false;
    left -= 1;
    response.writeHead(200);
    response.end(lines.map((line) => `${line}\n`).join(""));
    return true;
  };
}

const failure = (code: number) => JSON.stringify({ type: "ERROR", object: { kind: "Status", code, message: "so" } });

test("it asks for bookmarks, for an end of its own, and goes on from what a bookmark said", async () => {
  await using api = await startMemoryApi({ bookmarkMs: 10 });
  let at = 0;
  await using informer = start(api, {}, () => new Date(at));
  await informer.synced;
  await until("a watch", () => watches(api).length === 1);
  const [first] = watches(api);
  assert.equal(first?.query.get("allowWatchBookmarks"), "true");
  const seconds = Number(first?.query.get("timeoutSeconds"));
  assert.ok(seconds >= 300 && seconds < 600);
  // Nothing the watch is about: only a bookmark can tell of it.
  api.store.write("v1/namespaces", "other", { kind: "Namespace", metadata: { name: "other" } }, new Map());
  // What was on its way before that counts for the first of these at most.
  for (at = 1; at <= 10; at += 1) await until("a bookmark is counted", () => informer.freshness()?.getTime() === at);
  api.store.compact();
  api.closeConnections();
  await until("another watch", () => watches(api).length === 2);
  assert.equal(watches(api)[1]?.query.get("resourceVersion"), String(api.store.version()));
  assert.equal(lists(api), 1);
});

test("an ERROR event that is not 410 is no reason to list again, nor the end", async () => {
  await using api = await startMemoryApi();
  api.intercept(watchesSay(2, failure(500)));
  await using informer = start(api);
  await informer.synced;
  await until("a third watch", () => watches(api).length === 3);
  put(api, "after");
  await until("after is seen", () => informer.list().length === 1);
  assert.equal(lists(api), 1);
});

test("watches that always fail lead to a new list, but rarely", async () => {
  await using api = await startMemoryApi();
  api.intercept(watchesSay(Number.POSITIVE_INFINITY, failure(500)));
  await using informer = start(api);
  await until("a second list", () => lists(api) >= 2);
  assert.ok(watches(api).length >= 4);
  assert.deepEqual(informer.list(), []);
});

test("events that make no sense end the watch and not the informer", async () => {
  const senseless = ["{", "[]", "null", '{"type":"NEWS"}', '{"type":"ADDED","object":{}}', '{"type":"BOOKMARK"}'];
  await using api = await startMemoryApi();
  let next = 0;
  api.intercept(({ query }, response) => {
    if (!isWatch(query) || next >= senseless.length) return false;
    response.writeHead(200);
    response.end(`${senseless[next]}\n`);
    next += 1;
    return true;
  });
  await using informer = start(api);
  await until("all of them were sent", () => next === senseless.length);
  put(api, "after");
  await until("after is seen", () => informer.get("after", "default") !== undefined);
});

test("an event without an end is given up", async () => {
  await using api = await startMemoryApi();
  let sent = 0;
  api.intercept(({ query }, response) => {
    if (!isWatch(query) || sent > 0) return false;
    response.writeHead(200);
    const chunk = Buffer.alloc(1024 * 1024, 0x20);
    for (; sent < 20; sent += 1) response.write(chunk);
    return true;
  });
  await using informer = start(api);
  await until("another watch", () => watches(api).length === 2);
  put(api, "after");
  await until("after is seen", () => informer.get("after", "default") !== undefined);
});

test("a continue token that has expired begins the list anew", async () => {
  await using api = await startMemoryApi();
  for (let index = 0; index < 10; index += 1) put(api, `item-${index}`);
  let expired = 0;
  api.intercept(({ query }) => {
    if (query.has("continue") && expired === 0) {
      expired += 1;
      api.store.compact();
    }
    return false;
  });
  await using informer = start(api, { pageMax: 4 });
  await informer.synced;
  assert.equal(informer.list().length, 10);
  assert.equal(expired, 1);
});

test("what fails at first is listed later: it never gives up, and waits between tries", async () => {
  await using api = await startMemoryApi();
  put(api, "one");
  let failing = 12;
  api.intercept((_, response) => {
    failing -= 1;
    if (failing < 0) return false;
    reply(response, failing % 2 === 0 ? 503 : 403, { message: "not now" });
    return true;
  });
  await using informer = start(api);
  assert.equal(informer.freshness(), undefined);
  await informer.synced;
  assert.equal(informer.list().length, 1);
});

test("what is not found any more is taken for gone only where the API server's own lists say so", async () => {
  const things = { group: "things.example", version: "v1", plural: "things", kind: "Thing", namespaced: false };
  const groups = (...names: readonly string[]) => ({
    groups: names.map((name) => ({ name, versions: [{ version: "v1" }] })),
  });
  await using api = await startMemoryApi();
  api.store.write("things.example/v1/things", "one", { metadata: { name: "one" } }, new Map());
  const client = openClient({ credentials: fixedCredentials(api.access), backOff: { msMin: 5, msMax: 20 } });
  const config = { resource: things, read: readMeta, indexes: {}, backOff: { msMin: 5, msMax: 50 } };
  await using informer = startInformer(config, { client, now: () => new Date(), log: silentLog });
  await informer.synced;
  let asked = 0;
  const discovered = (code: number, body: object): void => {
    asked = 0;
    api.intercept(({ path }, response) => {
      if (path === "/apis") asked += 1;
      reply(response, path === "/apis" ? code : 404, path === "/apis" ? body : {});
      return true;
    });
    api.closeConnections();
  };
  for (const [code, body] of [
    [404, {}],
    [403, {}],
    [200, {}],
    [200, groups("apps", "things.example")],
  ] as const) {
    discovered(code, body);
    await until("its answer is known", () => asked >= 2);
    assert.equal(informer.list().length, 1, `${code} ${JSON.stringify(body)}`);
  }
  discovered(200, groups("apps"));
  await until("it is gone", () => informer.list().length === 0);
});

test("freshness is the last proof that the watch lives: bookmarks will do, a dead API server won't", async () => {
  await using api = await startMemoryApi({ bookmarkMs: 10 });
  let at = 0;
  await using informer = start(api, {}, () => new Date(at));
  await informer.synced;
  at = 1_000;
  await until("a bookmark is counted", () => informer.freshness()?.getTime() === 1_000);
  api.intercept((_, response) => {
    reply(response, 503, {});
    return true;
  });
  const asked = api.requests.length;
  api.closeConnections();
  await until("it has noticed, and asks again", () => api.requests.length > asked);
  at = 2_000;
  await delay(100);
  assert.equal(informer.freshness()?.getTime(), 1_000);
});

test("what can't be read is as if it weren't there", async () => {
  await using api = await startMemoryApi();
  put(api, "good");
  put(api, "bad");
  const read = (object: unknown): ConfigMap => {
    const item = readConfigMap(object);
    if (item.data.has("bad") || item.name === "bad") throw new Error("unreadable");
    return item;
  };
  await using informer = start(api, { read });
  await informer.synced;
  put(api, "good", { bad: "now" });
  put(api, "later");
  await until("later is seen", () => informer.get("later", "default") !== undefined);
  assert.deepEqual(
    informer.list().map(({ name }) => name),
    ["later"],
  );
});

test("more objects than there may be are not kept", async () => {
  await using api = await startMemoryApi();
  for (const name of ["a", "b", "c"]) put(api, name);
  await using informer = start(api, { itemsMax: 3 });
  await informer.synced;
  put(api, "d");
  await delay(100);
  assert.ok(informer.list().length <= 3);
});

test("pages too long for their limit are asked for in smaller pieces", async () => {
  await using api = await startMemoryApi();
  for (let index = 0; index < 40; index += 1) put(api, `item-${index}`, { text: "x".repeat(1_000_000) });
  await using informer = start(api, { read: (object) => ({ ...readConfigMap(object), data: new Map() }) });
  await informer.synced;
  assert.equal(informer.list().length, 40);
});
