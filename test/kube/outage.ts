/**
 * An agent whose API server says nothing, or is away: `KUBECONFIG=… node --test test/kube/outage.ts`. Where the API server is a process
 * of this machine, it is also gone for a minute, and etcd has forgotten what was before.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { readPageEnd } from "../../src/kube/meta.ts";
import { resources, toPath } from "../../src/kube/resource.ts";
import { watch } from "../../src/kube/watch.ts";
import { until } from "../contract/kube-setting.ts";
import { moved } from "../support/clock.ts";
import { compact, findServer, kill, start } from "../support/kube-process.ts";
import { type KubeShop, openKubeShop } from "../support/kube-shop.ts";
import type { KubeSite } from "../support/kube-site.ts";
import { callMs, eventually } from "../support/patience.ts";
import type { AgentStack } from "../support/stack.ts";
import { type Answer, assertIssued, assertRefused, csrFor, openWorkload, tlsOf } from "../support/workload.ts";

let shop: KubeShop;
let stage: KubeSite;
let agent: AgentStack;

before(async () => {
  shop = await openKubeShop();
  stage = shop.site;
  agent = await stage.startAgent("outage");
});
after(async () => await shop[Symbol.asyncDispose]());

/** A pod, and a token bound to it; past the relay. */
async function podToken(name: string): Promise<string> {
  await stage.cluster.pod(shop.namespace, name, "cart", shop.node);
  return await stage.cluster.token(shop.namespace, "cart", { pod: name });
}

async function ask(token: string): Promise<Answer> {
  return await shop.ask(agent, { token });
}

async function timed<T>(work: () => Promise<T>): Promise<readonly [T, number]> {
  const begun = performance.now();
  const done = await work();
  return [done, performance.now() - begun];
}

async function health(path: string): Promise<number> {
  return (await fetch(`http://127.0.0.1:${agent.running.httpPort}${path}`)).status;
}

test("while the API server takes connections and never answers, what is known is served and what is not ends by its deadline", async () => {
  const known = await podToken("known");
  await until("the agent knows it", async () => "chain" in (await ask(known)));
  stage.relay.freeze({ newOnes: true });
  const late = await podToken("late");

  // By what the agent knows: asking would not help it.
  assertIssued(await ask(known));
  const [intents, lines] = [stage.site.intents(), agent.log.of("refused").length];
  const [refused, lateMs] = await timed(async () => await ask(late));
  assertRefused(refused, "unavailable", /cannot be asked about a Pod/);
  assert.ok(lateMs > 2_500 && lateMs < callMs / 2, `${lateMs} ms`);
  assert.equal(agent.log.of("refused").length, lines + 1);

  using ztunnel = openWorkload(await agent.address(), tlsOf(stage.site, "east"), "east");
  const [all, allMs] = await timed(async () => {
    const csr = csrFor(shop.idOf("cart"));
    return await Promise.all(Array.from({ length: 200 }, async () => await ztunnel.ask({ token: late, csr })));
  });
  for (const one of all) assertRefused(one, "unavailable");
  assert.ok(allMs < callMs / 2, `${allMs} ms for all of them`);
  assert.deepEqual([await health("/healthz"), await health("/readyz")], [200, 200]);
  await moved(stage.clock, 301, async () => assertRefused(await ask(known), "unavailable"));
  assert.equal(stage.site.intents(), intents, "nothing was intended for those");

  stage.relay.thaw();
  await until("the late one is served", async () => "chain" in (await ask(late)));
  assertIssued(await ask(known));
});

async function versionNow(): Promise<string> {
  const list = await stage.cluster.client.call({
    verb: "GET",
    path: toPath(resources.pods, { namespace: shop.namespace }),
  });
  return readPageEnd(list).resourceVersion;
}

test("after a minute without an API server, and with etcd compacted, the agent knows what came and went meanwhile", async (t) => {
  const { relay, cluster } = stage;
  const server = findServer(cluster.access.server.port);
  if (server === undefined) return t.skip("the API server is no process of this machine");
  const [staying, leaving] = [await podToken("staying"), await podToken("leaving")];
  for (const token of [staying, leaving]) await until("it is known", async () => "chain" in (await ask(token)));
  const resourceVersion = await versionNow();
  relay.cut();
  await cluster.deletePod(shop.namespace, "leaving");
  const coming = await podToken("coming");
  await compact(server);
  await kill(server);
  const end = performance.now() + 60_000;
  try {
    while (performance.now() < end) {
      assertIssued(await ask(staying));
      assertRefused(await ask(coming), "unavailable");
      await delay(5_000);
    }
  } finally {
    await start(server, cluster.access);
    relay.accept();
  }
  const [, backMs] = await timed(async () => {
    await until("what came is served", async () => "chain" in (await ask(coming)), 90_000);
    // Not as often as one token may ask.
    await eventually(async () => assertRefused(await ask(leaving), "proof-invalid", /does not exist/), 90_000, 250);
  });
  t.diagnostic(`all known again after ${Math.round(backMs)} ms`);
  assertIssued(await ask(staying));
  // There was no going on from before: only a whole list can have told it.
  const old = { resource: resources.pods, resourceVersion, signal: AbortSignal.timeout(60_000) };
  await assert.rejects(
    watch(cluster.client, old, () => {}),
    { status: 410 },
  );
});
