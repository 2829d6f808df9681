import assert from "node:assert/strict";
import { test } from "node:test";
import { limitWork } from "../../src/issuer/runs.ts";

test("work that holds the event loop has a tenth of the time, one after the other, and no more wait than may", async () => {
  const work = limitWork(3, "questions");
  const spans: [number, number][] = [];
  const hold = (): number => {
    const begin = performance.now();
    while (performance.now() - begin < 20);
    return spans.push([begin, performance.now()]);
  };
  const asked = [1, 2, 3].map(async () => await work(hold));
  await assert.rejects(work(hold), { code: "overloaded", message: "3 questions wait already" });
  assert.deepEqual(await Promise.all(asked), [1, 2, 3]);
  for (const [at, [begin, end]] of spans.entries()) {
    const [next] = spans[at + 1] ?? [];
    // A timer may come a millisecond early.
    if (next !== undefined) assert.ok(next - end >= (end - begin) * 9 - 2, `${next - end} ms after ${end - begin}`);
  }
});

test("work that fails holds up nobody", async () => {
  const work = limitWork(3, "questions");
  const failing = work(() => {
    throw new Error("it is none");
  });
  await assert.rejects(failing, /it is none/);
  assert.equal(await work(() => 7), 7);
});
