/** An issuer as a process of its own, which kills itself around a durable write. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { WriteName } from "../../src/ledger/connection.ts";
import { compiled } from "./processes.ts";
import type { Site } from "./site.ts";

/** Around a write. */
export const moments = ["before", "after"] as const;
export type Moment = (typeof moments)[number];

export interface Child {
  readonly process: ChildProcess;
  /** Missing when it died before it served. */
  readonly port: string;
  /** From when this returns it dies at the next such write. */
  arm(): Promise<void>;
  readonly dead: Promise<unknown>;
}

/** `nth` as `dying-issuer.ts` has it. */
export async function spawnIssuer(
  site: Site,
  listen: string,
  name: WriteName | "none",
  moment: Moment,
  nth = "",
  aheadSeconds?: number,
): Promise<Child> {
  const file = join(site.directory, "issuer.json");
  writeFileSync(file, JSON.stringify({ ...site.config, listen }));
  const script = join(import.meta.dirname, "dying-issuer.ts");
  const child = spawn(process.execPath, [script, file, name, moment, nth, String(aheadSeconds ?? "")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...compiled },
  });
  child.stdin.on("error", () => {});
  const dead = once(child, "exit");
  const said = await Promise.race([once(child.stdout, "data"), dead]);
  return {
    process: child,
    port: said[0] instanceof Buffer ? said[0].toString().trim() : "",
    arm: async () => {
      const answered = once(child.stdout, "data");
      child.stdin.write("now\n");
      await answered;
    },
    dead,
  };
}
