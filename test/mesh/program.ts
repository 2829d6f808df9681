/** Other people's programs as processes of their own, with their children; what they say is kept in a file. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/patience.ts";

export interface Program extends AsyncDisposable {
  /** All it has said so far. */
  log(): string;
  /** Until `look` no longer throws; a program that ends before is at fault itself. */
  await<T>(look: () => T | Promise<T>, withinMs?: number): Promise<T>;
  /** It does nothing until it may go on. */
  pause(): void;
  resume(): void;
}

export interface ProgramOptions {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  /** Its working directory; its log is written here. */
  readonly directory: string;
  /** The whole of its environment. */
  readonly env: Readonly<Record<string, string>>;
}

const lastLines = 40;

const running = new Set<ChildProcess>();
process.on("exit", () => running.forEach((child) => send(child, "SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

export function startProgram({ name, file, args, directory, env }: ProgramOptions): Program {
  const path = join(directory, `${name}.log`);
  const output = openSync(path, "a", 0o600);
  // A group of its own: pilot-agent's Envoy would outlive it.
  const child = spawn(file, args, { cwd: directory, env, stdio: ["ignore", output, output], detached: true });
  closeSync(output);
  running.add(child);
  const ended = once(child, "exit");
  const log = (): string => readFileSync(path, "utf8");
  const failed = (why: string, cause?: unknown): Error =>
    new Error(`${name}: ${why}; it said at last:\n${log().trimEnd().split("\n").slice(-lastLines).join("\n")}`, {
      cause,
    });
  const end = ended.then(() => Promise.reject(failed("it ended")));
  end.catch(() => {});
  return {
    log,
    await: async (look, withinMs = 90_000) => {
      const looking = eventually(look, withinMs).catch((cause: unknown) => {
        throw failed(cause instanceof Error ? cause.message : String(cause), cause);
      });
      return await Promise.race([looking, end]);
    },
    pause: () => send(child, "SIGSTOP"),
    resume: () => send(child, "SIGCONT"),
    [Symbol.asyncDispose]: async () => {
      // Nothing it could still have to say is of interest, and a polite end takes pilot-agent five seconds.
      send(child, "SIGKILL");
      running.delete(child);
      await ended;
    },
  };
}

function send({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // All of the group has gone by itself.
  }
}
