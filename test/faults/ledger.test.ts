import assert from "node:assert/strict";
import { test } from "node:test";
import { toCell } from "./fate.ts";
import { ledgerCells, makeLedgerTemplate, runLedgerSchedule } from "./ledger-schedule.ts";

/** `npm run fault-matrix -- --of ledger` runs thousands. Here each cell has one. */
test("many at once, and commits and syncs that fail: what was promised is there, and whoever asks again is given the same", async (t) => {
  using template = await makeLedgerTemplate();
  const met = new Set<string>();
  for (const seed of ledgerCells.keys()) {
    const report = await runLedgerSchedule(seed, template);
    for (const what of report.met.keys()) met.add(what);
    const again = `npm run fault-matrix -- --of ledger --schedules 1 --seed ${seed}`;
    assert.deepEqual(report.faults, [], `${again}\n${report.steps.join("\n")}`);
  }
  await t.test("every cell was met", () => {
    for (const cell of ledgerCells.map(toCell)) assert.ok(met.has(cell), cell);
  });
  await t.test("a schedule is the same for the same seed", async () => {
    const told = async () => {
      const { steps, met } = await runLedgerSchedule(11, template);
      return [steps, [...met]];
    };
    assert.deepEqual(await told(), await told());
  });
});
