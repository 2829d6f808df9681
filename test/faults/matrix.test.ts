import assert from "node:assert/strict";
import { test } from "node:test";
import { read, sources } from "../repo/sources.ts";
import { fates, toCell } from "./fate.ts";
import { cellOf, makeTemplates, runSchedule } from "./schedule.ts";
import { cells } from "./steps.ts";

/** `npm run fault-matrix` runs thousands, and wants every cell of the matrix. Here each write meets one fate, the next write the next. */
const writes = [...new Set(cells.map(({ write }) => write))];
const seeds = writes.map((write, n) => cells.findIndex((cell) => cell.write === write) + (n % (fates.length - 1)));

test("whatever becomes of durable writes: what was promised is there, nothing is signed without it, and it goes on", async (t) => {
  using templates = await makeTemplates();
  const met = new Set<string>();
  for (const seed of seeds) {
    const report = await runSchedule(seed, templates);
    for (const what of report.met.keys()) met.add(what);
    const again = `npm run fault-matrix -- --of issuer --schedules 1 --seed ${seed}`;
    assert.deepEqual(report.faults, [], `${again}\n${report.steps.join("\n")}`);
  }
  await t.test("every write has met a fate, and every fate a write", () => {
    const all = [...met].map((cell) => cell.split(": "));
    assert.deepEqual([...new Set(all.map(([write]) => write))].sort(), writes.toSorted());
    assert.deepEqual([...new Set(all.map(([, fate]) => fate))].sort(), fates.toSorted());
    for (const cell of seeds.map(cellOf).map(toCell)) assert.ok(met.has(cell), cell);
  });
  await t.test("a schedule is the same for the same seed", async () => {
    // What has no seed are keys, and the ids that keys are drawn with.
    const told = async () => {
      const { steps, met } = await runSchedule(7, templates);
      return [steps.map((step) => step.replaceAll(/[0-9a-f]{8,}/g, "id")), [...met]];
    };
    assert.deepEqual(await told(), await told());
  });
});

/** Beside others that the matrix has, and that change nothing else. */
const lone = ["move-keys"];

test("every verb of an act is in the matrix", () => {
  const written = ["src/controller", "src/issuer", "src/ledger"]
    .flatMap(sources)
    .flatMap((path) => [
      ...read(path).matchAll(/(?:\bverb: |\b(?:byItself|toAct)\([^":)]*|Verb = )"([a-z]+(?:-[a-z]+)*)"/g),
    ])
    .map((found) => found[1] ?? "");
  assert.ok(new Set(written).size > 25, written.join(", "));
  assert.deepEqual(
    written.filter((verb) => !writes.includes(verb) && !lone.includes(verb)),
    [],
  );
});
