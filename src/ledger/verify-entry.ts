/** One entry against its own body: the columns beside it, its hash, its TBS, its signature. */
import { columnsOf } from "./columns.ts";
import { type Entry, readEntry } from "./entry.ts";
import type { Faults } from "./faults.ts";
import type { CheckSignature } from "./ledger.ts";
import { leafHash } from "./merkle.ts";
import { sameBytes } from "./octets.ts";
import { isPruned, pruneVerb } from "./retention.ts";
import { blob, integer, optionalBlob, type Row, type Value } from "./rows.ts";
import { serialOf } from "./tbs.ts";

export interface VerifiedRow {
  /** Hashed from the body, whatever is stored. */
  readonly leaf: Uint8Array;
  /** False for an intent without a signature. */
  readonly recorded: boolean;
  /** Retention has let its body go, so the hash is the stored one. */
  readonly pruned: boolean;
  /** The entry up to which an act of retention says that bodies may go. */
  readonly dueTo?: number;
}

/** `row` is of `entries`, with `entry`, `position`, `signature` and `due_to` from the tables around it. */
export function verifyRow(row: Row, log: string, check: CheckSignature | undefined, faults: Faults): VerifiedRow {
  const name = `entry ${integer(row, "entry")}`;
  if (row["id"] === null) {
    faults.add(`${name}: it has a position and is missing`);
    return { leaf: new Uint8Array(32), recorded: true, pruned: false };
  }
  if (row["log"] !== log) faults.add(`${name}: it has a position in the log ${log}, which is not its own`);
  const body = blob(row, "body");
  if (isPruned(row) && integer(row, "due_to") >= integer(row, "id") && row["kind"] === "intent")
    return { leaf: blob(row, "leaf_hash"), recorded: row["signature"] !== null, pruned: true };
  const leaf = leafHash(body);
  if (!sameBytes(leaf, blob(row, "leaf_hash"))) faults.add(`${name}: its body does not have its leaf hash`);
  const entry = readBody(body, name, faults);
  if (entry === undefined) return { leaf, recorded: true, pruned: false };
  for (const [column, value] of Object.entries(columnsOf(entry))) {
    if (column === "door" && row[column] === null) continue;
    if (!sameValue(value, row[column])) faults.add(`${name}: its column ${column} is not what its body says`);
  }
  const recorded = verifySignature(entry, optionalBlob(row, "signature"), check, name, faults);
  return { leaf, recorded, pruned: false, ...dueToOf(entry) };
}

function dueToOf(entry: Entry): Pick<VerifiedRow, "dueTo"> {
  if (entry.kind !== "act" || entry.act.verb !== pruneVerb) return {};
  return { dueTo: Number(entry.act.details["upTo"]) };
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
