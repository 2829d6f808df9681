/** `node test/faults/worker.ts FROM TO`: one process's share of the schedules, by their seeds. Tells its parent of each. */
import { makeTemplates, runSchedule } from "./schedule.ts";

/** One schedule. */
export interface Told {
  readonly seed: number;
  readonly faults: readonly string[];
  readonly steps: readonly string[];
  readonly met: readonly (readonly [cell: string, count: number])[];
}

const [from = 0, to = 0] = process.argv.slice(2).map(Number);
using templates = await makeTemplates();
// Whoever has begun this may go first.
const gone = (): void => process.exit(1);
process.on("disconnect", gone);
for (let seed = from; seed < to; seed += 1) {
  const { faults, steps, met } = await runSchedule(seed, templates);
  const told: Told = { seed, faults, steps, met: [...met] };
  process.send?.(told);
}
process.off("disconnect", gone);
process.disconnect?.();
