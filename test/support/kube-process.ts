/** A kube-apiserver as a process of this machine: stopped, let go on, killed and started again as it was. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { openClient } from "../../src/kube/client.ts";
import { type Access, fixedCredentials } from "../../src/kube/credentials.ts";

export interface ServerProcess {
  pid: number;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
}

export function readProcess(pid: number): ServerProcess {
  const words = (file: string) =>
    readFileSync(`/proc/${pid}/${file}`, "utf8")
      .split("\0")
      .filter((word) => word !== "");
  const pairs = words("environ").map((word) => {
    const at = word.indexOf("=");
    return [word.slice(0, at), word.slice(at + 1)] as const;
  });
  const directory = readlinkSync(`/proc/${pid}/cwd`);
  return { pid, command: words("cmdline"), environment: Object.fromEntries(pairs), directory };
}

/** SIGKILL, and the same command again; returns when it is ready. Its environment lets the cluster tool find it. */
export async function restart(server: ServerProcess, access: Access): Promise<void> {
  process.kill(server.pid, "SIGKILL");
  while (existsSync(`/proc/${server.pid}/cwd`)) await new Promise((resolve) => setTimeout(resolve, 20));
  const [file = "", ...args] = server.command;
  const options = { cwd: server.directory, env: { ...server.environment }, detached: true, stdio: "ignore" } as const;
  const child = spawn(file, args, options);
  child.unref();
  if (child.pid === undefined) throw new Error(`${file} did not start`);
  server.pid = child.pid;
  using client = openClient({ credentials: fixedCredentials(access) });
  const end = performance.now() + 60_000;
  for (;;) {
    try {
      await client.call({ verb: "GET", path: "/api/v1/namespaces/default", deadlineMs: 2_000 });
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
