/** `npm run bench`: what a certificate costs, in microseconds of CPU of the real processes. Every reply is checked. */
import { parseArgs } from "node:util";
import { readImageFlags } from "../support/image.ts";
import { measureLedger, measurePath, measureStage, type Row } from "./measure.ts";
import { startMesh } from "./mesh.ts";
import { measureRestart, type Restart, toText as toRestartText } from "./restart.ts";

const help = `usage: npm run bench -- [options]

  --only a|b|c|d    one part: (a) the issuer's stage beside the floor, (b) agent and issuer, (c) the ledger, and, which is only
                    done when it is asked for, (d) all workloads of a tenant that start at once
  --batch N         (a) at this batch alone (default: 1, 8 and 32)
  --workloads N     (d) how many (default 50000; needs taskset, chrt and a machine that is left alone)
  --seconds N       about how long the load of each part lasts (default 6)
  --warm-up N       seconds of load before anything counts, for each part (default 30)
  --json            results as JSON
  --node-flags="…"  given to the issuer's and the agent's node (default: (d) the image's, the others none)
  --help
`;

const legend = `floor: RS256 verify, P-256 verify, P-256 sign by node:crypto, keys loaded; +key: the CSR's key is read first, as it must be\n`;

/** The goal for (a): the floor is at least this part of what a certificate costs at batch 32. */
const goal = { what: "issuer, batch 32", ratio: 0.55 };

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    batch: { type: "string" },
    workloads: { type: "string", default: "50000" },
    seconds: { type: "string", default: "6" },
    "warm-up": { type: "string", default: "30" },
    json: { type: "boolean", default: false },
    "node-flags": { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const { only, help: asked } = values;
const nodeFlags = values["node-flags"]?.split(" ").filter((flag) => flag !== "");
const spans = { load: Number(values.seconds), warmUp: Number(values["warm-up"]) };
const workloads = Number(values.workloads);
const batches = values.batch === undefined ? [1, 8, 32] : [Number(values.batch)];

if (asked) process.stdout.write(help);
else if (
  !(spans.load > 0 && spans.warmUp > 0 && batches.every(isBatch) && Number.isInteger(workloads) && workloads > 0) ||
  (only !== undefined && !["a", "b", "c", "d"].includes(only))
) {
  process.stderr.write(help);
  process.exitCode = 2;
} else if (only === "d") {
  const restart = await measureStart();
  process.stdout.write(values.json ? `${JSON.stringify(restart, undefined, 2)}\n` : toRestartText(restart));
} else {
  const rows = await measure(nodeFlags ?? []);
  process.stdout.write(values.json ? `${JSON.stringify({ goal, rows }, undefined, 2)}\n` : toText(rows));
}

function isBatch(batch: number): boolean {
  return Number.isInteger(batch) && batch >= 1 && batch <= 256;
}

async function measureStart(): Promise<Restart> {
  const flags = nodeFlags ?? (await readImageFlags());
  return await measureRestart(() => startMesh(flags), workloads, spans.warmUp);
}

async function measure(nodeFlags: readonly string[]): Promise<readonly Row[]> {
  const wanted = (part: string): boolean => only === undefined || only === part;
  const rows: Row[] = [];
  if (wanted("a") || wanted("b")) {
    await using mesh = await startMesh(nodeFlags);
    if (wanted("a")) rows.push(...(await measureStage(mesh, spans, batches)));
    if (wanted("b")) rows.push(...(await measurePath(mesh, spans)));
  }
  if (wanted("c")) rows.push(...(await measureLedger(spans)));
  return rows;
}

function toText(rows: readonly Row[]): string {
  const head = [
    "",
    "µs/cert",
    "issuer",
    "agent",
    "floor",
    "ratio",
    "+key",
    "ratio",
    "certs/s",
    "p50 ms",
    "p99 ms",
    "certs",
  ];
  const lines = rows.map((row) => [
    `(${row.part}) ${row.what}`,
    digits(row.micros, 1),
    digits(row.issuerMicros, 1),
    digits(row.agentMicros, 1),
    digits(row.floor?.loaded, 1),
    digits(row.ratio?.loaded, 2),
    digits(row.floor?.read, 1),
    digits(row.ratio?.read, 2),
    digits(row.perSecond, 0),
    digits(row.p50Ms, 1),
    digits(row.p99Ms, 1),
    digits(row.certificates, 0),
  ]);
  const widths = head.map((_, n) => Math.max(...[head, ...lines].map((line) => line[n]?.length ?? 0)));
  const table = [head, ...lines].map((line) =>
    line.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join("  "),
  );
  const reached = rows.find((row) => row.what === goal.what)?.ratio;
  const verdict =
    reached === undefined
      ? ""
      : `\n${legend}goal at batch 32: ${goal.ratio} of the floor; this run: ${digits(reached.loaded, 2)} (${digits(reached.read, 2)} with the key)\n`;
  return `${table.join("\n")}\n${verdict}`;
}

function digits(value: number | undefined, places: number): string {
  return value === undefined ? "" : value.toFixed(places);
}
