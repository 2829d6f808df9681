/** The one database of an issuer: the ledger, what was made, and who may put the ledger's entries in order. */
import type { Signer } from "../custody/signer.ts";
import type { Ledger } from "./ledger.ts";
import type { Marks } from "./mark.ts";
import type { Sequencer, SequencerOptions } from "./sequencer.ts";
import type { State } from "./state.ts";
import type { WriterCounts } from "./writer.ts";

export interface Database extends AsyncDisposable {
  readonly ledger: Ledger;
  readonly state: State;
  readonly marks: Marks;
  /**
   * Takes a new epoch, which fences whoever had one before, and places entries and signs heads until it is closed, is
   * fenced itself or the database is closed.
   * @throws Refusal `config` when the ledger's heads were signed by another key, `unavailable` when the database is away.
   */
  startSequencer(signer: Signer, options?: SequencerOptions): Promise<Sequencer>;
  counts(): WriterCounts;
  /** Entries that wait for a position. */
  unplaced(): Promise<number>;
  /** How far this machine's clock was ahead of the database's with the last write, in seconds; 0 where there is only one clock. */
  clockAheadSeconds(): number;
  /** Calls when somebody has written made state, this replica or another, and again where that fails; never where no other can. */
  follow(changed: () => Promise<void>): Following;
}

export interface Following extends AsyncDisposable {
  /** For how long it has not been known whether anything is new that was not taken, in milliseconds. */
  behindMs(): number;
}
