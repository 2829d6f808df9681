/** What is not to be trusted any more, and the CRLs that say so. Nothing is ever taken back, and no row deleted. */
import { Refusal } from "../errors.ts";
import { hubLog } from "./ledger.ts";
import type { Change } from "./made-state.ts";
import { toHex } from "./octets.ts";
import { blob, date, integer, optionalText, type Row, text } from "./rows.ts";
import type { CrlRecord, Revocation, RevocationReason, RevocationRecord, State } from "./state.ts";
import { alter, type Stage, type Steps, select } from "./steps.ts";

/** RFC 5280 5.3.1. */
export const revocationReasons: Readonly<Record<RevocationReason, number>> = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
};

/** Of one statement: a statement for each number of serials would be prepared anew for each. */
const serialsPerStatement = 50;
const placeholders = Array.from({ length: serialsPerStatement }, () => "?").join(", ");
const copyIntents = `INSERT INTO revocations (serial, log, authority, not_after, reason, revoked_at)
  SELECT serial, log, authority, not_after, CAST(? AS TEXT), CAST(? AS BIGINT) FROM entries
  WHERE serial IN (${placeholders}) ON CONFLICT DO NOTHING`;

type Revocations = Pick<
  State,
  "revoke" | "revokeAuthority" | "revocations" | "revocationCounts" | "revokedOwn" | "lastRevocations"
>;

export function revocationState(stage: Stage, change: Change, now: () => Date): Revocations {
  function* revoke(
    serials: readonly Uint8Array[],
    reason: RevocationReason,
    count: { revoked: number },
  ): Steps<boolean> {
    const at = +now();
    count.revoked = 0;
    for (let from = 0; from < serials.length; from += serialsPerStatement) {
      const some = serials.slice(from, from + serialsPerStatement);
      const rest = Array.from({ length: serialsPerStatement - some.length }, () => null);
      count.revoked += yield* alter(copyIntents, reason, at, ...some, ...rest);
    }
    return count.revoked > 0;
  }
  function* revokeAuthority(id: string, certificate: Omit<RevocationRecord, "at">): Steps<boolean> {
    const [row] = yield* select("SELECT state FROM authorities WHERE id = ?", id);
    if (row === undefined) throw new Refusal("not-found", `there is no authority ${id}`);
    if (text(row, "state") === "revoked") return false;
    yield* alter("UPDATE authorities SET state = 'revoked' WHERE id = ?", id);
    const { serial, log, authority, notAfter, reason } = certificate;
    yield* alter(
      `INSERT INTO revocations (serial, log, authority, not_after, reason, revoked_at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
      serial,
      log,
      authority,
      Math.floor(+notAfter / 1000),
      reason,
      +now(),
    );
    return true;
  }
  return {
    async revoke(serials, reason, act) {
      const count = { revoked: 0 };
      await change(act, revoke(serials, reason, count));
      return count.revoked;
    },
    async revokeAuthority(id, certificate, act) {
      return await change(act, revokeAuthority(id, certificate), true);
    },
    async revocations(authority, at) {
      const sql = "SELECT * FROM revocations WHERE authority = ? AND not_after >= ? ORDER BY serial";
      return (await stage.query(sql, authority, Math.floor(+at / 1000))).map(toRecord);
    },
    async revocationCounts() {
      const rows = await stage.query("SELECT authority, count(*) AS count FROM revocations GROUP BY authority");
      return new Map(rows.map((row) => [text(row, "authority"), integer(row, "count")]));
    },
    async revokedOwn(at) {
      const sql = "SELECT serial FROM revocations WHERE log = ? AND not_after >= ?";
      const rows = await stage.query(sql, hubLog, Math.floor(+at / 1000));
      return new Set(rows.map((row) => toHex(blob(row, "serial"))));
    },
    async lastRevocations(limit) {
      return (await stage.query("SELECT * FROM revocations ORDER BY revoked_at DESC, serial LIMIT ?", limit)).map(
        toRecord,
      );
    },
  };
}

export function crlState(stage: Stage, change: Change): Pick<State, "crls" | "keepCrl"> {
  function* keep({ authority, number, revocations, thisUpdate, nextUpdate, crl }: CrlRecord): Steps<boolean> {
    const changed = yield* alter(
      `INSERT INTO crls (authority, number, revocations, this_update, next_update, crl) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (authority) DO UPDATE SET number = excluded.number, revocations = excluded.revocations,
         this_update = excluded.this_update, next_update = excluded.next_update, crl = excluded.crl
       WHERE crls.number < excluded.number`,
      authority,
      number,
      revocations,
      +thisUpdate,
      +nextUpdate,
      crl,
    );
    if (changed === 0) throw new Refusal("not-ready", `${authority} has a CRL ${number} or a newer one already`);
    return true;
  }
  return {
    async crls() {
      return (await stage.query("SELECT * FROM crls ORDER BY authority")).map(toCrl);
    },
    async keepCrl(record, act) {
      await change(act, keep(record));
    },
  };
}

/** From a row with the columns reason and revoked_at, which are null for what is not revoked. */
export function toRevocation(row: Row): { readonly revocation?: Revocation } {
  const reason = optionalText(row, "reason");
  return reason === undefined ? {} : { revocation: { reason: toReason(reason), at: date(row, "revoked_at") } };
}

export function isRevocationReason(text: string): text is RevocationReason {
  return Object.hasOwn(revocationReasons, text);
}

function toRecord(row: Row): RevocationRecord {
  return {
    serial: blob(row, "serial"),
    log: text(row, "log"),
    authority: text(row, "authority"),
    notAfter: new Date(integer(row, "not_after") * 1000),
    reason: toReason(text(row, "reason")),
    at: date(row, "revoked_at"),
  };
}

function toCrl(row: Row): CrlRecord {
  return {
    authority: text(row, "authority"),
    number: integer(row, "number"),
    revocations: integer(row, "revocations"),
    thisUpdate: date(row, "this_update"),
    nextUpdate: date(row, "next_update"),
    crl: blob(row, "crl"),
  };
}

function toReason(text: string): RevocationReason {
  if (!isRevocationReason(text)) throw new Error(`column reason has ${text}, which this binary does not know`);
  return text;
}
