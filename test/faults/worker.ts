/** `node test/faults/worker.ts KIND FROM TO`: one process's share of the schedules, by their seeds. Tells its parent of each. */
import { isKind, openKind } from "./kinds.ts";

/** One schedule. */
export interface Told {
  readonly seed: number;
  readonly faults: readonly string[];
  readonly steps: readonly string[];
  readonly met: readonly (readonly [cell: string, count: number])[];
}

const [kind = "", ...range] = process.argv.slice(2);
const [from = 0, to = 0] = range.map(Number);
if (!isKind(kind)) throw new Error(`there are no schedules of ${kind}`);
using runner = await openKind(kind);
// Whoever has begun this may go first.
const gone = (): void => process.exit(1);
process.on("disconnect", gone);
for (let seed = from; seed < to; seed += 1) {
  const { faults, steps, met } = await runner.run(seed);
  const told: Told = { seed, faults, steps, met: [...met] };
  process.send?.(told);
}
process.off("disconnect", gone);
process.disconnect?.();
