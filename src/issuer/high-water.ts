/**
 * The ledger's high-water mark, remembered in a file outside of the database. Who starts on a database that does not have it has been
 * given an older copy, and would write another history under the numbers of the first: that is refused until an operator gives the
 * first one up.
 */
import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { Refusal } from "../errors.ts";
import type { Mark, Marks } from "../ledger/mark.ts";
import type { IssuerConfig } from "../ops/config.ts";
import type { Log } from "../ops/log.ts";
import { replaceFile } from "../ops/replace-file.ts";

/** A mark, and when it was the newest. */
export interface Remembered extends Mark {
  readonly at: Date;
}

const intervalMsDefault = 10_000;
const grammar = /^entry (?<entry>\d{1,15}) (?<hash>[0-9a-f]{64}) epoch (?<epoch>\d{1,15}) at (?<at>\S{20,24})\n$/;

export function highWaterFile({ highWater, adminSocket }: Pick<IssuerConfig, "highWater" | "adminSocket">): string {
  return highWater ?? `${adminSocket}.newest`;
}

/** @throws Refusal `config` when the database lacks what was remembered of it. */
export async function checkHighWater(file: string, marks: Marks): Promise<void> {
  const lost = await readLost(file, marks);
  if (lost === undefined) return;
  throw new Refusal(
    "config",
    `the database is an older copy, or another one: it lacks ${toText(lost)}. Put the right one in its place; or give up what it lacks, with \`espalier db adopt\` (docs/operating.md, ${file})`,
  );
}

/** What was remembered, is not in the database, and was never given up. */
export async function readLost(file: string, marks: Marks): Promise<Remembered | undefined> {
  const remembered = await readHighWater(file);
  if (remembered === undefined || (await marks.has(remembered))) return undefined;
  return remembered.at <= (await marks.lostUntil()) ? undefined : remembered;
}

export function toText({ entry, at }: Remembered): string {
  return `entry ${entry}, its newest at ${at.toISOString()}`;
}

export interface HighWaterParts {
  readonly marks: Marks;
  readonly now: () => Date;
  readonly log: Log;
}

/** Goes on remembering until it is closed, and then once more. */
export function startHighWater(file: string, parts: HighWaterParts, intervalMs = intervalMsDefault): AsyncDisposable {
  const { marks, now, log } = parts;
  const closing = new AbortController();
  let last: Mark | undefined;

  async function remember(): Promise<void> {
    const newest = await marks.newest();
    if (newest === undefined || (newest.entry === last?.entry && newest.epoch === last.epoch)) return;
    if (last !== undefined && !(await marks.has(last))) {
      // What the file says stays, so that the next start is refused.
      throw new Refusal("config", `the database has lost entry ${last.entry}: it is an older copy`);
    }
    // If we stop before this, the file says what was newest before, which the same history has too.
    await replaceFile(file, toLine(newest, now()), 0o600);
    last = newest;
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      await remember().catch(fail);
      await setTimeout(intervalMs, undefined, closing).catch(() => undefined);
    }
  }

  const fail = (error: unknown): void => log.error("high-water mark not kept", { file }, error);
  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
      await remember().catch(fail);
    },
  };
}

/** @throws Refusal `config` for a file that is not one of these: whoever wrote it, it remembers nothing. */
async function readHighWater(file: string): Promise<Remembered | undefined> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new Refusal("config", `highWater: ${file} cannot be read`, { cause });
  });
  if (text === undefined) return undefined;
  const { entry, hash, epoch, at } = grammar.exec(text)?.groups ?? {};
  if (entry === undefined || hash === undefined || epoch === undefined || at === undefined || !isTime(at))
    throw new Refusal("config", `highWater: ${file} does not say what an issuer would have written`);
  return { entry: Number(entry), leafHash: Buffer.from(hash, "hex"), epoch: Number(epoch), at: new Date(at) };
}

function toLine({ entry, leafHash, epoch }: Mark, at: Date): string {
  return `entry ${entry} ${Buffer.from(leafHash).toString("hex")} epoch ${epoch} at ${at.toISOString()}\n`;
}

function isTime(text: string): boolean {
  return !Number.isNaN(Date.parse(text));
}
