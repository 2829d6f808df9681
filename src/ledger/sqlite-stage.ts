/** Steps in SQLite: one after the other without a pause, so that nobody else finds the write half done. */
import type { Connection, Statement } from "./connection.ts";
import { type Done, runSteps, type Stage, type Step } from "./steps.ts";

export function toStage(connection: Connection): Stage {
  const statements = new Map<string, Statement>();
  function prepared(sql: string): Statement {
    const statement = statements.get(sql) ?? connection.prepare(sql);
    statements.set(sql, statement);
    return statement;
  }
  function run({ sql, values, writes }: Step): Done {
    if (!writes) return { rows: prepared(sql).all(...values), changes: 0 };
    return { rows: [], changes: prepared(sql).run(...values).changes };
  }
  return {
    query: async (sql, ...values) => prepared(sql).all(...values),
    write: async (steps) => connection.transact("state", () => runSteps(steps, run)),
  };
}
