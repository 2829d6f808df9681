/**
 * Bodies of intents that have long expired are let go, in the order of their entries: everything up to one number, and nothing behind
 * it. Their leaf hashes, positions and serials stay, so that every tree still verifies, no serial is given twice and no idempotency key
 * is used anew. Acts stay whole.
 */
import { setTimeout } from "node:timers/promises";
import { hubLog } from "./ledger.ts";
import type { Change } from "./made-state.ts";
import { toTime } from "./octets.ts";
import { blob, integer, optionalInteger, type Row, text } from "./rows.ts";
import type { State } from "./state.ts";
import { alter, type Stage, type Steps, select } from "./steps.ts";

/** What is written where a body was. No entry's own is empty. */
export const prunedBody = new Uint8Array();

/** Of a row with `body`. */
export function isPruned(row: Row): boolean {
  return blob(row, "body").length === 0;
}

/** Verbs of acts that say how far bodies may have gone, in `details.upTo`. */
export const pruneVerb = "prune-bodies";

/** Entries that one act speaks of. */
const entriesPerActMax = 100_000;
/** Rows that one look takes in: some two milliseconds. */
const entriesPerLook = 2000;
/** Bodies that go with one write, while nothing else can be written to SQLite. */
const entriesPerWrite = 250;
/** Between two writes. */
const pauseMs = 20;

export function retentionState(stage: Stage, change: Change): Pick<State, "prune"> {
  async function read(): Promise<Progress> {
    return toProgress(await stage.query(selectRetention));
  }

  /** The last intent, after this entry, up to which all may go. */
  async function findDue(after: number, before: Date): Promise<number> {
    let [seen, due] = [after, after];
    while (due - after < entriesPerActMax) {
      const rows = await stage.query(
        `SELECT e.id, e.kind, e.not_after, l.entry AS placed FROM entries e LEFT JOIN leaves l ON l.entry = e.id
         WHERE e.id > ? ORDER BY e.id LIMIT ${entriesPerLook}`,
        seen,
      );
      for (const row of rows) {
        if (!mayGo(row, before)) return due;
        seen = integer(row, "id");
        if (text(row, "kind") === "intent") due = seen;
      }
      if (rows.length < entriesPerLook) return due;
      await setTimeout(0);
    }
    return due;
  }

  return {
    async prune(expiredBefore, going) {
      let { dueTo, prunedTo } = await read();
      const begun = prunedTo;
      while (going()) {
        if (prunedTo === dueTo) {
          const next = await findDue(prunedTo, expiredBefore);
          if (next === prunedTo) break;
          const details = { after: String(prunedTo), upTo: String(next), expiredBefore: toTime(expiredBefore) };
          const act = { log: hubLog, verb: pruneVerb, operator: "espalier", reason: "retention", details };
          // If we stop before this commits, no body may go; after it, those may that it speaks of, and the next pass goes on.
          if (!(await change(act, setDue(prunedTo, next)))) break;
          dueTo = next;
        }
        const to = Math.min(prunedTo + entriesPerWrite, dueTo);
        // If we stop before this commits, these bodies are whole. Nobody reads them: what they say has long expired.
        if (!(await stage.write(emptyBodies(prunedTo, to)))) break;
        prunedTo = to;
        await setTimeout(pauseMs);
      }
      return prunedTo - begun;
    },
  };
}

interface Progress {
  readonly dueTo: number;
  readonly prunedTo: number;
}

export const selectRetention = "SELECT due_to, pruned_to FROM retention";

export function toProgress([row]: readonly Row[]): Progress {
  return row === undefined
    ? { dueTo: 0, prunedTo: 0 }
    : { dueTo: integer(row, "due_to"), prunedTo: integer(row, "pruned_to") };
}

/** An act is passed over; what has no position yet is as new as can be. */
function mayGo(row: Row, before: Date): boolean {
  if (row["placed"] === null) return false;
  const notAfter = optionalInteger(row, "not_after");
  return text(row, "kind") === "act" || (notAfter !== undefined && notAfter * 1000 < +before);
}

/** False where somebody else has gone on meanwhile. */
function* setDue(prunedTo: number, dueTo: number): Steps<boolean> {
  return (
    (yield* alter("UPDATE retention SET due_to = ? WHERE due_to = ? AND pruned_to = ?", dueTo, prunedTo, prunedTo)) > 0
  );
}

function* emptyBodies(after: number, to: number): Steps<boolean> {
  const [row] = yield* select(selectRetention);
  const { dueTo, prunedTo } = toProgress(row === undefined ? [] : [row]);
  if (prunedTo !== after || to > dueTo) return false;
  yield* alter("UPDATE entries SET body = ? WHERE id > ? AND id <= ? AND kind = 'intent'", prunedBody, after, to);
  yield* alter("UPDATE retention SET pruned_to = ?", to);
  return true;
}
