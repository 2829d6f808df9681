/**
 * Reading entries back. A database in this process answers synchronously, so every walk goes in short steps and lets the
 * event loop run in between.
 */
import { setImmediate } from "node:timers/promises";
import { readEntry } from "./entry.ts";
import { readIntent } from "./intents.ts";
import type { EntryFilter, Ledger, StoredEntry } from "./ledger.ts";
import { blob, integer, optionalBlob, optionalInteger, optionalText, type Row, text, type Value } from "./rows.ts";
import type { Source } from "./source.ts";

/** Rows that one step looks at, whether they match or not: some two milliseconds. */
const rowsPerStep = 2000;
const serialGrammar = /^(?:[0-9a-f]{2}){1,20}$/;
const positionGrammar = /^(?<log>.+)\/(?<position>0|[1-9][0-9]{0,14})$/;

const columns = "e.id, e.log, e.kind, e.serial, e.authority, e.leaf_hash, e.body, l.position, s.signature";
const joined = "entries e LEFT JOIN leaves l ON l.entry = e.id LEFT JOIN signatures s ON s.entry = e.id";

const bySerial = `SELECT ${columns} FROM ${joined} WHERE e.serial = ?`;
const byPosition = `SELECT ${columns} FROM ${joined} WHERE l.log = ? AND l.position = ?`;

export function createReader(source: Source): Pick<Ledger, "findSerial" | "entries" | "entry"> {
  return {
    async findSerial(serial) {
      const [row] = await source.query(bySerial, serial);
      return row === undefined ? undefined : readIntent(row);
    },

    async *entries(filter) {
      const { conditions, values } = toConditions(filter);
      const step = `SELECT ${columns} FROM ${joined} WHERE e.id <= ? AND e.id > ?${conditions} ORDER BY e.id DESC LIMIT ?`;
      let left = filter.limit;
      const [end] = await source.query("SELECT coalesce(max(id), 0) AS id FROM entries");
      for (let id = end === undefined ? 0 : integer(end, "id"); id > 0 && left > 0; id -= rowsPerStep) {
        const rows = await source.query(step, id, id - rowsPerStep, ...values, left);
        left -= rows.length;
        for (const row of rows) yield toStored(row);
        await setImmediate();
      }
    },

    async entry(id) {
      const place = positionGrammar.exec(id)?.groups;
      const [row] = serialGrammar.test(id)
        ? await source.query(bySerial, Buffer.from(id, "hex"))
        : await source.query(byPosition, place?.["log"] ?? "", Number(place?.["position"] ?? -1));
      return row === undefined ? undefined : toStored(row);
    },
  };
}

function toConditions(filter: EntryFilter): { readonly conditions: string; readonly values: readonly Value[] } {
  const wanted = { "e.log": filter.log, "e.identity": filter.identity, "e.cluster": filter.cluster };
  let conditions = filter.unrecordedOnly === true ? " AND e.kind = 'intent' AND s.entry IS NULL" : "";
  const values: Value[] = [];
  for (const [column, value] of Object.entries(wanted)) {
    if (value === undefined) continue;
    conditions += ` AND ${column} = ?`;
    values.push(value);
  }
  return { conditions, values };
}

function toStored(row: Row): StoredEntry {
  const position = optionalInteger(row, "position");
  const signature = optionalBlob(row, "signature");
  const authority = optionalText(row, "authority");
  const body = blob(row, "body");
  const serial = optionalBlob(row, "serial");
  const tbs = tbsOf(body);
  return {
    log: text(row, "log"),
    kind: text(row, "kind") === "act" ? "act" : "intent",
    body,
    leafHash: blob(row, "leaf_hash"),
    ...(position === undefined ? {} : { position }),
    ...(serial === undefined ? {} : { serial }),
    ...(signature === undefined ? {} : { signature }),
    ...(authority === undefined ? {} : { authority }),
    ...(tbs === undefined ? {} : { tbs }),
  };
}

/** A body somebody has changed is shown as it is: `verify` is who names it. */
function tbsOf(body: Uint8Array): Uint8Array | undefined {
  try {
    const entry = readEntry(body);
    return entry.kind === "intent" ? entry.draft.tbs : undefined;
  } catch {
    return undefined;
  }
}
