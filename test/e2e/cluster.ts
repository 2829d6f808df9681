/** A cluster as an administrator sees it: kubectl and helm, and what pods answer. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { eventually as patiently } from "../support/patience.ts";

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever that is. */
export async function run(program: string, args: readonly string[], input = ""): Promise<Finished> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  // A program that does not read its input has ended before we are done writing it.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  await once(child, "close");
  return { code: child.exitCode, stdout, stderr };
}

async function succeed(program: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, input);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ${code}\n${stderr}${stdout}`);
  return stdout;
}

/** Its output. @throws Error unless it succeeds. */
export async function kubectl(...args: readonly string[]): Promise<string> {
  return await succeed("kubectl", args);
}

export async function helm(...args: readonly string[]): Promise<string> {
  return await succeed("helm", args);
}

export async function apply(manifest: string): Promise<void> {
  await succeed("kubectl", ["apply", "-f", "-"], manifest);
}

/** Runs in a container of a pod, or of one of a `deploy/…`. */
export async function inPod(namespace: string, pod: string, command: readonly string[], input = ""): Promise<Finished> {
  // An input that ends at once can end the output too: without one there is none at all.
  const how = input === "" ? [] : ["-i"];
  return await run("kubectl", ["-n", namespace, "exec", ...how, pod, "--", ...command], input);
}

/** As test/support/patience.ts has it; each look is a process of its own. */
export async function eventually<T>(look: () => Promise<T>, withinMs = 180_000): Promise<T> {
  return await patiently(look, withinMs, 250);
}
