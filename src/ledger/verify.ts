/**
 * Verification trusts nothing but the stored bodies and the key of the heads: it hashes every body again, grows every tree
 * from those hashes, and compares with them all that is stored beside them.
 */
import { createFaults } from "./faults.ts";
import { type CheckSignature, hubLog, type LogReport, wholeLedger } from "./ledger.ts";
import { rootOf } from "./merkle.ts";
import { startPace } from "./pace.ts";
import { selectRetention, toProgress } from "./retention.ts";
import { integer, type Row } from "./rows.ts";
import type { Source } from "./source.ts";
import { verifyRow } from "./verify-entry.ts";
import { verifyHeads } from "./verify-heads.ts";
import { verifyPlaces } from "./verify-places.ts";
import { createWalk, type Walk } from "./walk.ts";

/** A report goes out at least this often. */
const entriesPerReport = 10_000;

export async function* verifyLedger(
  source: Source,
  log: string | undefined,
  check: CheckSignature | undefined,
): AsyncGenerator<LogReport> {
  const faults = createFaults();
  const heads = await verifyHeads(source, faults);
  const logs = await verifyPlaces(source, faults);
  const rootHash = new Uint8Array();
  const whole = {
    log: wholeLedger,
    entries: heads.count,
    unrecorded: 0,
    pruned: 0,
    rootHash,
    faults: faults.list(),
    done: true,
  };
  yield whole;
  for (const name of log === undefined ? new Set([...heads.roots.keys(), ...logs].sort()) : [log]) {
    yield* verifyLog(source, name, heads.roots.get(name) ?? new Map(), check);
  }
}

async function* verifyLog(
  source: Source,
  log: string,
  roots: ReadonlyMap<number, Uint8Array>,
  check: CheckSignature | undefined,
): AsyncGenerator<LogReport> {
  const faults = createFaults();
  const walk = createWalk(log, roots, faults);
  const pace = startPace();
  const { dueTo } = toProgress(await source.query(selectRetention));
  let [unrecorded, unplaced, reported, pruned, said] = [0, 0, 0, 0, 0];
  const count = (row: Row): Uint8Array => {
    const verified = verifyRow(row, log, check, faults);
    if (!verified.recorded) unrecorded += 1;
    if (verified.pruned) pruned += 1;
    said = Math.max(said, verified.dueTo ?? 0);
    return verified.leaf;
  };
  const report = (done: boolean): LogReport => {
    const [entries, rootHash] = [walk.tree().size + unplaced, rootOf(walk.tree())];
    return { log, entries, unrecorded, pruned, rootHash, faults: faults.list(), done };
  };

  for (let rows = await readPlaced(source, log, walk); rows.length > 0; rows = await readPlaced(source, log, walk)) {
    for (const row of rows) {
      walk.place(integer(row, "position"), count(row));
      await pace();
    }
    if (walk.tree().size - reported < entriesPerReport) continue;
    reported = walk.tree().size;
    yield report(false);
  }
  for await (const row of readUnplaced(source, log)) {
    unplaced += 1;
    count(row);
    await pace();
  }
  if (log === hubLog && dueTo > said)
    faults.add(`retention: bodies up to entry ${dueTo} may go, and no act of the ledger says so`);
  yield report(true);
}

const rowsPerRead = 64;

/** The next rows in order of position. At the end, in one view, the stored tree is compared with the one grown. */
async function readPlaced(source: Source, log: string, walk: Walk): Promise<readonly Row[]> {
  for (;;) {
    const rows = await source.query(
      `SELECT l.position, l.entry, e.*, s.signature, (SELECT due_to FROM retention) AS due_to FROM leaves l
       LEFT JOIN entries e ON e.id = l.entry LEFT JOIN signatures s ON s.entry = l.entry
       WHERE l.log = ? AND l.position > ? ORDER BY l.position LIMIT ${rowsPerRead}`,
      log,
      walk.last(),
    );
    if (rows.length > 0) return rows;
    const [tree] = await source.query(
      `SELECT t.size, t.root, t.frontier, (SELECT coalesce(max(position), -1) FROM leaves WHERE log = ?) AS last
       FROM (SELECT 1 AS one) o LEFT JOIN trees t ON t.log = ?`,
      log,
      log,
    );
    // What was placed since the last read is read before the tree that counts it is judged.
    if (tree !== undefined && integer(tree, "last") > walk.last()) continue;
    walk.end(tree === undefined || tree["size"] === null ? undefined : tree);
    return [];
  }
}

async function* readUnplaced(source: Source, log: string): AsyncGenerator<Row> {
  let last = 0;
  for (;;) {
    const rows = await source.query(
      `SELECT e.*, e.id AS entry, s.signature, (SELECT due_to FROM retention) AS due_to FROM ${source.unplaced} u JOIN entries e ON e.id = u.entry
       LEFT JOIN signatures s ON s.entry = e.id WHERE e.id > ? AND e.log = ? ORDER BY e.id LIMIT ${rowsPerRead}`,
      last,
      log,
    );
    if (rows.length === 0) return;
    for (const row of rows) {
      last = integer(row, "entry");
      yield row;
    }
  }
}
