/** One schedule: a disk, and the lives of an issuer on it, until faults end and the last life is judged. */
import { openRandom, type Random } from "../support/random.ts";
import { type Book, openBook } from "./book.ts";
import { type Disk, makeDisk } from "./disk.ts";
import { drawFates } from "./fate.ts";
import { judgeAuthorities, judgeDisk } from "./judge.ts";
import { type Birth, type Founding, type Life, openClock, openLife } from "./life.ts";
import { declared, found, furnish } from "./mesh.ts";
import { attempt, isOutage, type Scene, takeStep } from "./steps.ts";

/** In each schedule. */
const stepsMin = 6;
const stepsMax = 20;
/** Of schedules: those that begin with nothing at all. */
const bareOften = 0.1;
/** Of steps: that the process ends in good order, or is killed between two writes. */
const endOften = 0.05;
const start = new Date("2026-11-21T12:00:00Z");

export interface Report {
  /** Empty when all holds. */
  readonly faults: readonly string[];
  readonly steps: readonly string[];
  readonly met: ReadonlyMap<string, number>;
}

/** What schedules begin with: a disk with a hub in its first hour. */
export interface Template extends Disposable {
  readonly disk: Disk;
  readonly opened: Birth["opened"];
}

export async function makeTemplate(): Promise<Template> {
  const disk = makeDisk();
  const fates = drawFates(openRandom(0));
  fates.end();
  const opened: Birth["opened"] = new Map();
  const birth = { disk, fates, clock: openClock(start), declared, opened, signed: () => {} };
  const life = await openLife(birth, async (parts) => {
    await found(parts);
    await furnish(parts);
  });
  await life.end();
  return { disk, opened, [Symbol.dispose]: () => disk[Symbol.dispose]() };
}

export async function runSchedule(seed: number, template: Template): Promise<Report> {
  const random = openRandom(seed);
  const bare = random.next() < bareOften;
  using disk = makeDisk(bare ? undefined : template.disk);
  const fates = drawFates(random);
  const book = openBook();
  const signed = (bytes: Uint8Array): void => void book.signed.push(bytes);
  try {
    const { opened } = template;
    await runLives({ disk, fates, clock: openClock(start), declared, opened, signed }, bare, random, book);
  } catch (error) {
    book.faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return { faults: book.faults, steps: book.steps, met: fates.met };
}

async function runLives(birth: Birth, bare: boolean, random: Random, book: Book): Promise<void> {
  const { disk, fates, clock } = birth;
  let life = await beBorn(birth, book, bare ? found : undefined);
  const scene = (): Scene => ({ life, book, random, clock });
  const next = async (): Promise<void> => {
    await life.end();
    life = await beBorn(birth, book);
  };
  // A hub that is made under faults: its operator types the verbs again until they are done.
  const verbs = async (): Promise<void> => {
    await furnish(life);
    await life.live.refresh();
  };
  for (let done = !bare; !done; ) {
    done = await attempt("first verbs", scene(), verbs);
    if (life.dead()) await next();
  }

  for (let left = stepsMin + random.below(stepsMax - stepsMin); left > 0; left -= 1) {
    {
      using _ = fates.refuses() ? disk.lock() : undefined;
      await takeStep(scene());
    }
    if (random.next() < endOften) life.kill();
    if (life.dead() || random.next() < endOften) await next();
    await judgeAuthorities(life, book);
  }
  fates.end();
  await next();
  await judgeDisk(scene());
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
