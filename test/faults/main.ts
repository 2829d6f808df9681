/** `npm run fault-matrix`: thousands of schedules of requests, verbs and faults of durable writes, each judged at its end. */
import { parseArgs } from "node:util";
import { makeTemplate, runSchedule } from "./schedule.ts";

const help = `usage: npm run fault-matrix -- [options]

Each schedule is an issuer's lives on one disk: requests, operators' verbs and time, while durable writes are lost, kept though
reported lost, slow, refused, or the last thing the process does. Afterwards everything that was promised must be there, nothing
may have been signed that the ledger does not have, the ledger must verify, and whoever asks then must be served. Exits with 1 at
the first schedule where that does not hold, and says how to have it again.

  --schedules N   how many (default 3000)
  --seed N        of the first one; the next has the next (default 1)
  --json          the figures as JSON
  --help

Example:
  npm run fault-matrix -- --schedules 1 --seed 4711
`;

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "3000" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const [schedules, seed] = [Number(values.schedules), Number(values.seed)];
const progressMs = 10_000;

if (values.help) process.stdout.write(help);
else if (!(Number.isInteger(schedules) && schedules > 0 && Number.isInteger(seed) && seed >= 0)) {
  process.stderr.write(help);
  process.exitCode = 2;
} else await main();

async function main(): Promise<void> {
  const met = new Map<string, number>();
  const began = performance.now();
  let told = began;
  let steps = 0;
  using template = await makeTemplate();
  for (let n = 0; n < schedules; n += 1) {
    const report = await runSchedule(seed + n, template);
    for (const [what, count] of report.met) met.set(what, (met.get(what) ?? 0) + count);
    steps += report.steps.length;
    if (report.faults.length > 0) return tellFaults(seed + n, report);
    if (performance.now() - told < progressMs) continue;
    told = performance.now();
    process.stderr.write(`fault-matrix: ${n + 1} of ${schedules}\n`);
  }
  const perMinute = Math.round(schedules / ((performance.now() - began) / 60_000));
  const faults = Object.fromEntries([...met].sort(([a], [b]) => (a < b ? -1 : 1)));
  if (values.json)
    process.stdout.write(`${JSON.stringify({ seed, schedules, steps, perMinute, faults }, undefined, 2)}\n`);
  else {
    for (const [what, count] of Object.entries(faults)) process.stdout.write(`${what.padEnd(24)} ${count}\n`);
    process.stdout.write(`${schedules} schedules from seed ${seed}, ${steps} steps: all hold; ${perMinute} a minute\n`);
  }
}

function tellFaults(failed: number, { faults, steps }: Awaited<ReturnType<typeof runSchedule>>): void {
  process.exitCode = 1;
  for (const step of steps) process.stdout.write(`  ${step}\n`);
  for (const fault of faults) process.stdout.write(`DOES NOT HOLD: ${fault}\n`);
  process.stdout.write(`again: npm run fault-matrix -- --schedules 1 --seed ${failed}\n`);
}
