/** What an issuer keeps: its keys, its ledger and its made state. All of it was made by `init`; nothing is made here. */
import type { Custody } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import type { Write } from "../ledger/connection.ts";
import type { Database } from "../ledger/database.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { State } from "../ledger/state.ts";
import type { WriterCounts } from "../ledger/writer.ts";
import type { IssuerConfig } from "../ops/config.ts";
import type { Log } from "../ops/log.ts";
import { openCustody } from "./custody.ts";
import { openDatabase, throughOutages } from "./database.ts";
import { checkHighWater, highWaterFile, startHighWater } from "./high-water.ts";
import { findHubRoot, ledgerKey } from "./hub.ts";

export interface Storage extends AsyncDisposable {
  readonly custody: Custody;
  readonly ledger: Ledger;
  readonly state: State;
  readonly counts: () => WriterCounts;
  /** The epoch under which this issuer puts entries in order; 0 while another does. */
  readonly epoch: () => number;
  readonly follow: Database["follow"];
  readonly unplaced: Database["unplaced"];
  readonly clockAheadSeconds: Database["clockAheadSeconds"];
}

export interface StorageParts {
  readonly now: () => Date;
  readonly log: Log;
  /** Stands around every commit; for tests that make one fail. */
  readonly write?: Write;
}

/** @throws Refusal `config` when something is missing or belongs to another hub. */
export async function openStorage(config: IssuerConfig, parts: StorageParts): Promise<Storage> {
  return await throughOutages(config, parts.log, async () => await open(config, parts));
}

async function open(config: IssuerConfig, { now, log, write }: StorageParts): Promise<Storage> {
  await using stack = new AsyncDisposableStack();
  const seam = write === undefined ? {} : { write };
  const database = stack.use(await openDatabase(config, { now, create: false, ...seam }));
  const custody = stack.use(await openCustody(config, database.state));
  const signer = await custody.openKey(ledgerKey);
  if (findHubRoot(await database.state.authorities(), config) === undefined)
    throw new Refusal("config", `the database has no hub: run "espalier init"`);
  const file = highWaterFile(config);
  await checkHighWater(file, database.marks);
  // Closed after the sequencer, so that its last word is remembered.
  stack.use(startHighWater(file, { marks: database.marks, now, log }));
  const onFault = (error: unknown): void => log.error("entries not sequenced", {}, error);
  const sequencer = stack.use(await database.startSequencer(signer, { onFault }));
  const opened = stack.move();
  return {
    custody,
    ledger: database.ledger,
    state: database.state,
    counts: () => database.counts(),
    epoch: () => sequencer.epoch,
    follow: (changed) => database.follow(changed),
    unplaced: () => database.unplaced(),
    clockAheadSeconds: () => database.clockAheadSeconds(),
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}
