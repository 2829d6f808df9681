/**
 * Reading entries back. A database in this process answers synchronously, so every walk goes in short steps and lets the
 * event loop run in between.
 */
import { setImmediate } from "node:timers/promises";
import { readEntry } from "./entry.ts";
import { readIntent } from "./intents.ts";
import type { EntryFilter, Ledger, LiveIntent, StoredEntry } from "./ledger.ts";
import { toRevocation } from "./made-revocations.ts";
import { isPruned } from "./retention.ts";
import { blob, integer, optionalBlob, optionalInteger, optionalText, type Row, text, type Value } from "./rows.ts";
import type { Source } from "./source.ts";

/** Rows that one step looks at, whether they match or not: some two milliseconds. */
const rowsPerStep = 2000;
const serialGrammar = /^(?:[0-9a-f]{2}){1,20}$/;
const positionGrammar = /^(?<log>.+)\/(?<position>0|[1-9][0-9]{0,14})$/;

const columns =
  "e.id, e.log, e.kind, e.serial, e.authority, e.leaf_hash, e.body, l.position, s.signature, r.reason, r.revoked_at";
const joined = `entries e LEFT JOIN leaves l ON l.entry = e.id LEFT JOIN signatures s ON s.entry = e.id
  LEFT JOIN revocations r ON r.serial = e.serial`;
/** Without the body, which is most of a row. */
const liveColumns = "e.serial, e.log, e.identity, e.cluster, e.authority, e.not_after, r.revoked_at";
const lastId = "SELECT coalesce(max(id), 0) AS id FROM entries";

const bySerial = `SELECT ${columns} FROM ${joined} WHERE e.serial = ?`;
const byPosition = `SELECT ${columns} FROM ${joined} WHERE l.log = ? AND l.position = ?`;

export function createReader(source: Source): Pick<Ledger, "findSerial" | "live" | "entries" | "entry"> {
  async function isBefore(id: number, time: Date): Promise<boolean> {
    const [row] = await source.query("SELECT body FROM entries WHERE id <= ? ORDER BY id DESC LIMIT 1", id);
    return row !== undefined && (isPruned(row) || readEntry(blob(row, "body")).time < time);
  }

  return {
    async findSerial(serial) {
      const [row] = await source.query(bySerial, serial);
      const stored = row === undefined ? undefined : readIntent(row);
      if (row === undefined || stored === undefined) return undefined;
      const { intent, signature } = stored;
      return { intent, ...(signature === undefined ? {} : { signature }), ...toRevocation(row) };
    },

    async *live(filter, at) {
      const { conditions, values } = toConditions(filter);
      const step = `SELECT ${liveColumns} FROM entries e LEFT JOIN revocations r ON r.serial = e.serial
        WHERE e.id <= ? AND e.id > ? AND e.kind = 'intent' AND e.not_after >= ?${conditions} ORDER BY e.id DESC`;
      const [end] = await source.query(lastId);
      for (let id = end === undefined ? 0 : integer(end, "id"); id > 0; id -= rowsPerStep) {
        const rows = await source.query(step, id, id - rowsPerStep, Math.floor(+at / 1000), ...values);
        yield { looked: Math.min(id, rowsPerStep), intents: rows.map(toLive) };
        if (filter.since !== undefined && (await isBefore(id - rowsPerStep, filter.since))) return;
        await setImmediate();
      }
    },

    async *entries(filter) {
      const { conditions, values } = toConditions(filter);
      const step = `SELECT ${columns} FROM ${joined} WHERE e.id <= ? AND e.id > ?${conditions} ORDER BY e.id DESC LIMIT ?`;
      let left = filter.limit;
      const [end] = await source.query(lastId);
      const first = Math.min(end === undefined ? 0 : integer(end, "id"), (filter.before ?? Infinity) - 1);
      for (let id = first; id > 0 && left > 0; id -= rowsPerStep) {
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

function toConditions(filter: Omit<EntryFilter, "limit" | "before"> & { readonly authority?: string }): {
  readonly conditions: string;
  readonly values: readonly Value[];
} {
  const { log, identity, cluster, authority } = filter;
  const wanted = { "e.log": log, "e.identity": identity, "e.cluster": cluster, "e.authority": authority };
  let conditions = filter.unrecordedOnly === true ? " AND e.kind = 'intent' AND s.entry IS NULL" : "";
  const values: Value[] = [];
  for (const [column, value] of Object.entries(wanted)) {
    if (value === undefined) continue;
    conditions += ` AND ${column} = ?`;
    values.push(value);
  }
  return { conditions, values };
}

function toLive(row: Row): LiveIntent {
  return {
    serial: blob(row, "serial"),
    log: text(row, "log"),
    identity: text(row, "identity"),
    cluster: text(row, "cluster"),
    authority: text(row, "authority"),
    notAfter: new Date(integer(row, "not_after") * 1000),
    isRevoked: optionalInteger(row, "revoked_at") !== undefined,
  };
}

function toStored(row: Row): StoredEntry {
  const position = optionalInteger(row, "position");
  const signature = optionalBlob(row, "signature");
  const authority = optionalText(row, "authority");
  const body = blob(row, "body");
  const serial = optionalBlob(row, "serial");
  const tbs = tbsOf(body);
  return {
    id: integer(row, "id"),
    log: text(row, "log"),
    kind: text(row, "kind") === "act" ? "act" : "intent",
    body,
    leafHash: blob(row, "leaf_hash"),
    ...(position === undefined ? {} : { position }),
    ...(serial === undefined ? {} : { serial }),
    ...(signature === undefined ? {} : { signature }),
    ...(authority === undefined ? {} : { authority }),
    ...(tbs === undefined ? {} : { tbs }),
    ...toRevocation(row),
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
