/** One life of an issuer, from its start to its end or its death: all of it but the wire, on a disk that outlives it. */
import { randomBytes } from "node:crypto";
import { openFileCustody } from "../../src/custody/file.ts";
import type { Custody, Signer } from "../../src/custody/signer.ts";
import { Refusal } from "../../src/errors.ts";
import type { IssueParts } from "../../src/issuer/issue.ts";
import { type LiveWorld, openLive } from "../../src/issuer/live.ts";
import { openQuotas } from "../../src/issuer/quota.ts";
import type { Write } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import type { Sequencer } from "../../src/ledger/sequencer.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { State } from "../../src/ledger/state.ts";
import { type Log, silentLog } from "../../src/ops/log.ts";
import type { Declared } from "../../src/resources/declared.ts";
import type { Disk } from "./disk.ts";
import type { DurableWrite, Fates } from "./fate.ts";

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

export interface Life extends IssueParts {
  readonly state: State;
  readonly custody: Custody;
  readonly log: Log;
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
  readonly declared: Declared;
  /** Keys that were read from their files: those never change. */
  readonly opened: Map<string, Signer>;
  /** Told of everything that a key signs, but the ledger's own. */
  readonly signed: (bytes: Uint8Array) => void;
}

/** Nothing is put in order but when a step says so. */
const manual = { intervalMs: 1e6 };
/** How long a slow write takes, in milliseconds: longer than a request waits. */
const slowMs = 25_000;

/** What whoever asked a process sees that was killed meanwhile. */
export class Killed extends Error {}

/** `first`, where there may be nothing yet: it makes what an operator's `init` makes. */
export async function openLife(birth: Birth, first?: (parts: Founding) => Promise<void>): Promise<Life> {
  const { disk, fates, clock, declared } = birth;
  const { now } = clock;
  let dead = false;
  await using stack = new AsyncDisposableStack();
  const happens = (write: DurableWrite): "before" | "after" | undefined => {
    if (dead) throw new Killed();
    switch (fates.of(write)) {
      case "done":
        return undefined;
      case "slow":
        clock.pass(slowMs);
        return undefined;
      case "lost":
        return "before";
      case "kept":
        return "after";
      case "killed before":
        dead = true;
        return "before";
      case "killed after":
        dead = true;
        return "after";
    }
  };
  const fail = (): never => {
    throw dead ? new Killed() : new Refusal("unavailable", "the disk is away");
  };
  const write: Write = (name, commit) => {
    const fault = happens(name);
    if (fault === "before") fail();
    commit();
    if (fault === "after") fail();
  };

  const files = await openFileCustody({ directory: disk.keys });
  const custody: Custody = {
    openKey: async (name) => {
      const path = `${disk.keys}/${name}`;
      const signer = birth.opened.get(path) ?? (await files.openKey(name));
      birth.opened.set(path, signer);
      return toWatched(name, signer, birth);
    },
    createKey: async (name, algorithm) => {
      const fault = happens("key");
      if (fault === "before") fail();
      const signer = toWatched(name, await files.createKey(name, algorithm), birth);
      if (fault === "after") fail();
      return signer;
    },
  };
  const parts = { path: disk.database, now, create: first !== undefined, recordDelayMs: 1e6, busyTimeoutMs: 1, write };
  const database = stack.use(await openSqlite(parts));
  const { state, ledger } = database;
  const random = (n: number): Uint8Array => randomBytes(n);
  const log = silentLog;
  await first?.({ state, custody, now, random });
  const sequencer = await database.startSequencer(await custody.openKey(ledgerKeyName), manual);
  const live = stack.use(await openLive({ hub, declared, state, custody, now, log }));
  const opened = stack.move();
  return {
    database,
    state,
    custody,
    ledger,
    sequencer,
    live,
    now,
    random,
    log,
    quotas: openQuotas(),
    world: () => live.world(),
    dead: () => dead,
    kill: () => {
      dead = true;
    },
    end: async () => await opened.disposeAsync(),
  };
}

export type Founding = Pick<Life, "state" | "custody" | "now" | "random">;

function toWatched(name: string, signer: Signer, { signed }: Birth): Signer {
  if (name === ledgerKeyName) return signer;
  return {
    ...signer,
    sign: async (bytes) => {
      signed(bytes);
      return await signer.sign(bytes);
    },
  };
}
