/** Over all entries by number, whatever their log: none is missing, none has lost its position, none is signed for nothing. */
import type { Faults } from "./faults.ts";
import { startPace } from "./pace.ts";
import { integer, type Row, text } from "./rows.ts";
import type { Source } from "./source.ts";

/** Rows one step looks at: some two milliseconds. */
const idsPerStep = 2000;

/** Returns every log that any table knows. */
export async function verifyPlaces(source: Source, faults: Faults): Promise<ReadonlySet<string>> {
  const logs = new Set((await source.query("SELECT log FROM trees")).map((row) => text(row, "log")));
  const { first, last } = await readEnds(source);
  const pace = startPace();
  let expected = 1;
  for (let id = Math.min(first, 1) - 1; id < last; id += idsPerStep) {
    const rows = await source.query(
      `SELECT e.id, e.log, l.log AS placed, u.entry AS waits FROM entries e LEFT JOIN leaves l ON l.entry = e.id
       LEFT JOIN ${source.unplaced} u ON u.entry = e.id WHERE e.id > ? AND e.id <= ? ORDER BY e.id`,
      id,
      id + idsPerStep,
    );
    for (const row of rows) {
      expected = verifyPlace(row, source.gapless ? expected : integer(row, "id"), faults);
      logs.add(text(row, "log"));
      if (row["placed"] !== null) logs.add(text(row, "placed"));
    }
    if (!source.gapless) await checkLost(source, id, faults);
    await pace();
  }
  await checkOrphans(source, faults);
  return logs;
}

/** Entries are never deleted, and placed unless they still wait for it. */
function verifyPlace(row: Row, expected: number, faults: Faults): number {
  const id = integer(row, "id");
  if (id !== expected) faults.add(`entry ${expected}: it is missing, and the next is ${id}`);
  if (row["placed"] === null && row["waits"] === null) faults.add(`entry ${id}: its position is missing`);
  return id + 1;
}

/** Where a missing number says nothing, what was written about it may. */
async function checkLost(source: Source, after: number, faults: Faults): Promise<void> {
  for (const table of ["signatures", "leaves", "unplaced"]) {
    const rows = await source.query(
      `SELECT t.entry FROM ${table} t LEFT JOIN entries e ON e.id = t.entry
       WHERE t.entry > ? AND t.entry <= ? AND e.id IS NULL`,
      after,
      after + idsPerStep,
    );
    for (const row of rows) faults.add(`entry ${integer(row, "entry")}: it is in ${table} and is missing`);
  }
}

/** Beyond the first and the last entry. */
async function checkOrphans(source: Source, faults: Faults): Promise<void> {
  for (const table of ["signatures", "leaves", ...(source.gapless ? [] : ["unplaced"])]) {
    const [row] = await source.query(
      `SELECT entry FROM ${table} WHERE entry < (SELECT coalesce(min(id), 1) FROM entries)
         OR entry > (SELECT coalesce(max(id), 0) FROM entries) LIMIT 1`,
    );
    if (row !== undefined) faults.add(`entry ${integer(row, "entry")}: it is in ${table} and is missing`);
  }
}

async function readEnds(source: Source): Promise<{ readonly first: number; readonly last: number }> {
  const [row] = await source.query("SELECT coalesce(min(id), 1) AS first, coalesce(max(id), 0) AS last FROM entries");
  if (row === undefined) throw new Error("the database answers nothing");
  return { first: integer(row, "first"), last: integer(row, "last") };
}
