/** One entry against its own body: the columns beside it, its hash, its TBS, its signature. */
import { columnsOf } from "./columns.ts";
import { type Entry, readEntry } from "./entry.ts";
import type { Faults } from "./faults.ts";
import type { CheckSignature } from "./ledger.ts";
import { leafHash } from "./merkle.ts";
import { sameBytes } from "./octets.ts";
import { blob, integer, optionalBlob, type Row, type Value } from "./rows.ts";
import { serialOf } from "./tbs.ts";

export interface VerifiedRow {
  /** Hashed from the body, whatever is stored. */
  readonly leaf: Uint8Array;
  /** False for an intent without a signature. */
  readonly recorded: boolean;
}

/** `row` is of `entries`, with `entry`, `position` and `signature` from the tables around it. */
export function verifyRow(row: Row, log: string, check: CheckSignature | undefined, faults: Faults): VerifiedRow {
  const name = `entry ${integer(row, "entry")}`;
  if (row["id"] === null) {
    faults.add(`${name}: it has a position and is missing`);
    return { leaf: new Uint8Array(32), recorded: true };
  }
  const body = blob(row, "body");
  const leaf = leafHash(body);
  if (!sameBytes(leaf, blob(row, "leaf_hash"))) faults.add(`${name}: its body does not have its leaf hash`);
  const entry = readBody(body, name, faults);
  if (entry === undefined) return { leaf, recorded: true };
  for (const [column, value] of Object.entries(columnsOf(entry))) {
    if (!sameValue(value, row[column])) faults.add(`${name}: its column ${column} is not what its body says`);
  }
  if (row["log"] !== log) faults.add(`${name}: it has a position in the log ${log}, which is not its own`);
  return { leaf, recorded: verifySignature(entry, optionalBlob(row, "signature"), check, name, faults) };
}

function verifySignature(
  entry: Entry,
  signature: Uint8Array | undefined,
  check: CheckSignature | undefined,
  name: string,
  faults: Faults,
): boolean {
  if (entry.kind === "act") {
    if (signature !== undefined) faults.add(`${name}: it is an act and has a signature`);
    return true;
  }
  const { tbs, serial, authority } = entry.draft;
  if (!sameValue(serialOf(tbs), serial)) faults.add(`${name}: its serial is not the one of the bytes to be signed`);
  if (signature === undefined) return false;
  if (check !== undefined && !check(authority, tbs, signature)) {
    faults.add(`${name}: its signature is not ${authority}'s over the bytes to be signed`);
  }
  return true;
}

function readBody(body: Uint8Array, name: string, faults: Faults): Entry | undefined {
  try {
    return readEntry(body);
  } catch (error) {
    faults.add(`${name}: ${error instanceof Error ? error.message : "its body cannot be read"}`);
    return undefined;
  }
}

function sameValue(left: Value | undefined, right: Value | undefined): boolean {
  return left instanceof Uint8Array && right instanceof Uint8Array ? sameBytes(left, right) : left === right;
}
