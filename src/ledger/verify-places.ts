/** Over all entries by number, whatever their log: none is missing, none has lost its position, none is signed for nothing. */
import type { Connection } from "./connection.ts";
import type { Faults } from "./faults.ts";
import { startPace } from "./pace.ts";
import { integer, type Row, text } from "./rows.ts";

/** Rows one step looks at: some two milliseconds. */
const idsPerStep = 2000;

/** Returns every log that any table knows. */
export async function verifyPlaces(connection: Connection, faults: Faults): Promise<ReadonlySet<string>> {
  const logs = new Set(
    connection
      .prepare("SELECT log FROM trees")
      .all()
      .map((row) => text(row, "log")),
  );
  const rowsOf = connection.prepare(
    `SELECT e.id, e.log, l.log AS placed FROM entries e LEFT JOIN leaves l ON l.entry = e.id
     WHERE e.id > ? AND e.id <= ? ORDER BY e.id`,
  );
  const { first, last, placed } = readEnds(connection);
  const pace = startPace();
  let expected = 1;
  for (let id = Math.min(first, 1) - 1; id < last; id += idsPerStep) {
    for (const row of rowsOf.all(id, id + idsPerStep)) {
      expected = verifyPlace(row, expected, placed, faults);
      logs.add(text(row, "log"));
      if (row["placed"] !== null) logs.add(text(row, "placed"));
    }
    await pace();
  }
  checkOrphans(connection, first, last, faults);
  return logs;
}

/** Entries are numbered without gaps, never deleted, and placed in the order of their numbers. */
function verifyPlace(row: Row, expected: number, placed: number, faults: Faults): number {
  const id = integer(row, "id");
  if (id !== expected) faults.add(`entry ${expected}: it is missing, and the next is ${id}`);
  if (id <= placed && row["placed"] === null) faults.add(`entry ${id}: its position is missing`);
  return id + 1;
}

function checkOrphans(connection: Connection, first: number, last: number, faults: Faults): void {
  for (const table of ["signatures", "leaves"]) {
    const row = connection.prepare(`SELECT entry FROM ${table} WHERE entry < ? OR entry > ? LIMIT 1`).get(first, last);
    if (row !== undefined) faults.add(`entry ${integer(row, "entry")}: it is in ${table} and is missing`);
  }
}

function readEnds(connection: Connection): { readonly first: number; readonly last: number; readonly placed: number } {
  const row = connection
    .prepare(
      `SELECT coalesce(min(id), 1) AS first, coalesce(max(id), 0) AS last,
         (SELECT coalesce(max(entry), 0) FROM leaves) AS placed FROM entries`,
    )
    .get();
  if (row === undefined) throw new Error("the database answers nothing");
  return { first: integer(row, "first"), last: integer(row, "last"), placed: integer(row, "placed") };
}
