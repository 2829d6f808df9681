/** One change of made state with its act: both are written, or neither is. */
import { Refusal } from "../errors.ts";
import { prepareInsertAct } from "./columns.ts";
import { type Connection, isUniqueViolation } from "./connection.ts";
import type { Act } from "./ledger.ts";

/** Runs a change and writes its act down, or neither. A change that returns false had nothing to do. */
export type Change = (act: Act, work: () => boolean) => boolean;

export function prepareChange(connection: Connection, now: () => Date): Change {
  const insertAct = prepareInsertAct(connection);
  return (act, work) =>
    // If we stop before this commits, neither the change nor its act is there, and the operator was told of neither.
    connection.transact("state", () => {
      const changed = work();
      if (changed) insertAct(act, now());
      return changed;
    });
}

/** @throws Refusal `not-ready` with the message where a row is there already. */
export function unlessTaken(work: () => void, message: string): void {
  try {
    work();
  } catch (cause) {
    throw isUniqueViolation(cause) ? new Refusal("not-ready", message, { cause }) : cause;
  }
}
