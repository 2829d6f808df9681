/** A process that is started again at once whenever it ends, and its log in a file. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

export interface Member extends AsyncDisposable {
  readonly name: string;
  kill(): void;
  /** Waits for a line with this event, of whichever life. */
  event(name: string): Promise<void>;
  /** How it ended when nobody had killed it. */
  readonly endings: readonly string[];
}

const waitMsMax = 60_000;
/** A process that ends by itself is not started again faster than this. */
const pauseMs = 1000;

/** `command` is what node is given: its flags, our main file and a verb. */
export function startMember(name: string, command: readonly string[], logFile: string): Member {
  const endings: string[] = [];
  const closing = new AbortController();
  let killed = false;
  let child: ChildProcess | undefined;

  const live = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      const log = openSync(logFile, "a", 0o600);
      killed = false;
      const started = spawn(process.execPath, command, { stdio: ["ignore", log, log] });
      closeSync(log);
      child = started;
      const [code, signal] = await once(started, "exit");
      if (closing.signal.aborted || killed) continue;
      endings.push(`${name} ended by itself: ${code ?? signal}`);
      await delay(pauseMs);
    }
  };
  const living = live();
  return {
    name,
    endings,
    kill: () => {
      killed = true;
      child?.kill("SIGKILL");
    },
    event: async (event) => {
      for (let waited = 0; waited < waitMsMax; waited += 50) {
        if (readFileSync(logFile, "utf8").includes(`"event":"${event}"`)) return;
        await delay(50);
      }
      throw new Error(`${name} did not log "${event}" within ${waitMsMax} ms: see ${logFile}`);
    },
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      child?.kill("SIGKILL");
      await living;
    },
  };
}
