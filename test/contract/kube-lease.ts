/** What an election promises against any API server: never two leaders, and soon one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "../../src/kube/client.ts";
import { type ElectionConfig, startElection } from "../../src/kube/lease.ts";
import { readLease } from "../../src/kube/lease-record.ts";
import { getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { silentLog } from "../../src/ops/log.ts";
import { type OpenCluster, openSetting, type Setting, until } from "./kube-setting.ts";

/** Short, and longer than an API server takes that has to share two cores with everything else. */
const times = { leaseMs: 5_000, renewMs: 3_000, retryMs: 200 };
/** Of who lets go, as it is by default; a lease that is waited out takes fifteen seconds. */
const takeOverMsMax = 10_000;

/** Who leads at this moment; more than one at once fails the test that asks. */
function openThrone() {
  const leading = new Set<string>();
  let most = 0;
  const lead = (identity: string) => async (signal: AbortSignal) => {
    leading.add(identity);
    most = Math.max(most, leading.size);
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    leading.delete(identity);
  };
  return { lead, leader: () => [...leading].join(), most: () => most };
}

function contend(
  { namespace }: Setting,
  client: Client,
  identity: string,
  lead: (signal: AbortSignal) => Promise<void>,
  overrides: Partial<ElectionConfig> = times,
) {
  const config = { namespace, name: "election", identity, ...overrides };
  // Everybody's clock is wrong in its own way, and nobody cares.
  const now = () => new Date(Date.now() + (identity === "a" ? 3_600_000 : -86_400_000));
  return startElection(config, { client, now, log: silentLog, lead });
}

export function leaseContract(kind: string, open: OpenCluster): void {
  test(`${kind}: of two one leads, and when it lets go the other does before its lease is over`, async () => {
    await using setting = await openSetting(open);
    const throne = openThrone();
    const usual = {};
    await using a = contend(setting, setting.client, "a", throne.lead("a"), usual);
    await until("a leads", () => throne.leader() === "a");
    await using b = contend(setting, setting.another(), "b", throne.lead("b"), usual);
    await delay(500);
    assert.equal(throne.leader(), "a");
    assert.deepEqual([a.isLeader(), b.isLeader()], [true, false]);
    await a[Symbol.asyncDispose]();
    await until("b leads", () => throne.leader() === "b", takeOverMsMax);
    assert.equal(throne.most(), 1);
    const lease = readLease(
      await getObject(setting.direct, resources.leases, { namespace: setting.namespace, name: "election" }),
    );
    assert.equal(lease.holder, "b");
    assert.equal(lease.transitions, 2);
  });

  test(`${kind}: a leader that is cut off stops leading before another one begins`, async () => {
    await using setting = await openSetting(open);
    const throne = openThrone();
    await using a = contend(setting, setting.client, "a", throne.lead("a"));
    await until("a leads", () => throne.leader() === "a");
    await using b = contend(setting, setting.direct, "b", throne.lead("b"));
    await delay(1_000);
    setting.relay.cut();
    const begun = performance.now();
    await until("a leads no more", () => throne.leader() === "");
    assert.ok(!a.isLeader());
    await until("b leads", () => throne.leader() === "b");
    const took = performance.now() - begun;
    assert.ok(took > times.leaseMs - times.renewMs, `${took} ms`);
    setting.relay.accept();
    await delay(1_000);
    assert.equal(throne.leader(), "b");
    assert.ok(b.isLeader());
    assert.equal(throne.most(), 1);
  });

  test(`${kind}: many contenders whose connections fail all the time are never two leaders`, async () => {
    await using setting = await openSetting(open);
    const throne = openThrone();
    await using stack = new AsyncDisposableStack();
    for (const identity of ["a", "b", "c", "d"]) {
      stack.use(contend(setting, setting.another(), identity, throne.lead(identity)));
    }
    for (let rounds = 0; rounds < 6; rounds += 1) {
      await delay(400);
      if (rounds % 2 === 0) setting.relay.cut();
      else setting.relay.freeze();
      await delay(200);
      setting.relay.accept();
    }
    await until("somebody leads", () => throne.leader() !== "");
    assert.equal(throne.most(), 1);
  });

  test(`${kind}: who stops leading by itself, or fails, lets others`, async () => {
    await using setting = await openSetting(open);
    let tries = 0;
    await using a = contend(setting, setting.client, "a", async () => {
      tries += 1;
      throw new Error("cannot lead");
    });
    const throne = openThrone();
    await until("a tried", () => tries > 0);
    await using b = contend(setting, setting.another(), "b", throne.lead("b"));
    await until("b leads", () => throne.leader() === "b");
    assert.deepEqual([a.isLeader(), b.isLeader()], [false, true]);
  });
}
