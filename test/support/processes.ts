/** Real processes of the real command line, and what they log. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ours = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** Where node keeps what it has compiled: most of a start otherwise. What is killed keeps nothing. */
export const compiled = {
  NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? join(tmpdir(), "espalier-compiled"),
};

/** How long a process may take to log what is waited for. */
const timeoutMs = 120_000;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command of the command line to its end; of our own, where `main` names no other. */
export async function espalier(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  main = ours,
): Promise<Finished> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, ...compiled, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  await once(child, "close");
  return { code: child.exitCode, stdout: stdout(), stderr: stderr() };
}

export interface Daemon extends AsyncDisposable {
  readonly child: ChildProcess;
  /** The fields of the first line with this event and these fields, seen before or still to come. */
  event(name: string, fields?: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts `issuer run` or `agent run`; `node` is what node is given: its flags and our main file, the sources' own by default. */
export function startDaemon(args: readonly string[], node: readonly string[] = [ours]): Daemon {
  const env = { ...process.env, ...compiled };
  const child = spawn(process.execPath, [...node, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  const lines: Readonly<Record<string, unknown>>[] = [];
  const waiting = new Set<() => void>();
  const stderr = collect(child.stderr);
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(readLine(line));
    for (const look of waiting) look();
  });
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, "close");
    child.kill(signal);
    await closed;
  };
  return {
    child,
    lines,
    event: (name, fields = {}) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => end(`no "${name}" within ${timeoutMs} ms`), timeoutMs);
        const onClose = (): void => end(`it ended before "${name}"`);
        const end = (why?: string, found?: Readonly<Record<string, unknown>>): void => {
          clearTimeout(timer);
          waiting.delete(look);
          child.off("close", onClose);
          if (found !== undefined) return resolve(found);
          reject(
            new Error(`${args.join(" ")}: ${why}\n${stderr()}${lines.map((line) => JSON.stringify(line)).join("\n")}`),
          );
        };
        const look = (): void => {
          const found = lines.find(
            (line) => line["event"] === name && Object.entries(fields).every(([key, value]) => line[key] === value),
          );
          if (found !== undefined) end(undefined, found);
        };
        waiting.add(look);
        child.once("close", onClose);
        look();
      }),
    stop,
    [Symbol.asyncDispose]: async () => await stop(),
  };
}

/**
 * A port of loopback that nobody listens on at this moment, and that nobody else gets from here, in another process either. It is
 * below those that systems give to outgoing connections, any of which could take it before it is used, and above those of the tour.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(15_500, 32_768);
    if ((await claim(port)) && (await isFree(port))) return port;
  }
}

/** Whether nobody has claimed it: by the UDP port of its number, which this process has from now on and until it ends. */
export async function claim(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  const listening = once(socket, "listening");
  socket.bind({ port, address: "127.0.0.1", exclusive: true });
  try {
    await listening;
    socket.unref();
    return true;
  } catch {
    socket.close();
    return false;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listening = once(server, "listening").then(
    () => true,
    () => false,
  );
  server.listen(port, "127.0.0.1");
  const free = await listening;
  await new Promise((done) => server.close(done));
  return free;
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
}

function readLine(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : { event: line };
  } catch {
    return { event: line };
  }
}
