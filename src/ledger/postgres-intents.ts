/** What happens to drafts and signatures inside PostgreSQL's transactions: one statement for all drafts of a write. */
import { intentColumns } from "./columns.ts";
import { toIntent } from "./intent.ts";
import { barredBy, type Encoded, replay, toSuspended } from "./intents.ts";
import type { Intended } from "./ledger.ts";
import { toHex } from "./octets.ts";
import type { Transaction } from "./postgres-pool.ts";
import { integer, type Row, text } from "./rows.ts";

/** An error is one draft's alone. */
export type DraftAnswer = Intended | Error;

/** In the order of the drafts; `suspensions` are the rows of `readSuspensions`. */
export async function intendDrafts(
  transaction: Transaction,
  suspensions: readonly Row[],
  drafts: readonly Encoded[],
): Promise<readonly DraftAnswer[]> {
  const suspended = toSuspended(suspensions);
  const serials = new Set<string>();
  const wanted = drafts.filter(({ draft }) => {
    const serial = toHex(draft.serial);
    if (barredBy(draft, suspended) !== undefined || serials.has(serial)) return false;
    serials.add(serial);
    return true;
  });
  const made = await insertDrafts(transaction, wanted);
  const known = await findKeys(transaction, wanted, made);
  return drafts.map(({ draft }) => {
    const what = barredBy(draft, suspended);
    if (what !== undefined) return { kind: "suspended", what };
    const serial = toHex(draft.serial);
    const id = made.get(serial);
    // Of two drafts with one serial the second finds it gone.
    made.delete(serial);
    if (id !== undefined) return { kind: "intent", intent: toIntent(draft, id) };
    const earlier = known.get(draft.idempotency?.key ?? "");
    if (earlier === undefined) return new Error("a serial was drawn twice");
    return replay(earlier, draft.idempotency, suspended);
  });
}

/** Returns how many of them have no entry. A second signature over one intent is as good as the first, which stays. */
export async function recordSignatures(
  transaction: Transaction,
  entries: readonly number[],
  signatures: readonly Uint8Array[],
): Promise<number> {
  const [row] = await transaction.query(
    `WITH given AS (SELECT entry, signature FROM unnest($1::bigint[], $2::bytea[]) AS g (entry, signature)),
       known AS (SELECT g.entry, g.signature FROM given g JOIN entries e ON e.id = g.entry AND e.kind = 'intent'),
       written AS (INSERT INTO signatures (entry, signature) SELECT entry, signature FROM known ON CONFLICT DO NOTHING)
     SELECT (SELECT count(*) FROM given) - (SELECT count(*) FROM known) AS missing`,
    entries,
    signatures,
  );
  return row === undefined ? 0 : integer(row, "missing");
}

/**
 * Ids of what was written, by serial in hex. What is missing has a serial or an idempotency key that is taken, be it by a
 * transaction that was still open a moment ago: this waits for it.
 */
async function insertDrafts(transaction: Transaction, drafts: readonly Encoded[]): Promise<Map<string, number>> {
  if (drafts.length === 0) return new Map();
  // In the order of their keys: two writes that wait for each other's would both fail.
  const sorted = [...drafts].sort((left, right) => compare(keyOf(left), keyOf(right)));
  const columns = sorted.map(({ draft }) => intentColumns(draft));
  const rows = await transaction.query(
    `INSERT INTO entries (log, kind, serial, identity, cluster, authority, bundle_version, not_after, idempotency_key, door,
       leaf_hash, body)
     SELECT log, 'intent', serial, identity, cluster, authority, bundle_version, not_after, idempotency_key, door, leaf_hash,
       body
     FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
       $9::text[], $10::bytea[], $11::bytea[])
       AS d (log, serial, identity, cluster, authority, bundle_version, not_after, idempotency_key, door, leaf_hash, body)
     ON CONFLICT DO NOTHING RETURNING id, encode(serial, 'hex') AS serial`,
    columns.map((column) => column.log),
    columns.map((column) => column.serial),
    columns.map((column) => column.identity),
    columns.map((column) => column.cluster),
    columns.map((column) => column.authority),
    columns.map((column) => column.bundle_version),
    columns.map((column) => column.not_after),
    columns.map((column) => column.idempotency_key),
    columns.map((column) => column.door),
    sorted.map(({ leafHash }) => leafHash),
    sorted.map(({ body }) => body),
  );
  return new Map(rows.map((row) => [text(row, "serial"), integer(row, "id")]));
}

/** The rows of the idempotency keys that were not written now. */
async function findKeys(
  transaction: Transaction,
  drafts: readonly Encoded[],
  made: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, Row>> {
  const keys = drafts.flatMap(({ draft: { idempotency, serial } }) =>
    idempotency === undefined || made.has(toHex(serial)) ? [] : [idempotency.key],
  );
  if (keys.length === 0) return new Map();
  const rows = await transaction.query(
    `SELECT e.id, e.body, e.idempotency_key, s.signature, r.revoked_at FROM entries e LEFT JOIN signatures s ON s.entry = e.id
     LEFT JOIN revocations r ON r.serial = e.serial WHERE e.idempotency_key = ANY($1)`,
    keys,
  );
  return new Map(rows.map((row) => [text(row, "idempotency_key"), row]));
}

function keyOf({ draft }: Encoded): string {
  return draft.idempotency?.key ?? "";
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
