/**
 * One schedule of the ledger alone: many at once who have drafts written, signatures recorded and entries put in order, in an order
 * that is drawn, while commits and syncs meet their fates, and processes and the power end. Of an issuer there is its rules alone: what
 * was intended is signed and recorded, and whoever asks again is given what there is.
 */
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { generateKey, toSigner } from "../../src/custody/key.ts";
import type { Signer } from "../../src/custody/signer.ts";
import { Refusal } from "../../src/errors.ts";
import type { Sync, Write } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import type { Intended, Intent } from "../../src/ledger/ledger.ts";
import type { Mark } from "../../src/ledger/mark.ts";
import type { Sequencer } from "../../src/ledger/sequencer.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { act, draft, sha256 } from "../contract/drafts.ts";
import { openRandom, type Random } from "../support/random.ts";
import { type Disk, makeDisk } from "./disk.ts";
import { fates as allFates, type Cell, drawFates, type Fates } from "./fate.ts";
import type { Report } from "./schedule.ts";
import { type Turns, takeTurns } from "./turns.ts";

const opsMin = 10;
const opsMax = 60;
const slowMs = 5000;
const syncMs = 10;
/** How long a signature waits for another write: long and short beside a sync. */
const delays = [1, 5, 20, 200] as const;
/** Of schedules: that a process ends with the power, and what was not durable is gone. */
const powerOften = 0.25;
const start = Date.parse("2026-11-21T11:00:00Z");

/** What the ledger writes, and its one way to have it durable. The database's refusal is the other schedules' matter: nothing is begun then. */
const writes = ["epoch", "intend", "record", "place", "head", "state", "sync"] as const;
const names = new Set<string>(writes);
export const ledgerCells: readonly Cell[] = writes.flatMap((write) =>
  allFates.flatMap((fate) => (fate === "refused" ? [] : [{ write, fate }])),
);

/** What every schedule begins with: an empty ledger, and its key. */
export interface LedgerTemplate extends Disposable {
  readonly disk: Disk;
  readonly signer: Signer;
}

export async function makeLedgerTemplate(): Promise<LedgerTemplate> {
  const signer = toSigner(await generateKey("P-256"), "ledger");
  const disk = makeDisk();
  await using database = await openSqlite({ path: disk.database, now: () => new Date(start), create: true });
  await using _ = await database.startSequencer(signer, { intervalMs: 1e9 });
  return { disk, signer, [Symbol.dispose]: () => disk[Symbol.dispose]() };
}

