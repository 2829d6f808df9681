/** What happens to drafts and signatures inside the ledger's transaction. */
import { intentColumns, prepareInsert } from "./columns.ts";
import { type Connection, isConstraintViolation, isUniqueViolation } from "./connection.ts";
import { encodeIntent, readEntry } from "./entry.ts";
import { toIntent } from "./intent.ts";
import { type Draft, hubLog, type Idempotency, type Intended, type Intent, type SuspendedWhat } from "./ledger.ts";
import { leafHash } from "./merkle.ts";
import { sameBytes } from "./octets.ts";
import { isPruned } from "./retention.ts";
import { blob, integer, optionalBlob, optionalInteger, type Row, text } from "./rows.ts";

/** A draft with its bytes, made before the transaction so that nobody waits for that with the lock held. */
export interface Encoded {
  readonly draft: Draft;
  readonly body: Uint8Array;
  readonly leafHash: Uint8Array;
}

/** What gets nothing now, as `kind/name`: tenants, clusters, workloads, authorities that are revoked, and what a rotated root has left behind. */
export type Suspended = ReadonlySet<string>;

/** To be read in the transaction that writes intents, after the lock that holds it still. */
export const readSuspensions = `SELECT kind, name FROM suspensions
  UNION ALL SELECT 'authority' AS kind, id AS name FROM authorities WHERE state = 'revoked'
  UNION ALL SELECT kind, name FROM fences`;

export function toSuspended(rows: readonly Row[]): Suspended {
  return new Set(rows.map((row) => `${text(row, "kind")}/${text(row, "name")}`));
}

export interface IntentStatements {
  suspended(): Suspended;
  /** What became of one draft; an error is this draft's alone. */
  intend(encoded: Encoded, suspended: Suspended): Intended | Error;
  /** False when there is no such intent. A second signature over one intent is as good as the first, which stays. */
  record(entry: number, signature: Uint8Array): boolean;
}

/** An intent as it was written, with its signature if there is one. */
export interface StoredIntent {
  readonly intent: Intent;
  readonly signature?: Uint8Array;
  readonly isRevoked: boolean;
}

export function encodeDraft(draft: Draft, time: Date, times: (date: Date) => string): Encoded {
  const body = encodeIntent(draft, time, times);
  return { draft, body, leafHash: leafHash(body) };
}

export function prepareIntents(connection: Connection): IntentStatements {
  const insert = prepareInsert(connection);
  const suspensions = connection.prepare(readSuspensions);
  const insertSignature = connection.prepare("INSERT OR IGNORE INTO signatures (entry, signature) VALUES (?, ?)");
  const findKey = connection.prepare(
    `SELECT e.id, e.body, s.signature, r.revoked_at FROM entries e LEFT JOIN signatures s ON s.entry = e.id
     LEFT JOIN revocations r ON r.serial = e.serial WHERE e.idempotency_key = ?`,
  );

  return {
    suspended: () => toSuspended(suspensions.all()),

    intend({ draft, body, leafHash }, suspended) {
      const what = barredBy(draft, suspended);
      if (what !== undefined) return { kind: "suspended", what };
      const earlier = draft.idempotency === undefined ? undefined : findKey.get(draft.idempotency.key);
      if (earlier !== undefined) return replay(earlier, draft.idempotency, suspended);
      try {
        return { kind: "intent", intent: toIntent(draft, insert(intentColumns(draft), leafHash, body)) };
      } catch (error) {
        if (isUniqueViolation(error)) return new Error("a serial was drawn twice", { cause: error });
        if (isConstraintViolation(error)) return new Error("the ledger cannot hold this draft", { cause: error });
        throw error;
      }
    },

    record(entry, signature) {
      try {
        insertSignature.run(entry, signature);
        return true;
      } catch (error) {
        if (isConstraintViolation(error)) return false;
        throw error;
      }
    },
  };
}

/** From a row of id, body, signature and revoked_at; undefined where the body is gone. */
export function readIntent(row: Row): StoredIntent | undefined {
  if (isPruned(row)) return undefined;
  const entry = readEntry(blob(row, "body"));
  if (entry.kind !== "intent") throw new Error(`entry ${integer(row, "id")} is no intent`);
  const signature = optionalBlob(row, "signature");
  return {
    intent: toIntent(entry.draft, integer(row, "id")),
    ...(signature === undefined ? {} : { signature }),
    isRevoked: optionalInteger(row, "revoked_at") !== undefined,
  };
}

/** What a second draft of one idempotency key gets, by the row of the first. */
export function replay(row: Row, asked: Idempotency | undefined, suspended: Suspended): Intended {
  const stored = readIntent(row);
  if (stored === undefined) return { kind: "replay-pruned" };
  const digest = stored.intent.idempotency?.digest;
  if (digest === undefined || asked === undefined || !sameBytes(digest, asked.digest))
    return { kind: "replay-differs" };
  // What it was intended for need not be what this draft names: rules may have changed in between.
  const { isRevoked, ...replayed } = stored;
  const what = suspendedOf(stored.intent, suspended);
  if (isRevoked || what === "authority") return { kind: "suspended", what: "certificate" };
  return what === undefined ? { kind: "replay", ...replayed } : { kind: "suspended", what };
}

/** Why a draft may not be written. What was written before a root was rotated is handed out again after it, with the roots of then. */
export function barredBy(draft: Draft, suspended: Suspended): SuspendedWhat | undefined {
  const what = suspendedOf(draft, suspended);
  if (what !== undefined || suspended.size === 0) return what;
  const { bundleVersion, authority } = draft;
  return suspended.has(`bundle/${bundleVersion}`) || suspended.has(`generation/${authority}`)
    ? "generation"
    : undefined;
}

function suspendedOf(draft: Draft, suspended: Suspended): SuspendedWhat | undefined {
  if (suspended.size === 0) return undefined;
  const { log, cluster, identity, authority } = draft;
  if (log !== hubLog && suspended.has(`tenant/${log}`)) return "tenant";
  if (cluster !== "" && suspended.has(`cluster/${cluster}`)) return "cluster";
  if (suspended.has(`workload/${log}/${identity}`)) return "workload";
  return suspended.has(`authority/${authority}`) ? "authority" : undefined;
}
