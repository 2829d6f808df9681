/** A process of ours started as in production, and what it costs as the kernel counts it. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export interface Server extends AsyncDisposable {
  readonly pid: number;
  /** Processor time of all its threads so far, in microseconds. */
  cpuMicros(): number;
  /** A field of the first log line of this event; waits for it. */
  waitFor(event: string, field: string): Promise<number>;
}

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const waitMsMax = 120_000;

/** Runs one verb to its end and returns what it prints. */
export async function runVerb(...verb: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...verb]);
  return stdout;
}

/** Logs go to a file at their usual level, and are read back from there. */
export function startProcess(verb: readonly string[], logFile: string, nodeFlags: readonly string[] = []): Server {
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(process.execPath, [...nodeFlags, main, ...verb], { stdio: ["ignore", log, log] });
  const ended = once(child, "exit");
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${verb.join(" ")}`);
  return {
    pid,
    cpuMicros: () => cpuMicrosOf(pid),
    waitFor: async (event, field) => {
      for (let waited = 0; waited < waitMsMax && child.exitCode === null; waited += 50) {
        const found = readField(readFileSync(logFile, "utf8"), event, field);
        if (found !== undefined) return found;
        await setTimeout(50);
      }
      throw new Error(`${verb.join(" ")} did not log "${event}":\n${readFileSync(logFile, "utf8").slice(-2000)}`);
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** From the scheduler, in nanoseconds for each thread: `stat` counts in ticks of 10 ms, a tenth of a round. */
function cpuMicrosOf(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanoseconds / 1000;
}

function readField(log: string, event: string, field: string): number | undefined {
  const line = log.split("\n").find((text) => text.includes(`"event":"${event}"`));
  const value = line === undefined ? undefined : new RegExp(`"${field}":(\\d+)`).exec(line)?.[1];
  return value === undefined ? undefined : Number(value);
}
