/** What the hub's ledger has of requests. */
import { DatabaseSync } from "node:sqlite";
import { recordAt } from "../../src/kube/json.ts";

export interface Intended {
  readonly serial: string;
  /** Object, issuer, username and groups. */
  readonly request: Readonly<Record<string, unknown>>;
}

/** By the UID of the CertificateRequest. */
export function intendedByUid(path: string): ReadonlyMap<string, Intended> {
  using database = new DatabaseSync(path, { readOnly: true });
  const prefix = "east/certificate-request/";
  const rows = database
    .prepare(
      "SELECT idempotency_key AS key, lower(hex(serial)) AS serial, body FROM entries WHERE idempotency_key LIKE ?",
    )
    .all(`${prefix}%`);
  return new Map(
    rows.map(({ key, serial, body }) => {
      const entry: unknown = JSON.parse(Buffer.from(body instanceof Uint8Array ? body : []).toString("utf8"));
      return [String(key).slice(prefix.length), { serial: String(serial), request: recordAt(entry, "request") }];
    }),
  );
}
