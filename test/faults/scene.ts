/** Where a step takes place, and what comes of it. */
import { createHash, randomUUID } from "node:crypto";
import { Refusal } from "../../src/errors.ts";
import { type Act, hubLog } from "../../src/ledger/ledger.ts";
import type { Random } from "../support/random.ts";
import type { Book } from "./book.ts";
import type { Disk } from "./disk.ts";
import type { Fates } from "./fate.ts";
import { type Clock, Killed, type Life } from "./life.ts";
import { declaredAs, type Edited } from "./mesh.ts";

export interface Scene {
  readonly life: Life;
  readonly book: Book;
  readonly random: Random;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly fates: Fates;
  /** The documents that are declared. */
  readonly documents: { edited: Edited };
}

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;

/** True when it was done, and whoever asked was told so. What fails as an outage does is no fault; anything else is. */
export async function attempt(name: string, { life, book }: Scene, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    book.steps.push(`${name}: ${life.dead() ? "killed" : "done"}`);
    return !life.dead();
  } catch (error) {
    book.steps.push(`${name}: ${life.dead() ? "killed" : describe(error)}`);
    if (!life.dead() && !isOutage(error))
      book.faults.push(`${name} failed, and not as an outage does: ${describe(error)}`);
    return false;
  }
}

export function isOutage(error: unknown): boolean {
  return error instanceof Killed || (error instanceof Refusal && error.code === "unavailable");
}

export function describe(error: unknown): string {
  if (error instanceof Refusal) return `${error.code}: ${error.message}`;
  return error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
}

/** What the wire makes of an operator's `--reason`: each has one of its own, so that the ledger shows whether the act is there. */
export function toBy(): Pick<Act, "operator" | "reason"> {
  return { operator: "unix:ada", reason: randomUUID() };
}

export function toAct(verb: string, name: string): Act {
  return { log: hubLog, verb, ...toBy(), details: { name } };
}

/** An operator's verb: where it is told to have changed something, its act is in the ledger. */
export async function say<T extends { readonly changed?: boolean }>(
  { life, book }: Scene,
  verb: (act: Pick<Act, "operator" | "reason">) => Promise<T>,
): Promise<T> {
  const act = toBy();
  const answer = await verb(act);
  if (!life.dead() && answer.changed !== false) book.told.add(act.reason);
  return answer;
}

/** Does it where made state is so that it can be done. */
export async function whereReady<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal && error.code === "not-ready") return undefined;
    throw error;
  }
}

/** Whether a step that may leave something as it is goes to its end: always while a schedule's own write is still to come. */
export function isWhole({ fates, random }: Scene): boolean {
  return random.next() < 0.5 || !fates.hit();
}

/** Puts documents into force, as an issuer does that has read them. */
export async function edit({ life, documents }: Scene, edited: Partial<Edited>): Promise<void> {
  documents.edited = { ...documents.edited, ...edited };
  await life.live.declare(declaredAs(documents.edited));
}

export function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
