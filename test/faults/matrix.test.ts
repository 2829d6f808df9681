import assert from "node:assert/strict";
import { test } from "node:test";
import { fates } from "./fate.ts";
import { makeTemplate, runSchedule } from "./schedule.ts";

/** `npm run fault-matrix` runs thousands. */
const schedules = 80;

test("whatever becomes of durable writes: what was promised is there, nothing is signed without it, and it goes on", async (t) => {
  using template = await makeTemplate();
  const met = new Set<string>();
  for (let seed = 1; seed <= schedules; seed += 1) {
    const report = await runSchedule(seed, template);
    for (const what of report.met.keys()) met.add(what);
    const again = `npm run fault-matrix -- --schedules 1 --seed ${seed}`;
    assert.deepEqual(report.faults, [], `${again}\n${report.steps.join("\n")}`);
  }
  await t.test("every kind of write has failed, and in every way", () => {
    const all = [...met].join(", ");
    for (const what of [...fates, "epoch", "intend", "record", "place", "head", "state", "key"])
      assert.ok(all.includes(what), `${what} is not among ${all}`);
  });
  await t.test("a schedule is the same for the same seed", async () => {
    const twice = [await runSchedule(7, template), await runSchedule(7, template)].map(({ steps, met }) => [
      steps,
      [...met],
    ]);
    assert.deepEqual(twice[0], twice[1]);
  });
});
