/** One life of an issuer, from its start to its end or its death: all of it but the wire, on a disk that outlives it. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { openFileCustody } from "../../src/custody/file.ts";
import { openSealedCustody } from "../../src/custody/sealed.ts";
import type { Custody, MovableCustody, Signer } from "../../src/custody/signer.ts";
import { Refusal } from "../../src/errors.ts";
import type { IssueParts } from "../../src/issuer/issue.ts";
import { type LiveWorld, openLive } from "../../src/issuer/live.ts";
import type { OperatorParts } from "../../src/issuer/operators.ts";
import { openQuotas } from "../../src/issuer/quota.ts";
import type { RotationVerbParts } from "../../src/issuer/rotation-verbs.ts";
import { openRotations } from "../../src/issuer/rotations.ts";
import type { Write } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import type { Sequencer } from "../../src/ledger/sequencer.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { State } from "../../src/ledger/state.ts";
import { silentLog } from "../../src/ops/log.ts";
import { openMetrics } from "../../src/ops/metrics.ts";
import type { Declared } from "../../src/resources/declared.ts";
import type { Disk } from "./disk.ts";
import type { Fates } from "./fate.ts";
import { type Gate, isUnavailable, nameOfCommit, watchState } from "./watched-state.ts";

export const hub = "hub.example";
export const ledgerKeyName = "ledger";

/** Time goes on when a step says so, or a write is slow. */
export interface Clock {
  now(): Date;
  pass(milliseconds: number): void;
}

export function openClock(start: Date): Clock {
  let at = +start;
  return {
    now: () => new Date(at),
    pass: (milliseconds) => {
      at += milliseconds;
    },
  };
}

/** Everything that a verb of operators may want, and what stands around it. */
export interface Life extends IssueParts, OperatorParts, RotationVerbParts {
  readonly live: LiveWorld;
  readonly database: Database;
  readonly sequencer: Sequencer;
  /** Killed: whatever it answers from now on, nobody hears. */
  dead(): boolean;
  kill(): void;
  /** In good order, as far as it gets. */
  end(): Promise<void>;
}

export interface Birth {
  readonly disk: Disk;
  readonly fates: Fates;
  readonly clock: Clock;
  readonly declared: () => Declared;
  /** Keys that were read from their files: those never change. */
  readonly opened: Map<string, Signer>;
  /** Told of everything that a key signs, but the ledger's own. */
  readonly signed: (bytes: Uint8Array) => void;
}

/** Nothing is put in order but when a step says so. */
const manual = { intervalMs: 1e6 };
/** How long a slow write takes, in milliseconds: longer than a request waits. */
const slowMs = 25_000;
/** A gate of a rotation waits as long, after the last that it waited for. */
const settleSeconds = 300;
const metrics = openMetrics({ process: "issuer" });

/** What whoever asked a process sees that was killed meanwhile. */
export class Killed extends Error {}

/** `first`, where there may be nothing yet: it makes what an operator's `init` makes. */
export async function openLife(birth: Birth, first?: (parts: Founding) => Promise<void>): Promise<Life> {
  const { disk, fates, clock, declared } = birth;
  const { now } = clock;
  const mortal = openMortal(birth);
  await using stack = new AsyncDisposableStack();

  const parts = { path: disk.database, now, recordDelayMs: 1e6, busyTimeoutMs: 1, write: mortal.write };
  const open = async (): Promise<Database> => await openSqlite({ ...parts, create: first !== undefined });
  const database = stack.use(await (first === undefined ? open() : mortal.gate("migrate", open)));
  const state = watchState(database.state, mortal.gate);
  const ledger = {
    ...database.ledger,
    intend: async (drafts: Parameters<Database["ledger"]["intend"]>[0]) =>
      await mortal.gate("intend", async () => await database.ledger.intend(drafts)),
  };
  const custody = await openKeys(birth, state, mortal);
  const random = (n: number): Uint8Array => randomBytes(n);
  const log = silentLog;
  await first?.({ state, custody, now, random });
  const signer = await custody.openKey(ledgerKeyName);
  const sequencer = await mortal.gate("epoch", async () => await database.startSequencer(signer, manual));
  const live = stack.use(await openLive({ hub, declared: declared(), state, custody, now, log }));
  const rotations = openRotations({ state, declared, settleSeconds, now, log });
  const opened = stack.move();
  return {
    database,
    state,
    custody,
    ledger,
    sequencer: {
      ...sequencer,
      sequence: async () => await mortal.gate("place", async () => await sequencer.sequence()),
    },
    live,
    rotations,
    metrics,
    now,
    random,
    log,
    quotas: openQuotas(),
    world: () => live.world(),
    dead: mortal.dead,
    kill: mortal.kill,
    end: async () => {
      // Signatures that nobody has written yet are written now; while the database refuses, they are given up.
      using _ = fates.refuses("record") && database.counts().recordsQueued > 0 ? disk.lock() : undefined;
      if (_ !== undefined) fates.refused("record");
      await opened.disposeAsync();
    },
  };
}

