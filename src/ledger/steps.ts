/**
 * What is done to made state, as steps: a generator yields each statement and is given what the database said. One
 * description runs in SQLite, which answers at once and must not be left in the middle of a write, and in PostgreSQL.
 */
import type { Row, Value } from "./rows.ts";

export interface Step {
  /** With a `?` for each value. */
  readonly sql: string;
  readonly values: readonly Value[];
  readonly writes: boolean;
}

export interface Done {
  readonly rows: readonly Row[];
  /** Rows that a write changed. */
  readonly changes: number;
}

export type Steps<T> = Generator<Step, T, Done>;

/** Where steps run. */
export interface Stage {
  /** One statement that writes nothing. */
  query(sql: string, ...values: readonly Value[]): Promise<readonly Row[]>;
  /**
   * One durable write of kind `state`: all of it or nothing. No other write of made state runs beside it, and no intent, where
   * `holdsIntents`.
   */
  write<T>(steps: Steps<T>, holdsIntents?: boolean): Promise<T>;
}

export function* select(sql: string, ...values: readonly Value[]): Steps<readonly Row[]> {
  return (yield { sql, values, writes: false }).rows;
}

/** Returns how many rows it changed. */
export function* alter(sql: string, ...values: readonly Value[]): Steps<number> {
  return (yield { sql, values, writes: true }).changes;
}

export function runSteps<T>(steps: Steps<T>, run: (step: Step) => Done): T {
  for (let next = steps.next(); ; next = steps.next(run(next.value))) if (next.done === true) return next.value;
}

export async function runStepsAsync<T>(steps: Steps<T>, run: (step: Step) => Promise<Done>): Promise<T> {
  for (let next = steps.next(); ; next = steps.next(await run(next.value))) if (next.done === true) return next.value;
}
