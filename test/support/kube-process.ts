/** A kube-apiserver as a process of this machine: stopped, let go on, killed and started again as it was. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openClient } from "../../src/kube/client.ts";
import { type Access, fixedCredentials } from "../../src/kube/credentials.ts";
import { recordAt } from "../../src/kube/json.ts";

export interface ServerProcess {
  pid: number;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
}

function readProcess(pid: number): ServerProcess {
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

/** The API server that listens on this port, if it is a process of this machine. */
export function findServer(port: string): ServerProcess | undefined {
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      if (words[0]?.endsWith("kube-apiserver") === true && words[words.indexOf("--secure-port") + 1] === port)
        return readProcess(Number(name));
    } catch {
      // Gone meanwhile, or somebody else's.
    }
  }
  return undefined;
}

export async function restart(server: ServerProcess, access: Access): Promise<void> {
  await kill(server);
  await start(server, access);
}

/** SIGKILL; returns when it is gone. */
export async function kill({ pid }: ServerProcess): Promise<void> {
  process.kill(pid, "SIGKILL");
  while (!isGone(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Nobody need have waited for it. As long as one of its threads is there, so are its sockets. */
function isGone(pid: number): boolean {
  try {
    return !existsSync(`/proc/${pid}/cwd`) && readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return true;
  }
}

/** One that finds what another left behind may take its time. */
const startMsMax = 150_000;

/** The same command again; returns when it is ready. Its environment lets the cluster tool find it. */
export async function start(server: ServerProcess, access: Access): Promise<void> {
  const [file = "", ...args] = server.command;
  const said = join(tmpdir(), `restarted-${randomUUID()}.log`);
  const log = openSync(said, "w", 0o600);
  const options = { cwd: server.directory, env: { ...server.environment }, detached: true } as const;
  const child = spawn(file, args, { ...options, stdio: ["ignore", log, log] });
  closeSync(log);
  child.unref();
  if (child.pid === undefined) throw new Error(`${file} did not start`);
  server.pid = child.pid;
  using client = openClient({ credentials: fixedCredentials(access) });
  const end = performance.now() + startMsMax;
  for (;;) {
    try {
      await client.call({ verb: "GET", path: "/api/v1/namespaces/default", deadlineMs: 2_000 });
      return rmSync(said);
    } catch (cause) {
      if (performance.now() > end || child.exitCode !== null)
        throw new Error(`the API server does not answer: ${readFileSync(said, "utf8").slice(-2_000)}`, { cause });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Forgets all but the present in the etcd behind it, as etcd does by itself every few minutes: by etcd's own gateway. */
export async function compact({ command }: ServerProcess): Promise<void> {
  const [, etcd = ""] = /--etcd-servers[= ](\S+)/.exec(command.join(" ")) ?? [];
  const ask = async (path: string, body: object): Promise<unknown> => {
    const answer = await fetch(`${etcd}/v3/kv/${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd: ${await answer.text()}`);
    return await answer.json();
  };
  const { revision } = recordAt(await ask("range", { key: "AA==" }), "header");
  await ask("compaction", { revision, physical: true });
}
