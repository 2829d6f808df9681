/** The one key that signs a ledger's heads; its public half is kept in the database, so that anybody can check them. */
import { isKeyAlgorithm } from "../custody/algorithm.ts";
import { Refusal } from "../errors.ts";
import type { Connection } from "./connection.ts";
import type { LedgerKey } from "./head.ts";
import { sameBytes } from "./octets.ts";
import { blob, type Row, text } from "./rows.ts";

/** Writes the key down the first time. @throws Refusal `config` when the ledger has another. */
export function bindKey(connection: Connection, key: LedgerKey): void {
  const bound = readKey(connection) ?? insertKey(connection, key);
  if (bound.algorithm !== key.algorithm || !sameBytes(bound.spki, key.spki)) {
    throw new Refusal("config", "the key that is to sign the ledger's heads is not the one that did so before");
  }
}

/** Undefined before the first sequencer. */
export function readKey(connection: Connection): LedgerKey | undefined {
  const row = connection.prepare("SELECT algorithm, spki FROM ledger_key").get();
  return row === undefined ? undefined : toKey(row);
}

export function toKey(row: Row): LedgerKey {
  const algorithm = text(row, "algorithm");
  if (!isKeyAlgorithm(algorithm)) throw new Refusal("config", `${algorithm} is no algorithm of a ledger's key`);
  return { algorithm, spki: blob(row, "spki") };
}

function insertKey(connection: Connection, key: LedgerKey): LedgerKey {
  // If we stop before this commits, no head was signed yet. Of two who start at once, the first to write decides.
  return connection.transact("epoch", () => {
    connection
      .prepare("INSERT OR IGNORE INTO ledger_key (id, algorithm, spki) VALUES (1, ?, ?)")
      .run(key.algorithm, key.spki);
    return readKey(connection) ?? key;
  });
}
