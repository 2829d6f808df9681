/**
 * What the whole agent process costs beside a real API server with 10,000 pods in 1,000 namespaces: `KUBECONFIG=… node --test
 * test/kube/scale.ts`. It is started as the image starts it.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { listAt, recordAt } from "../../src/kube/json.ts";
import { createObject } from "../../src/kube/objects.ts";
import { resources, toPath } from "../../src/kube/resource.ts";
import { until } from "../contract/kube-setting.ts";
import { document } from "../support/documents.ts";
import { buildImage } from "../support/image.ts";
import { deleteNamespace, kubeconfigOf } from "../support/kube-cluster.ts";
import { toPod } from "../support/kube-pods.ts";
import { type KubeSite, openKubeSite } from "../support/kube-site.ts";

const path = kubeconfigOf(process.env);

const [pods, namespaces, rssMbMax] = [10_000, 1_000, 150];
/** Pods are in this many of the namespaces: each of those takes an account of theirs. */
const inhabited = 50;
const stack = new AsyncDisposableStack();
let stage: KubeSite;

before(async () => {
  stage = stack.use(
    await openKubeSite(path, (named) => [
      document("MeshTenant", "shop", {
        trustDomain: "shop.example",
        root: "main",
        rules: [{ name: "pods", clusters: ["east"], namespaces: [`${named("team")}-*`] }],
      }),
    ]),
  );
});
after(async () => await stack.disposeAsync());

/** Each of them, sixteen at a time: the client has no more connections. */
async function each(count: number, work: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: 16 }, lane));
}

test("an agent that watches 10,000 pods come, and one that finds them there, stay below 150 MB", {
  timeout: 600_000,
}, async (t) => {
  const { cluster, run } = stage;
  const { client } = cluster;
  const namespaceOf = (n: number): string => `team-${run}-${n}`;
  stack.defer(async () => await each(namespaces, async (n) => await deleteNamespace(client, namespaceOf(n))));
  const image = stack.use(await buildImage());
  const first = await stage.startProcess("first", image);
  const bare = first.rss();

  await each(namespaces, async (n) => await cluster.namespace(namespaceOf(n), { mesh: run }));
  await each(inhabited, async (n) => await cluster.account(namespaceOf(n), "web"));
  let seenMost = 0;
  const watching = setInterval(() => (seenMost = Math.max(seenMost, first.rss().now)), 100);
  const begun = performance.now();
  await each(pods, async (n) => {
    const namespace = namespaceOf(n % inhabited);
    const body = toPod(`web-7d9f8b6c5-${n}`, namespace, `node-${run}-${n % 300}`);
    await createObject(client, resources.pods, { namespace }, body);
  });
  t.diagnostic(`${pods} pods made in ${Math.round((performance.now() - begun) / 1000)} s`);
  await until("every namespace has the roots", async () => (await written()) >= namespaces, 60_000);
  clearInterval(watching);
  const came = first.rss();
  await first.daemon.stop();

  const second = await stage.startProcess("second", image);
  await second.ready();
  await second.daemon.event("leading");
  // It looks at every namespace's roots once, and garbage is still to be collected.
  await delay(5_000);
  const found = second.rss();
  t.diagnostic(JSON.stringify({ bare, came, seenMost, found }));
  for (const { most } of [came, found]) assert.ok(most < rssMbMax, `${most} MB`);
});

/** In how many namespaces the roots are. */
async function written(): Promise<number> {
  const list = await stage.cluster.client.call({
    verb: "GET",
    path: toPath(resources.configMaps),
    query: { fieldSelector: `metadata.name=${stage.rootConfigMap}` },
    bytesMax: 64 * 1024 * 1024,
  });
  return listAt(recordAt({ list }, "list"), "items").length;
}
