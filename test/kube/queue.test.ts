import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import * as fc from "fast-check";
import { startQueue } from "../../src/kube/queue.ts";
import { silentLog } from "../../src/ops/log.ts";
import { until } from "../contract/kube-setting.ts";

const backOff = { msMin: 1, msMax: 8 };

test("never two workers on one key, never more workers than there are, and what was added last is always looked at", async () => {
  const step = fc.record({
    key: fc.constantFrom("a", "b", "c", "d", "e", "f"),
    waitMs: fc.integer({ min: 0, max: 2 }),
  });
  const plan = fc.record({
    steps: fc.array(step, { maxLength: 40 }),
    workers: fc.integer({ min: 1, max: 4 }),
    failures: fc.array(fc.boolean(), { maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(plan, async ({ steps, workers, failures }) => {
      const wanted = new Map<string, number>();
      const looked = new Map<string, number>();
      const working = new Set<string>();
      const fails = [...failures];
      const work = async (key: string) => {
        assert.ok(!working.has(key), `two workers on ${key}`);
        working.add(key);
        assert.ok(working.size <= workers);
        const version = wanted.get(key) ?? 0;
        await delay(Math.random() * 2);
        working.delete(key);
        if (fails.pop() === true) throw new Error("failed");
        looked.set(key, version);
      };
      await using queue = startQueue({ name: "test", work, workers, backOff }, silentLog);
      for (const { key, waitMs } of steps) {
        wanted.set(key, (wanted.get(key) ?? 0) + 1);
        queue.add(key);
        if (waitMs > 0) await delay(waitMs);
      }
      await until("all is done", () => queue.size() === 0);
      assert.deepEqual(looked, wanted);
    }),
    { numRuns: 40 },
  );
});

test("a key that waits is not added twice", async () => {
  const gate = Promise.withResolvers<void>();
  const seen: string[] = [];
  const work = async (key: string) => {
    seen.push(key);
    await gate.promise;
  };
  await using queue = startQueue({ name: "test", work, workers: 1 }, silentLog);
  for (const key of ["a", "b", "b", "b", "a", "a"]) queue.add(key);
  assert.equal(queue.size(), 2);
  gate.resolve();
  await until("all is done", () => queue.size() === 0);
  assert.deepEqual(seen, ["a", "b", "a"]);
});

test("a key that fails keeps no other waiting", async () => {
  const tries: string[] = [];
  const work = async (key: string) => {
    tries.push(key);
    if (key === "bad") throw new Error("failed");
  };
  const backOff = { msMin: 600_000, msMax: 600_000 };
  await using queue = startQueue({ name: "test", work, workers: 1, backOff }, silentLog);
  queue.add("bad");
  await until("one has failed", () => tries.length === 1);
  queue.add("other");
  await until("other is done", () => tries.length === 2);
  assert.deepEqual(tries, ["bad", "other"]);
});

test("pauses grow for the key that fails, and a success forgets them", async () => {
  const tries: number[] = [];
  let failing = 6;
  const work = async () => {
    tries.push(performance.now());
    failing -= 1;
    if (failing >= 0) throw new Error("failed");
  };
  await using queue = startQueue({ name: "test", work, workers: 1, backOff: { msMin: 20, msMax: 10_000 } }, silentLog);
  queue.add("bad");
  await until("bad is done", () => queue.size() === 0);
  const pauses = tries.slice(1).map((at, index) => at - (tries[index] ?? 0));
  assert.equal(pauses.length, 6);
  assert.ok(pauses.every((pause) => pause >= 9));
  assert.ok(pauses.reduce((sum, pause) => sum + pause) > 100, "full jitter, and still more and more");
  // Twenty times in a row the pause is that after a first failure: had one been added to those before, it would be minutes by now.
  const begun = performance.now();
  for (let times = 0; times < 20; times += 1) {
    failing = 1;
    queue.add("bad");
    await until("bad is done again", () => queue.size() === 0);
  }
  assert.ok(performance.now() - begun < 30_000);
});

test("news of what failed doesn't shorten its pause", async () => {
  let tries = 0;
  const work = async () => {
    tries += 1;
    throw new Error("failed");
  };
  await using queue = startQueue({ name: "test", work, backOff: { msMin: 60_000, msMax: 60_000 } }, silentLog);
  queue.add("a");
  await delay(20);
  for (let times = 0; times < 10; times += 1) queue.add("a");
  await delay(50);
  assert.equal(tries, 1);
});

test("what asks to be looked at again is, and news comes first", async () => {
  let looks = 0;
  const work = async () => {
    looks += 1;
    return { againAfterMs: looks === 1 ? 20 : 600_000 };
  };
  await using queue = startQueue({ name: "test", work }, silentLog);
  queue.add("a");
  await until("it was looked at twice", () => looks === 2);
  queue.add("a");
  await until("it was looked at once more", () => looks === 3);
});

test("a queue that is full says so", async () => {
  await using queue = startQueue({ name: "test", work: () => delay(5), workers: 1, keysMax: 2 }, silentLog);
  queue.add("a");
  queue.add("b");
  queue.add("a");
  assert.throws(() => queue.add("c"), { code: "overloaded" });
});

test("stopping tells the work, waits for it within its time, and begins nothing more", async () => {
  const begun: string[] = [];
  let told = false;
  let over = false;
  const work = async (key: string, signal: AbortSignal) => {
    begun.push(key);
    await delay(50);
    told = signal.aborted;
    over = true;
  };
  const queue = startQueue({ name: "test", work, workers: 1 }, silentLog);
  queue.add("a");
  queue.add("b");
  await queue[Symbol.asyncDispose]();
  queue.add("c");
  await delay(20);
  assert.deepEqual([begun, told, over], [["a"], true, true]);

  const never = Promise.withResolvers<void>();
  const stuck = startQueue({ name: "test", work: () => never.promise, drainMs: 20 }, silentLog);
  stuck.add("a");
  await stuck[Symbol.asyncDispose]();
});
