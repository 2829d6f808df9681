/** A SQLite database as an issuer of before would have left it: all that is in it, under a schema that lacks the newest migrations. */
import { renameSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { openConnection } from "../../src/ledger/connection.ts";
import { migrate, migrations } from "../../src/ledger/schema.ts";

/** The first that it lacks. From it on no column is given up, so every row fits. */
const firstLacking = "delegating authorities";
const olderMigrations = migrations.slice(
  0,
  migrations.findIndex(({ name }) => name === firstLacking),
);

/** While nobody has it open. Returns how many migrations it has had. */
export function makeOlder(path: string): number {
  const older = `${path}.older`;
  const connection = openConnection(older);
  migrate(connection, true, new Date(), olderMigrations);
  connection.close();
  {
    using database = new DatabaseSync(older, { enableForeignKeyConstraints: false });
    database.exec(`ATTACH '${path}' AS newer`);
    const namesIn = (sql: string, ...parameters: readonly string[]): readonly string[] =>
      database
        .prepare(sql)
        .all(...parameters)
        .map(({ name }) => String(name));
    const tables = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name <> 'migrations'";
    for (const table of namesIn(`${tables} AND name NOT GLOB 'sqlite_*'`)) {
      const columns = namesIn("SELECT name FROM pragma_table_info(?, 'main')", table).join();
      const copy = `INSERT INTO main.${table} (${columns}) SELECT ${columns} FROM newer.${table}`;
      database.exec(`DELETE FROM main.${table}; ${copy}`);
    }
  }
  for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
  renameSync(older, path);
  return olderMigrations.length;
}

/** How many migrations a database has had. */
export function countMigrations(path: string): number {
  using database = new DatabaseSync(path, { readOnly: true });
  return Number(database.prepare("SELECT count(*) AS n FROM migrations").get()?.["n"]);
}
