/**
 * How far a ledger has come, in a few bytes that can be remembered outside of it. Entries are never taken away, so the history that a
 * mark was taken from has it for ever, and an older copy of the database, or another one, does not.
 */
import { sameBytes } from "./octets.ts";
import { blob, date, integer } from "./rows.ts";
import type { Source } from "./source.ts";

export interface Mark {
  /** The number of the newest entry. */
  readonly entry: number;
  readonly leafHash: Uint8Array;
  readonly epoch: number;
}

export interface Marks {
  /** Undefined while there are no entries. */
  newest(): Promise<Mark | undefined>;
  has(mark: Pick<Mark, "entry" | "leafHash">): Promise<boolean>;
  /** An operator has said that what was remembered until then, and is not here, is given up. */
  lostUntil(): Promise<Date>;
}

export function createMarks(source: Source): Marks {
  return {
    async newest() {
      const [row] = await source.query(
        "SELECT id, leaf_hash, (SELECT epoch FROM epochs) AS epoch FROM entries ORDER BY id DESC LIMIT 1",
      );
      return row === undefined
        ? undefined
        : { entry: integer(row, "id"), leafHash: blob(row, "leaf_hash"), epoch: integer(row, "epoch") };
    },
    async has({ entry, leafHash }) {
      const [row] = await source.query("SELECT leaf_hash FROM entries WHERE id = ?", entry);
      return row !== undefined && sameBytes(blob(row, "leaf_hash"), leafHash);
    },
    async lostUntil() {
      const [row] = await source.query("SELECT lost_until FROM adoption");
      return row === undefined ? new Date(0) : date(row, "lost_until");
    },
  };
}
