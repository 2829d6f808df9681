/** The signed lists of heads, one by one, and what belongs to no single log. */
import type { Connection } from "./connection.ts";
import { readEpoch } from "./epoch.ts";
import type { Faults } from "./faults.ts";
import { type Head, isSignedBy, type LedgerKey, readHead } from "./head.ts";
import { readKey } from "./key.ts";
import { sameBytes } from "./octets.ts";
import { startPace } from "./pace.ts";
import { blob, integer, type Row } from "./rows.ts";

export interface VerifiedHeads {
  readonly count: number;
  /** Each log's signed roots by tree size, in order of size. */
  readonly roots: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>;
}

export async function verifyHeads(connection: Connection, faults: Faults): Promise<VerifiedHeads> {
  const next = connection.prepare("SELECT id, body, signature FROM heads WHERE id > ? ORDER BY id LIMIT 1");
  const roots = new Map<string, Map<number, Uint8Array>>();
  const pace = startPace();
  const key = readLedgerKey(connection, faults);
  let [last, count, epoch] = [0, 0, 0];
  for (let row = next.get(last); row !== undefined; row = next.get(last)) {
    const id = integer(row, "id");
    if (id !== last + 1) faults.add(`head ${last + 1}: heads up to ${id} are missing`);
    last = id;
    count += 1;
    const head = readSigned(row, key, faults);
    if (head !== undefined) {
      if (head.epoch < epoch) faults.add(`head ${id}: its epoch ${head.epoch} had ended`);
      epoch = Math.max(epoch, head.epoch);
      collect(head, id, roots, faults);
    }
    await pace();
  }
  if (readEpoch(connection) < epoch) faults.add(`the epoch is older than that of the newest head, ${epoch}`);
  return { count, roots };
}

function readSigned(row: Row, key: LedgerKey | undefined, faults: Faults): Head | undefined {
  const [id, body] = [integer(row, "id"), blob(row, "body")];
  if (key === undefined || !isSignedBy(key, body, blob(row, "signature"))) {
    faults.add(`head ${id}: it is not signed by the ledger's key`);
  }
  try {
    return readHead(body);
  } catch {
    faults.add(`head ${id}: it is not a list of heads in canonical form`);
    return undefined;
  }
}

function collect(head: Head, id: number, roots: Map<string, Map<number, Uint8Array>>, faults: Faults): void {
  for (const [log, { size, root }] of head.logs) {
    const known = roots.get(log) ?? new Map<number, Uint8Array>();
    roots.set(log, known);
    const earlier = known.get(size);
    if (earlier === undefined) known.set(size, root);
    else if (!sameBytes(earlier, root)) faults.add(`head ${id}: ${log} had another root at size ${size} before`);
  }
}

function readLedgerKey(connection: Connection, faults: Faults): LedgerKey | undefined {
  try {
    return readKey(connection);
  } catch {
    faults.add("the key of the heads is of no algorithm we know");
    return undefined;
  }
}
