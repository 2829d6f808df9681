/** What of an entry is also a column, to be found by. Writing and checking use this one table. */
import type { Connection } from "./connection.ts";
import type { Entry } from "./entry.ts";
import type { Draft } from "./ledger.ts";

export interface Columns {
  readonly log: string;
  readonly kind: "intent" | "act";
  readonly serial: Uint8Array | null;
  readonly identity: string | null;
  readonly cluster: string | null;
  readonly authority: string | null;
  readonly bundle_version: string | null;
  /** Seconds since 1970. */
  readonly not_after: number | null;
  readonly idempotency_key: string | null;
  /** Null in a row that an issuer of before has written. */
  readonly door: string | null;
}

export type InsertEntry = (columns: Columns, hash: Uint8Array, body: Uint8Array) => number;

export function columnsOf(entry: Entry): Columns {
  return entry.kind === "intent" ? intentColumns(entry.draft) : actColumns(entry.act.log);
}

export function intentColumns(draft: Draft): Columns {
  return {
    log: draft.log,
    kind: "intent",
    serial: draft.serial,
    identity: draft.identity,
    cluster: draft.cluster,
    authority: draft.authority,
    bundle_version: draft.bundleVersion,
    not_after: Math.floor(draft.notAfter.getTime() / 1000),
    idempotency_key: draft.idempotency?.key ?? null,
    door: draft.door,
  };
}

/** Returns the new row's id. */
export function prepareInsert(connection: Connection): InsertEntry {
  const insert = connection.prepare(
    `INSERT INTO entries (log, kind, serial, identity, cluster, authority, bundle_version, not_after, idempotency_key, door,
       leaf_hash, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return (of, hash, body) =>
    insert.run(
      of.log,
      of.kind,
      of.serial,
      of.identity,
      of.cluster,
      of.authority,
      of.bundle_version,
      of.not_after,
      of.idempotency_key,
      of.door,
      hash,
      body,
    ).id;
}

function actColumns(log: string): Columns {
  const none = { serial: null, identity: null, cluster: null, authority: null };
  return { log, kind: "act", ...none, bundle_version: null, not_after: null, idempotency_key: null, door: null };
}
