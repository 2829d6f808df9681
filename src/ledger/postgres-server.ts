/** What a PostgreSQL server has to be before anything is written to it: on every new connection, and in every write. */
import { Refusal } from "../errors.ts";
import { integer, type Row, text } from "./rows.ts";

/** What is asked of the server. */
export interface Trust {
  /** Whether a commit must wait for a synchronous standby: without one, a failover forgets intents that were promised. */
  readonly synchronousStandby: boolean;
  /** How far this machine's clock may be from the database's. Default `clockToleranceMs`. */
  readonly clockToleranceMs?: number;
}

/** Leaves are backdated two minutes; a clock that is off by more than this is wrong, and nobody knows which one. */
export const clockToleranceMs = 30_000;
const versionMin = 140_000;

/** Read in every write: it costs no message of its own. */
export const writeFacts = `SELECT current_setting('synchronous_standby_names') AS standbys,
  floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock`;

/** Read on every new connection. */
export const serverFacts = `SELECT current_setting('server_version_num')::int AS version,
  current_setting('server_encoding') AS encoding, pg_is_in_recovery()::int AS standby, current_setting('fsync') AS fsync,
  current_setting('full_page_writes') AS pages, current_setting('synchronous_commit') AS commits, w.* FROM (${writeFacts}) w`;

/** @throws Refusal `unavailable`: a failover or an operator may put it right while we run. */
export function checkServer(facts: Row | undefined, trust: Trust, now: Date): void {
  if (facts === undefined) throw new Error("the database answers nothing");
  const version = integer(facts, "version");
  if (version < versionMin)
    throw wrong(`it is PostgreSQL ${Math.floor(version / 10_000)}, and 14 is the oldest that serves`);
  if (text(facts, "encoding") !== "UTF8") throw wrong(`its encoding is ${text(facts, "encoding")} and not UTF8`);
  if (integer(facts, "standby") === 1) throw wrong("it is a standby, and takes no writes");
  for (const [column, setting] of [
    ["fsync", "fsync"],
    ["pages", "full_page_writes"],
    ["commits", "synchronous_commit"],
  ] as const) {
    if (text(facts, column) !== "on")
      throw wrong(`${setting} is ${text(facts, column)} and not on: what it commits may be lost`);
  }
  checkWrite(facts, trust, now);
}

export function checkWrite(facts: Row | undefined, trust: Trust, now: Date): void {
  if (facts === undefined) throw new Error("the database answers nothing");
  if (trust.synchronousStandby && text(facts, "standbys") === "") {
    throw wrong(
      "its commits wait for no standby (synchronous_standby_names is empty): a failover would forget what was signed",
    );
  }
  const off = clockAhead(facts, now);
  if (Math.abs(off) > (trust.clockToleranceMs ?? clockToleranceMs)) {
    const seconds = Math.round(Math.abs(off) / 1000);
    throw wrong(`this machine's clock is ${seconds} s ${off > 0 ? "ahead of" : "behind"} the database's`);
  }
}

/** Of our clock, in milliseconds. */
export function clockAhead(facts: Row | undefined, now: Date): number {
  return facts === undefined ? 0 : now.getTime() - integer(facts, "clock");
}

function wrong(rule: string): Refusal {
  return new Refusal("unavailable", `the database cannot be used: ${rule}`);
}
