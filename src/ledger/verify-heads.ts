/** The signed lists of heads, one by one, and what belongs to no single log. */
import type { Faults } from "./faults.ts";
import { type Head, isSignedBy, type LedgerKey, readHead } from "./head.ts";
import { toKey } from "./key.ts";
import { sameBytes } from "./octets.ts";
import { startPace } from "./pace.ts";
import { blob, integer, type Row } from "./rows.ts";
import type { Source } from "./source.ts";

export interface VerifiedHeads {
  readonly count: number;
  /** Each log's signed roots by tree size, in order of size. */
  readonly roots: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>;
}

const headsPerRead = 16;

export async function verifyHeads(source: Source, faults: Faults): Promise<VerifiedHeads> {
  const roots = new Map<string, Map<number, Uint8Array>>();
  const pace = startPace();
  const key = await readLedgerKey(source, faults);
  let [last, count, epoch] = [0, 0, 0];
  for await (const row of readHeads(source)) {
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
  const [newest] = await source.query("SELECT epoch FROM epochs");
  if (newest === undefined || integer(newest, "epoch") < epoch)
    faults.add(`the epoch is older than that of the newest head, ${epoch}`);
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

async function* readHeads(source: Source): AsyncGenerator<Row> {
  let last = 0;
  for (;;) {
    const rows = await source.query(
      `SELECT id, body, signature FROM heads WHERE id > ? ORDER BY id LIMIT ${headsPerRead}`,
      last,
    );
    if (rows.length === 0) return;
    for (const row of rows) {
      last = integer(row, "id");
      yield row;
    }
  }
}

async function readLedgerKey(source: Source, faults: Faults): Promise<LedgerKey | undefined> {
  const [row] = await source.query("SELECT algorithm, spki FROM ledger_key");
  try {
    return row === undefined ? undefined : toKey(row);
  } catch {
    faults.add("the key of the heads is of no algorithm we know");
    return undefined;
  }
}
