/** A driver is a process of its own that makes load: it prepares, runs when it is told to, and checks afterwards. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** What one run is to be. What the fields mean is the driver's own affair. */
export interface Order {
  readonly kind: string;
  readonly count: number;
  readonly batch: number;
}

export interface Ran {
  readonly wallMicros: number;
  /** From asking to the answer, sorted, in milliseconds; empty where nobody waits. */
  readonly latenciesMs: readonly number[];
  /** Processor time of the driver's own thread, in microseconds. */
  readonly cpuMicros: number;
  /** How often somebody was told to ask again, where that may be. */
  readonly again?: number;
}

export interface Driver extends AsyncDisposable {
  readonly pid: number;
  prepare(order: Order): Promise<void>;
  run(): Promise<Ran>;
  /** Throws when an answer is not what was asked for. */
  check(): Promise<void>;
}

/** What a driver's file does in its process. */
export interface Role {
  prepare(order: Order): Promise<void> | void;
  run(): Promise<Omit<Ran, "wallMicros" | "cpuMicros">>;
  check(): void;
}

interface Message {
  readonly verb: "prepare" | "run" | "check";
  readonly order?: Order;
}

interface Reply {
  readonly ran?: Ran;
  readonly error?: string;
}

/** Starts `file` as a driver; what it is given, it finds in its last argument. */
export function startDriver(file: string, given: object): Driver {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(given)]);
  const ended = once(child, "exit");
  const ask = async (message: Message): Promise<Reply> => {
    child.send(message);
    const reply: Reply = await Promise.race([
      once(child, "message").then(([first]) => first),
      ended.then(() => ({ error: `the driver ${file} ended` })),
    ]);
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  };
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start the driver ${file}`);
  return {
    pid,
    prepare: async (order) => void (await ask({ verb: "prepare", order })),
    run: async () => {
      const { ran } = await ask({ verb: "run" });
      if (ran === undefined) throw new Error(`the driver ${file} did not say how it ran`);
      return ran;
    },
    check: async () => void (await ask({ verb: "check" })),
    [Symbol.asyncDispose]: async () => {
      child.disconnect();
      await ended;
    },
  };
}

/** The other end, in the driver's process: answers until its parent goes. */
export function serveDriver(role: Role): void {
  const answer = async ({ verb, order }: Message): Promise<Reply> => {
    switch (verb) {
      case "prepare":
        if (order !== undefined) await role.prepare(order);
        return {};
      case "run": {
        const [start, used] = [performance.now(), process.cpuUsage()];
        const ran = await role.run();
        const { user, system } = process.cpuUsage(used);
        const latenciesMs = ran.latenciesMs.toSorted((a, b) => a - b);
        return {
          ran: { ...ran, latenciesMs, wallMicros: (performance.now() - start) * 1000, cpuMicros: user + system },
        };
      }
      case "check":
        role.check();
        return {};
    }
  };
  process.on("message", (message: Message) => {
    answer(message)
      .catch((error: unknown): Reply => ({ error: error instanceof Error ? (error.stack ?? "") : String(error) }))
      .then(
        (reply) => process.send?.(reply),
        () => process.exit(1),
      );
  });
  process.once("disconnect", () => process.exit(0));
}
