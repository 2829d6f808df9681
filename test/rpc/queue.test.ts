import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as fc from "fast-check";
import { openQueue } from "../../src/rpc/queue.ts";

test("tenants are served one after the other, each in its own order", () => {
  const queue = openQueue<string>(1000);
  for (const item of ["a1", "a2", "a3", "a4", "b1", "c1", "c2"]) queue.push(item.charAt(0), 1, item);
  assert.deepEqual(queue.take(4), ["a1", "b1", "c1", "a2"]);
  queue.push("b", 1, "b2");
  assert.deepEqual(queue.take(9), ["c2", "a3", "b2", "a4"]);
  assert.deepEqual(queue.take(9), []);
});

test("a storm of one tenant is given up before anything of another's", () => {
  const queue = openQueue<string>(100);
  for (let n = 0; n < 5; n++) assert.equal(queue.push("quiet", 5, `quiet${n}`), undefined);
  const lost = Array.from({ length: 500 }, (_, n) => queue.push("storm", 5, `storm${n}`)).filter(
    (x) => x !== undefined,
  );
  assert.equal(lost.length, 500 - 15);
  assert.ok(lost.every((item) => item.startsWith("storm")));
  assert.equal(queue.push("late", 20, "late"), "storm14", "who comes late takes the storm's place");
  assert.deepEqual(queue.take(3), ["quiet0", "storm0", "late"]);
});

test("what a full queue gives up is the newest of who holds most, though it be the new item itself", () => {
  const queue = openQueue<string>(10);
  queue.push("a", 10, "old");
  assert.equal(queue.push("a", 1, "new"), "new");
  assert.equal(queue.push("b", 11, "big"), "big");
  assert.deepEqual(queue.take(9), ["old"]);
});

test("whatever comes and goes, nothing is lost or served twice, the bound holds and every line keeps its order", () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ tenant: fc.constantFrom("a", "b", "c"), bytes: fc.integer({ min: 1, max: 40 }) }),
    },
    fc.record({ take: fc.integer({ min: 0, max: 12 }) }),
    fc.record({ remove: fc.nat({ max: 300 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const queue = openQueue<{ readonly id: number; readonly tenant: string; readonly bytes: number }>(200);
      const inside = new Map<number, number>();
      const items = new Map<number, Parameters<typeof queue.push>[2]>();
      const served = new Map<string, number>();
      const leave = (id: number): void => assert.ok(inside.delete(id), `${id} left twice`);
      for (const [id, one] of steps.entries()) {
        if ("tenant" in one) {
          inside.set(id, one.bytes);
          const item = { id, ...one };
          items.set(id, item);
          const given = queue.push(one.tenant, one.bytes, item);
          if (given !== undefined) leave(given.id);
        } else if ("remove" in one) {
          // Whatever was pushed, wherever it is by now.
          const item = items.get(one.remove);
          if (item !== undefined) queue.remove(item.tenant, item);
          inside.delete(one.remove);
        } else {
          for (const item of queue.take(one.take)) {
            leave(item.id);
            assert.ok((served.get(item.tenant) ?? -1) < item.id);
            served.set(item.tenant, item.id);
          }
        }
        const bytes = [...inside.values()].reduce((sum, b) => sum + b, 0);
        assert.deepEqual([queue.size, queue.weight], [inside.size, bytes]);
        assert.ok(bytes <= 200 + 40);
      }
    }),
    { numRuns: 300 },
  );
});

test("what has been served is held no longer, though its line goes on", async () => {
  const queue = openQueue<object>(1000);
  const pushAndTake = (): WeakRef<object> => {
    for (let n = 0; n < 3; n++) queue.push("shop", 1, {});
    const [served = {}] = queue.take(1);
    return new WeakRef(served);
  };
  const served = pushAndTake();
  // A reference that was looked at in this turn of the event loop holds until its end.
  await setImmediate();
  collect();
  assert.equal(served.deref(), undefined);
  assert.equal(queue.size, 2);
});

function collect(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}
