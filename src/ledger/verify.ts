/**
 * Verification trusts nothing but the stored bodies and the key of the heads: it hashes every body again, grows every tree
 * from those hashes, and compares with them all that is stored beside them.
 */
import type { Connection } from "./connection.ts";
import { createFaults } from "./faults.ts";
import { type CheckSignature, type LogReport, wholeLedger } from "./ledger.ts";
import { rootOf } from "./merkle.ts";
import { startPace } from "./pace.ts";
import { integer, type Row } from "./rows.ts";
import { verifyRow } from "./verify-entry.ts";
import { verifyHeads } from "./verify-heads.ts";
import { verifyPlaces } from "./verify-places.ts";
import { createWalk, type Walk } from "./walk.ts";

/** A report goes out at least this often. */
const entriesPerReport = 10_000;

export async function* verifyLedger(
  connection: Connection,
  log: string | undefined,
  check: CheckSignature | undefined,
): AsyncGenerator<LogReport> {
  const faults = createFaults();
  const heads = await verifyHeads(connection, faults);
  const logs = await verifyPlaces(connection, faults);
  const rootHash = new Uint8Array();
  const whole = { log: wholeLedger, entries: heads.count, unrecorded: 0, rootHash, faults: faults.list(), done: true };
  yield whole;
  for (const name of log === undefined ? new Set([...heads.roots.keys(), ...logs].sort()) : [log]) {
    yield* verifyLog(connection, name, heads.roots.get(name) ?? new Map(), check);
  }
}

async function* verifyLog(
  connection: Connection,
  log: string,
  roots: ReadonlyMap<number, Uint8Array>,
  check: CheckSignature | undefined,
): AsyncGenerator<LogReport> {
  const faults = createFaults();
  const walk = createWalk(log, roots, faults);
  const pace = startPace();
  const readPlaced = preparePlaced(connection, log);
  let [unrecorded, unplaced, reported] = [0, 0, 0];
  const report = (done: boolean): LogReport => {
    const [entries, rootHash] = [walk.tree().size + unplaced, rootOf(walk.tree())];
    return { log, entries, unrecorded, rootHash, faults: faults.list(), done };
  };

  for (let rows = readPlaced(walk); rows.length > 0; rows = readPlaced(walk)) {
    for (const row of rows) {
      const { leaf, recorded } = verifyRow(row, log, check, faults);
      walk.place(integer(row, "position"), leaf);
      if (!recorded) unrecorded += 1;
      await pace();
    }
    if (walk.tree().size - reported < entriesPerReport) continue;
    reported = walk.tree().size;
    yield report(false);
  }
  for (const row of readUnplaced(connection, log)) {
    unplaced += 1;
    if (!verifyRow(row, log, check, faults).recorded) unrecorded += 1;
    await pace();
  }
  yield report(true);
}

const rowsPerRead = 64;

/** The next rows in order of position. At the end, in the same view, the stored tree is compared with the one grown. */
function preparePlaced(connection: Connection, log: string): (walk: Walk) => readonly Row[] {
  const next = connection.prepare(
    `SELECT l.position, l.entry, e.*, s.signature FROM leaves l
     LEFT JOIN entries e ON e.id = l.entry LEFT JOIN signatures s ON s.entry = l.entry
     WHERE l.log = ? AND l.position > ? ORDER BY l.position LIMIT ${rowsPerRead}`,
  );
  const tree = connection.prepare("SELECT size, root, frontier FROM trees WHERE log = ?");
  return (walk) =>
    connection.read(() => {
      const rows = next.all(log, walk.last());
      if (rows.length === 0) walk.end(tree.get(log));
      return rows;
    });
}

/** Entries are placed in the order they were written, so only the newest can be without a place. */
function* readUnplaced(connection: Connection, log: string): Generator<Row> {
  const next = connection.prepare(
    `SELECT e.*, e.id AS entry, s.signature FROM entries e LEFT JOIN signatures s ON s.entry = e.id
     WHERE e.id > ? AND e.log = ? AND NOT EXISTS (SELECT 1 FROM leaves l WHERE l.entry = e.id)
     ORDER BY e.id LIMIT ${rowsPerRead}`,
  );
  const placed = connection.prepare("SELECT coalesce(max(entry), 0) AS id FROM leaves").get();
  let last = placed === undefined ? 0 : integer(placed, "id");
  for (let rows = next.all(last, log); rows.length > 0; rows = next.all(last, log)) {
    for (const row of rows) {
      last = integer(row, "entry");
      yield row;
    }
  }
}
