/** `npm run fault-matrix`: thousands of schedules of work and faults of durable writes, each judged at its end. */
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ramDisk } from "./disk.ts";
import { toCell } from "./fate.ts";
import { cellsOf, isKind, type Kind, kinds } from "./kinds.ts";
import type { Told } from "./worker.ts";

const help = `usage: npm run fault-matrix -- [options]

Each schedule is what happens to one disk, while durable writes are lost, kept though reported lost, slow, refused, or the last thing
the process does. Each is about one cell of the matrix: this write and that fate; the rest of it is chance, by its seed. There are two
kinds. An issuer's lives: requests, operators' verbs and time, one after the other. And the ledger's alone: many at once who have
drafts written, signatures recorded and entries put in order, while syncs fail, too, and the power, and what is due at one time comes
in any order. Afterwards everything that was promised must be there, nothing may have been signed that the ledger does not have, the
ledger must verify, and whoever asks then must be served. Exits with 1 at the first schedule where that does not hold, and says how to
have it again; and where a cell of the matrix was not met by enough schedules to meet all.

  --of KIND       ${kinds.join(" or ")} (default both, one after the other)
  --schedules N   how many of each kind (default 3000); ${kinds.map((kind) => `${cellsOf[kind].length} (${kind})`).join(" and ")} meet every cell once
  --seed N        of the first one; the next has the next (default 1)
  --processes N   that share them (default as many as there are processors: ${availableParallelism()})
  --json          the figures as JSON
  --help

Example:
  npm run fault-matrix -- --of issuer --schedules 1 --seed 4711
`;

const { values } = parseArgs({
  options: {
    of: { type: "string" },
    schedules: { type: "string", default: "3000" },
    seed: { type: "string", default: "1" },
    processes: { type: "string", default: String(availableParallelism()) },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const [schedules, seed, processes] = [Number(values.schedules), Number(values.seed), Number(values.processes)];
const chosen = values.of === undefined ? kinds : [values.of].filter(isKind);
const isCount = (value: number): boolean => Number.isInteger(value) && value > 0;
const progressMs = 10_000;

class Failed extends Error {
  readonly told: Told;
  constructor(told: Told) {
    super("a schedule does not hold");
    this.told = told;
  }
}

if (values.help) process.stdout.write(help);
else if (chosen.length === 0 || !(isCount(schedules) && isCount(processes) && Number.isInteger(seed) && seed >= 0)) {
  process.stderr.write(help);
  process.exitCode = 2;
} else {
  const all: Figures[] = [];
  for (const kind of chosen) {
    const figures = await runKind(kind);
    if (figures === undefined) break;
    all.push(figures);
    if (!values.json) process.stdout.write(toText(figures));
  }
  if (values.json) process.stdout.write(`${JSON.stringify(all, undefined, 2)}\n`);
}

interface Figures {
  readonly kind: Kind;
  readonly seed: number;
  readonly schedules: number;
  readonly processes: number;
  readonly steps: number;
  readonly perMinute: number;
  readonly cells: number;
  readonly met: number;
  /** How often each cell was met. */
  readonly faults: Readonly<Record<string, number>>;
}

/** Undefined where a schedule does not hold. */
async function runKind(kind: Kind): Promise<Figures | undefined> {
  const met = new Map<string, number>();
  const began = performance.now();
  let [done, steps] = [0, 0];
  const progress = setInterval(
    () => process.stderr.write(`fault-matrix: ${done} of ${schedules} (${kind})\n`),
    progressMs,
  );
  const failed = await runAll(kind, (told) => {
    done += 1;
    steps += told.steps.length;
    for (const [cell, count] of told.met) met.set(cell, (met.get(cell) ?? 0) + count);
  }).finally(() => clearInterval(progress));
  if (failed !== undefined) {
    tellFailed(kind, failed);
    return undefined;
  }
  const perMinute = Math.round(schedules / ((performance.now() - began) / 60_000));
  const cells = cellsOf[kind];
  const unmet = cells.map(toCell).filter((cell) => !met.has(cell));
  if (schedules >= cells.length && unmet.length > 0) {
    process.exitCode = 1;
    process.stderr.write(`NOT MET: ${unmet.join(", ")}\n`);
  }
  const faults = Object.fromEntries([...met].sort(([a], [b]) => (a < b ? -1 : 1)));
  const share = { seed, schedules, processes, steps, perMinute };
  return { kind, ...share, cells: cells.length, met: cells.length - unmet.length, faults };
}

function toText({ kind, faults, ...figures }: Figures): string {
  const counts = Object.entries(faults).map(([what, count]) => `${what.padEnd(48)} ${count}\n`);
  return `${counts.join("")}${figures.schedules} schedules (${kind}) from seed ${figures.seed}, ${figures.steps} steps, ${figures.met} of ${figures.cells} cells of the matrix: all hold; ${figures.perMinute} a minute by ${figures.processes} processes${ramDisk === undefined ? ", on no RAM disk" : ""}\n`;
}

/** Each process has a range of seeds of its own. What failed is the first that was heard of, and ends all. */
async function runAll(kind: Kind, heard: (told: Told) => void): Promise<Told | undefined> {
  const share = Math.ceil(schedules / processes);
  const ranges = Array.from({ length: processes }, (_, n) => [
    seed + n * share,
    seed + Math.min((n + 1) * share, schedules),
  ]);
  const children: ChildProcess[] = [];
  try {
    const shares = ranges.map(async ([from = 0, to = 0]) => {
      if (from < to) await runShare(kind, [from, to], heard, children);
    });
    await Promise.all(shares);
    return undefined;
  } catch (error) {
    if (error instanceof Failed) return error.told;
    throw error;
  } finally {
    for (const child of children) child.kill();
  }
}

async function runShare(
  kind: Kind,
  [from, to]: readonly [number, number],
  heard: (told: Told) => void,
  children: ChildProcess[],
): Promise<void> {
  const child = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), [kind, String(from), String(to)]);
  children.push(child);
  let left = to - from;
  await new Promise<void>((resolve, reject) => {
    // From our own worker, and of its type.
    child.on("message", (told: Told) => {
      if (told.faults.length > 0) return reject(new Failed(told));
      left -= 1;
      heard(told);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (left === 0) return resolve();
      reject(new Error(`the process of the schedules ${from} to ${to - 1} ended with ${code} before the last`));
    });
  });
}

function tellFailed(kind: Kind, { seed: failed, faults, steps }: Told): void {
  process.exitCode = 1;
  for (const step of steps) process.stdout.write(`  ${step}\n`);
  for (const fault of faults) process.stdout.write(`DOES NOT HOLD: ${fault}\n`);
  process.stdout.write(`again: npm run fault-matrix -- --of ${kind} --schedules 1 --seed ${failed}\n`);
}