export type Founding = Pick<Life, "state" | "custody" | "now" | "random">;

/** A process that its durable writes may be the end of. */
interface Mortal {
  readonly write: Write;
  readonly gate: Gate;
  /** Runs a write that is not the database's. */
  key<T>(make: () => Promise<T>): Promise<T>;
  dead(): boolean;
  kill(): void;
}

/** Writes that follow another in one call, and can be refused after that was taken. */
const following: Readonly<Record<string, string>> = { place: "head", "prune-bodies": "pruned bodies" };

function openMortal({ fates, clock, disk }: Birth): Mortal {
  let dead = false;
  let locked: Disposable | undefined;
  let next: string | undefined;
  const happens = (name: string): "before" | "after" | undefined => {
    if (dead) throw new Killed();
    const fate = fates.of(name);
    if (fate === "slow") clock.pass(slowMs);
    if (fate === "killed before" || fate === "killed after") dead = true;
    if (fate === "done" || fate === "slow") return undefined;
    return fate === "lost" || fate === "killed before" ? "before" : "after";
  };
  const fail = (): never => {
    throw dead ? new Killed() : new Refusal("unavailable", "the disk is away");
  };
  const between = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    next = name;
    try {
      return await work();
    } finally {
      next = undefined;
      locked?.[Symbol.dispose]();
      locked = undefined;
    }
  };
  return {
    write: (name, commit) => {
      const fault = happens(name === "state" ? nameOfCommit() : name);
      if (fault === "before") fail();
      commit();
      if (fault === "after") fail();
      if (next === undefined || locked !== undefined || !fates.refuses(next)) return;
      locked = disk.lock();
      fates.refused(next);
    },
    gate: async (name, call) => {
      if (dead) throw new Killed();
      const then = following[name];
      if (!fates.refuses(name)) return then === undefined ? await call() : await between(then, call);
      using _ = disk.lock();
      try {
        return await call();
      } catch (error) {
        if (isUnavailable(error)) fates.refused(name);
        throw error;
      }
    },
    key: async (make) => {
      const fault = happens("key");
      if (fault === "before") fail();
      const made = await make();
      if (fault === "after") fail();
      return made;
    },
    dead: () => dead,
    kill: () => {
      dead = true;
    },
  };
}

/** In files, or sealed in the database where this disk has a sealing key. */
async function openKeys(birth: Birth, state: State, mortal: Mortal): Promise<Custody> {
  const { disk, opened } = birth;
  if (existsSync(disk.sealingKey)) return toWatched(await openSealedCustody(disk.sealingKey, state), birth);
  const files = await openFileCustody({ directory: disk.keys });
  return toWatched(
    {
      ...files,
      openKey: async (name) => {
        const path = `${disk.keys}/${name}`;
        const signer = opened.get(path) ?? (await files.openKey(name));
        opened.set(path, signer);
        return signer;
      },
      createKey: async (name, algorithm) => await mortal.key(async () => await files.createKey(name, algorithm)),
      importKey: async (name, pkcs8) => await mortal.key(async () => await files.importKey(name, pkcs8)),
    },
    birth,
  );
}

function toWatched({ openKey, createKey, importKey }: MovableCustody, { signed }: Birth): Custody {
  const watch = (name: string, signer: Signer): Signer => {
    if (name === ledgerKeyName) return signer;
    const sign = async (bytes: Uint8Array): Promise<Uint8Array> => {
      signed(bytes);
      return await signer.sign(bytes);
    };
    return { ...signer, sign };
  };
  return {
    openKey: async (name) => watch(name, await openKey(name)),
    createKey: async (name, algorithm) => watch(name, await createKey(name, algorithm)),
    importKey: async (name, pkcs8) => watch(name, await importKey(name, pkcs8)),
  };
}
