/** `npm run soak`: three issuers and two agents under load while processes are killed and their database changes places. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { soak } from "./run.ts";

const help = `usage: npm run soak -- [options]

Three issuers on one PostgreSQL with a synchronous standby, and two agents, all as processes, asked for certificates as Istio's
agents ask. Again and again one of them is killed (kill -9) and started again; once the database is restarted, and once it is killed
and its standby promoted. Exits with 1 when anything does not hold afterwards, and says where the logs are.

  --minutes N   how long processes are killed (default 5); some 20 s of calm follow
  --every N     seconds between two kills (default: twice what the slowest process took to start, at least 1)
  --seed N      draws who is killed, when calls are made and when the database goes (default: from the clock)
  --keep        keeps the directory with logs and calls, also where all holds
  --json        the verdict as JSON
  --help

Example:
  npm run soak -- --minutes 2 --seed 1
`;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    every: { type: "string" },
    seed: { type: "string" },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const minutes = Number(values.minutes);
const every = values.every === undefined ? undefined : Number(values.every);
const seed = values.seed === undefined ? Date.now() % 2 ** 32 : Number(values.seed);

if (values.help) process.stdout.write(help);
else if (
  !(minutes > 0 && minutes <= 24 * 60 && (every === undefined || every > 0)) ||
  !(Number.isInteger(seed) && seed >= 0)
) {
  process.stderr.write(help);
  process.exitCode = 2;
} else await main();

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "espalier-soak-"));
  const say = (line: string): void => void process.stderr.write(`soak: ${line}\n`);
  say(`seed ${seed}; logs in ${join(directory, "logs")}`);
  const judged = await soak({ minutes, seed, every }, directory, say).catch((error: unknown) => ({
    figures: {},
    faults: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
  }));
  const { faults, figures } = judged;
  if (values.json) process.stdout.write(`${JSON.stringify({ seed, minutes, figures, faults }, undefined, 2)}\n`);
  else {
    for (const [name, figure] of Object.entries(figures)) process.stdout.write(`${name.padEnd(22)} ${figure}\n`);
    for (const fault of faults) process.stdout.write(`DOES NOT HOLD: ${fault}\n`);
  }
  if (faults.length > 0) {
    process.exitCode = 1;
    say(
      `${faults.length} things do not hold. See ${directory}: logs/ of each process, plan.json, and calls.jsonl with every attempt`,
    );
    say(`again: npm run soak -- --minutes ${minutes} --seed ${seed}`);
  } else {
    say("all holds");
    if (!values.keep) rmSync(directory, { recursive: true, force: true });
  }
}