export async function runLedgerSchedule(seed: number, { disk: from, signer }: LedgerTemplate): Promise<Report> {
  const random = openRandom(seed);
  const cell = ledgerCells[seed % ledgerCells.length];
  const fates = drawFates(random, cell);
  const book: Book = {
    faults: [],
    held: new Map(),
    ofKey: new Map(),
    given: new Map(),
    recorded: new Map(),
    marks: [],
  };
  const steps: string[] = [];
  using disk = makeDisk(from);
  using turns = takeTurns(random);
  const parts = { disk, turns, random, fates, book, signer, steps };
  try {
    for (let lives = 0; lives < 2 || !fates.hit(); lives += 1) {
      if (lives > livesMax) return { faults: [`${cell?.write} was never ${cell?.fate}`], steps, met: fates.met };
      await live(parts);
    }
    fates.end();
    await judge(parts);
  } catch (error) {
    book.faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return { faults: book.faults, steps, met: fates.met };
}

const livesMax = 50;

/** What the world outside knows; serials in hex. */
interface Book {
  readonly faults: string[];
  /** Promised to somebody. */
  readonly held: Map<string, Uint8Array>;
  readonly ofKey: Map<string, string>;
  /** The signature that the ledger has given out: it has no other from then on. */
  readonly given: Map<string, Uint8Array>;
  /** Handed to this process to be recorded, the first of each. */
  readonly recorded: Map<string, Uint8Array>;
  readonly marks: Mark[];
}

interface Parts {
  readonly disk: Disk;
  readonly turns: Turns;
  readonly random: Random;
  readonly fates: Fates;
  readonly book: Book;
  readonly signer: Signer;
  readonly steps: string[];
}

/** A process, from its start to its end in good order, a kill or a loss of power. */
async function live(parts: Parts): Promise<void> {
  const { turns, random, book, steps, fates } = parts;
  book.recorded.clear();
  const process = openProcess(parts);
  const life = await process.start();
  if (life === undefined) return void steps.push("a start that did not get far");
  const begun: Promise<void>[] = [];
  for (let left = opsMin + random.below(opsMax - opsMin); left > 0 && !process.dead(); left -= 1) {
    begun.push(begin(life, parts));
    while (!process.dead() && random.next() < 0.5) await turns.turn();
  }
  // Some end with everybody answered, some with work under way.
  if (random.next() < 0.5) await turns.until(Promise.race([Promise.all(begun), process.died]));
  if (!process.dead() && random.next() < 0.5) process.kill();
  const killed = process.dead();
  if (killed) turns.clear();
  await turns.until(life.end());
  await turns.until(Promise.all(begun));
  const dropped = life.database.counts().recordsDropped;
  steps.push(`${killed ? "killed" : `ended, ${dropped} signatures dropped`}, ${[...fates.met.keys()].join(", ")}`);
  if (killed && process.losesPower) process.losePower();
  if (killed || process.dead() || dropped > 0) book.recorded.clear();
  await look(parts);
}

interface Life {
  readonly database: Database;
  readonly sequencer: Sequencer;
  /** Nobody hears any more what it answers. */
  readonly dead: () => boolean;
  /** It takes nothing any more. */
  readonly ended: () => boolean;
  end(): Promise<void>;
}

function openProcess({ disk, turns, random, fates, signer }: Parts) {
  const losesPower = random.next() < powerOften;
  const files = ["", "-wal"].map((suffix) => [disk.database + suffix, `${disk.database}.durable${suffix}`] as const);
  let [snapshots, newest] = [0, 0];
  /** What there is now is durable, from when the returned function is called. */
  const snapshot = (): (() => void) => {
    if (!losesPower) return () => undefined;
    // Of two that are under way at once the newer has all that the older has.
    const number = (snapshots += 1);
    for (const [path, durable] of files) copyOrRemove(path, `${durable}.${number}`);
    return () => {
      for (const [, durable] of files) {
        if (number > newest) copyOrRemove(`${durable}.${number}`, durable);
        rmSync(`${durable}.${number}`, { force: true });
      }
      newest = Math.max(newest, number);
    };
  };
  let dead = false;
  const { promise: died, resolve } = Promise.withResolvers<void>();
  const die = (): void => {
    dead = true;
    resolve();
  };
  const fail = (): never => {
    throw new Error("the disk is away");
  };
  const happens = (name: string): "before" | "after" | undefined => {
    if (dead) fail();
    const fate = names.has(name) ? fates.of(name) : "done";
    if (fate === "slow") turns.pass(slowMs);
    if (fate === "killed before" || fate === "killed after") die();
    if (fate === "done" || fate === "slow") return undefined;
    return fate === "lost" || fate === "killed before" ? "before" : "after";
  };
  const write: Write = (name, commit) => {
    const fault = happens(name);
    if (fault === "before") fail();
    commit();
    // Those are durable when they return; the others are when a sync says so.
    if (!["intend", "record", "place"].includes(name)) snapshot()();
    if (fault === "after") fail();
  };
  const sync: Sync = async () => {
    const isDurable = snapshot();
    const fault = happens("sync");
    if ((await turns.outside(syncMs)) === "given up" || dead || fault === "before") fail();
    isDurable();
    if (fault === "after") fail();
  };
  const recordDelayMs = random.pick(delays);
  const now = (): Date => new Date(start + Math.floor(turns.now()));
  return {
    losesPower,
    dead: () => dead,
    died,
    kill: die,
    losePower: () => {
      for (const [path, durable] of files) copyOrRemove(durable, path);
      rmSync(`${disk.database}-shm`, { force: true });
    },
    /** Undefined where it did not get so far. */
    start: async (): Promise<Life | undefined> => {
      const database = await openSqlite({ path: disk.database, now, create: false, recordDelayMs, write, sync });
      snapshot()();
      let ended = false;
      const end = async (): Promise<void> => {
        ended = true;
        await database[Symbol.asyncDispose]();
      };
      try {
        const sequencer = await database.startSequencer(signer, { intervalMs: 1e9 });
        return { database, sequencer, dead: () => dead, ended: () => ended, end };
      } catch (error) {
        await turns.until(end());
        if (error instanceof Refusal && error.code === "unavailable") return undefined;
        throw error;
      }
    },
  };
}

function copyOrRemove(from: string, to: string): void {
  if (existsSync(from)) copyFileSync(from, to);
  else rmSync(to, { force: true });
}

/** Something that somebody asks of the ledger, and what comes of it some turns later. */
async function begin(life: Life, parts: Parts): Promise<void> {
  const { book, random } = parts;
  const { database, sequencer } = life;
  const drawn = random.next();
  const asked = async (): Promise<void> => {
    if (drawn < 0.6) return await ask(life, parts);
    if (drawn < 0.72) return await sequencer.sequence();
    if (drawn < 0.85) return await database.state.act(act());
    const mark = await database.marks.newest();
    if (mark !== undefined && !life.dead()) book.marks.push(mark);
  };
  await asked().catch((error: unknown) => {
    if (life.dead() || (error instanceof Refusal && ["unavailable", "overloaded"].includes(error.code))) return;
    book.faults.push(`refused, and not as an outage does: ${error instanceof Error ? error.stack : String(error)}`);
  });
}

/** As an issuer asks: what is intended is signed, and what is there already is given again. */
async function ask(life: Life, { book, random, turns }: Parts): Promise<void> {
  const drafts = Array.from({ length: 1 + random.below(3) }, () => {
    const key = random.next() < 0.6 ? `uid-${random.below(6)}` : undefined;
    return draft(key === undefined ? {} : { idempotency: { key, digest: sha256(key) } });
  });
  // Recorded before this asks: what is replayed has it.
  const recorded = new Map(book.recorded);
  const answers = await life.database.ledger.intend(drafts);
  for (const answer of answers) {
    if (life.dead()) return;
    const signature = take(answer, recorded, book);
    if (signature !== undefined || !("intent" in answer)) continue;
    if (random.next() < 0.3) await turns.outside(syncMs);
    if (life.dead() || life.ended() || random.next() < 0.1) return;
    record(answer.intent, life, book);
  }
}

function record(intent: Intent, { database }: Life, book: Book): void {
  const serial = toHex(intent.serial);
  // As ECDSA does: another each time.
  const signature = randomBytes(64);
  if (!book.recorded.has(serial)) book.recorded.set(serial, book.given.get(serial) ?? signature);
  database.ledger.record(intent, signature);
}

/** The signature that is there already. */
function take(answer: Intended, recorded: ReadonlyMap<string, Uint8Array>, book: Book): Uint8Array | undefined {
  const { faults, held, ofKey, given } = book;
  if (answer.kind !== "intent" && answer.kind !== "replay") return void faults.push(`answered with ${answer.kind}`);
  const { serial: octets, tbs, idempotency } = answer.intent;
  const serial = toHex(octets);
  const key = idempotency?.key;
  const first = key === undefined ? serial : (ofKey.get(key) ?? serial);
  if (first !== serial) faults.push(`${key} was given ${first}, and then ${serial}`);
  if (key !== undefined) ofKey.set(key, serial);
  held.set(serial, tbs);
  const signature = answer.kind === "replay" ? answer.signature : undefined;
  if (answer.kind === "replay" && signature === undefined && recorded.has(serial))
    faults.push(`${serial} was signed and recorded, and whoever asks again is not given that`);
  if (signature !== undefined) check(serial, signature, given, faults);
  return signature;
}

function check(serial: string, signature: Uint8Array, given: Map<string, Uint8Array>, faults: string[]): void {
  const before = given.get(serial) ?? signature;
  if (!same(before, signature)) faults.push(`${serial} has another signature than it had`);
  given.set(serial, before);
}

/** Between two processes: what was promised is there, and what the last one has written down as it ended. */
async function look({ disk, book, turns }: Parts): Promise<void> {
  const { faults, held, given, recorded, marks } = book;
  const now = (): Date => new Date(start + Math.floor(turns.now()));
  const database = await openSqlite({ path: disk.database, now, create: false });
  for (const [serial, tbs] of held) {
    const found = await database.ledger.findSerial(Buffer.from(serial, "hex"));
    if (found === undefined || !same(found.intent.tbs, tbs))
      faults.push(`the ledger does not have ${serial}, which was promised`);
    else if (found.signature !== undefined) check(serial, found.signature, given, faults);
    else if (recorded.has(serial) || given.has(serial)) faults.push(`the signature of ${serial} is lost`);
  }
  for (const mark of marks)
    if (!(await database.marks.has(mark))) faults.push(`entry ${mark.entry} was told, and is not there`);
  await database[Symbol.asyncDispose]();
}

/** With nothing failing any more. */
async function judge(parts: Parts): Promise<void> {
  const { book, turns } = parts;
  const process = openProcess(parts);
  const life = await process.start();
  if (life === undefined) return void book.faults.push("it does not start in the end");
  const { ledger } = life.database;
  await turns.until(ask(life, parts));
  await turns.until(life.sequencer.sequence());
  for await (const { log, faults } of ledger.verify())
    for (const fault of faults) book.faults.push(`the log ${log} does not verify: ${fault}`);
  for await (const { id, position } of ledger.entries({ limit: 1e6 }))
    if (position === undefined) book.faults.push(`entry ${id} has no place in the end`);
  await turns.until(life.end());
  await look(parts);
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
