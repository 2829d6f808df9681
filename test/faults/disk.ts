/** What outlives a process: a database and its keys, made from those of a disk that was made once. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export interface Disk extends Disposable {
  readonly database: string;
  readonly keys: string;
  /** Another process takes the database's lock, and gives it back when this is disposed. */
  lock(): Disposable;
}

/** An empty one, or a copy of a database beside the same keys: none is ever changed, and new ones have new names. In memory where that can be. */
export function makeDisk(from?: Disk): Disk {
  const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "espalier-faults-"));
  const database = join(directory, "espalier.db");
  const keys = from?.keys ?? join(directory, "keys");
  if (from === undefined) mkdirSync(keys, { mode: 0o700 });
  else copyFileSync(from.database, database);
  return {
    database,
    keys,
    lock: () => {
      const other = new DatabaseSync(database);
      other.exec("BEGIN IMMEDIATE");
      return {
        [Symbol.dispose]: () => {
          other.exec("ROLLBACK");
          other.close();
        },
      };
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
