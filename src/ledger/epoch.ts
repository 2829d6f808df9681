/** The fencing epoch: whoever took the newest one may write as the leader, and a write under an older one is refused. */
import { Refusal } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { integer } from "./rows.ts";

export function takeEpoch(connection: Connection): number {
  // If we stop before this commits, the leader stays who it was; after it, it can write no more and nobody else has
  // begun.
  return connection.transact("epoch", () => {
    connection.execute("UPDATE epochs SET epoch = epoch + 1");
    return readEpoch(connection);
  });
}

/** Inside the write it guards. @throws Refusal `not-ready` when the epoch is no longer the newest. */
export function holdEpoch(connection: Connection, epoch: number): void {
  const newest = readEpoch(connection);
  if (newest !== epoch) throw new Refusal("not-ready", `epoch ${epoch} of the ledger has ended: it is ${newest} now`);
}

export function readEpoch(connection: Connection): number {
  const row = connection.prepare("SELECT epoch FROM epochs").get();
  if (row === undefined) throw new Error("the database has no epoch");
  return integer(row, "epoch");
}
