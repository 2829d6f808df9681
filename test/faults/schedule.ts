/** One schedule: a disk, and the lives of an issuer on it, until faults end and the last life is judged. */
import { createSealingKey } from "../../src/custody/sealing-key.ts";
import { openRandom, type Random } from "../support/random.ts";
import { type Book, openBook } from "./book.ts";
import { type Disk, makeDisk } from "./disk.ts";
import { type Cell, drawFates, type Fates } from "./fate.ts";
import { judgeDisk, judgeMade } from "./judge.ts";
import { type Birth, type Clock, type Founding, type Life, openClock, openLife } from "./life.ts";
import { declaredAs, found, furnish, start } from "./mesh.ts";
import { answer } from "./offline.ts";
import { attempt, isOutage, minuteMs, type Scene } from "./scene.ts";
import { cells, drawStep, founding, type Step, sealing, stepOf } from "./steps.ts";

/** Steps that the process ends with, so that nobody hears that they are done. */
const mortal: ReadonlySet<string> = new Set(["end", "start", "adoption"]);
/** In each schedule, after the write that it is about. */
const stepsMin = 2;
const stepsMax = 9;
/** Of schedules that are about a write of everyday life: those whose keys are in the database. */
const sealedOften = 0.1;
/** Of steps: that the process is killed between two writes. */
const killedOften = 0.03;

export interface Report {
  /** Empty when all holds. */
  readonly faults: readonly string[];
  readonly steps: readonly string[];
  readonly met: ReadonlyMap<string, number>;
}

/** What schedules begin with: disks with a hub in its first hour, its keys in files or sealed in its database. */
export interface Templates extends Disposable {
  readonly files: Disk;
  readonly sealed: Disk;
  readonly opened: Birth["opened"];
}

export async function makeTemplates(): Promise<Templates> {
  const opened: Birth["opened"] = new Map();
  const [files, sealed] = [makeDisk(), makeDisk()];
  await createSealingKey(sealed.sealingKey);
  for (const disk of [files, sealed]) {
    const fates = drawFates(openRandom(0));
    fates.end();
    await using stage = new AsyncDisposableStack();
    const { scene, birth } = openStage(disk, fates, openRandom(0), opened);
    const life = await openLife(birth, async (parts) => {
      await found(parts);
      await furnish(parts);
    });
    stage.defer(async () => await life.end());
    for (const request of await life.state.authorityRequests()) await answer(request, scene(life));
  }
  return {
    files,
    sealed,
    opened,
    [Symbol.dispose]: () => {
      files[Symbol.dispose]();
      sealed[Symbol.dispose]();
    },
  };
}

/** Each is about one cell of the matrix, one after the other; the rest of it is chance. */
export function cellOf(seed: number): Cell {
  const cell = cells[seed % cells.length];
  if (cell === undefined) throw new Error("the matrix is empty");
  return cell;
}

export async function runSchedule(seed: number, templates: Templates): Promise<Report> {
  const random = openRandom(seed);
  const cell = cellOf(seed);
  const bare = founding.includes(cell.write);
  const sealed = sealing.includes(cell.write) || random.next() < sealedOften;
  using disk = makeDisk(bare ? undefined : sealed ? templates.sealed : templates.files);
  const fates = drawFates(random, cell);
  const stage = openStage(disk, fates, random, templates.opened);
  const { book } = stage;
  try {
    await runLives(stage, cell, bare);
  } catch (error) {
    book.faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return { faults: book.faults, steps: book.steps, met: fates.met };
}

interface Stage {
  readonly birth: Birth;
  readonly book: Book;
  readonly fates: Fates;
  readonly random: Random;
  readonly clock: Clock;
  scene(life: Life): Scene;
}

function openStage(disk: Disk, fates: Fates, random: Random, opened: Birth["opened"]): Stage {
  const book = openBook();
  const clock = openClock(start);
  const documents = { edited: { mint: false, forge: false } };
  const signed = (bytes: Uint8Array): void => void book.signed.push(bytes);
  const birth = { disk, fates, clock, declared: () => declaredAs(documents.edited), opened, signed };
  return {
    birth,
    book,
    fates,
    random,
    clock,
    scene: (life) => ({ life, book, random, clock, disk, fates, documents }),
  };
}

async function runLives(stage: Stage, cell: Cell, bare: boolean): Promise<void> {
  const { birth, book, fates, random, scene } = stage;
  let life = await beBorn(birth, book, bare ? found : undefined);
  const next = async (): Promise<void> => {
    await life.end();
    life = await beBorn(birth, book);
  };
  /** Whether it was done. */
  const take = async ({ name, take: work }: Step): Promise<boolean> => {
    const done = await attempt(name, scene(life), async () => await work(scene(life)));
    if (random.next() < killedOften) life.kill();
    if (life.dead()) await next();
    await judgeMade(scene(life));
    return done;
  };
  // A hub that is made under faults: its operator types the verbs again until they are done.
  for (let done = !bare; !done; ) {
    done = await attempt("first verbs", scene(life), async () => {
      await furnish(life);
      await life.live.refresh();
    });
    if (life.dead()) await next();
  }
  await fates.calm(async () => await judgeMade(scene(life)));

  const about = stepOf(cell);
  if (about !== undefined) {
    await take(about);
    // What it was stopped in is done by the next try, or was done.
    const again = async (): Promise<boolean> => await take(about);
    if (!(await fates.calm(again)) && !mortal.has(about.name))
      book.faults.push(`${about.name} is not done by the next try`);
  }
  for (let left = stepsMin + random.below(stepsMax - stepsMin); left > 0; left -= 1) await take(drawStep(scene(life)));
  // What is written as a process ends may not have been written yet.
  if (!fates.hit()) await next();
  if (!fates.hit()) book.steps.push(`${cell.write} was not ${cell.fate}`);
  fates.end();
  await next();
  stage.clock.pass(minuteMs);
  await judgeDisk(scene(life));
  await life.end();
}

/** Starts it until it has started: what restarts it is not ours to test. */
async function beBorn(birth: Birth, book: Book, first?: (parts: Founding) => Promise<void>): Promise<Life> {
  for (;;) {
    try {
      return await openLife(birth, first);
    } catch (error) {
      if (!isOutage(error)) throw error;
      book.steps.push("a start that did not get far");
    }
  }
}
