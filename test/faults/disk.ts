/** What outlives a process: a database, keys and files, made from those of a disk that was made once. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export interface Disk extends Disposable {
  readonly database: string;
  readonly keys: string;
  /** The key that seals the others, where they are in the database. */
  readonly sealingKey: string;
  readonly highWater: string;
  /** Another process takes the database's lock, and gives it back when this is disposed. */
  lock(): Disposable;
}

/** Where an fsync costs nothing, if there is such a place. */
export const ramDisk = existsSync("/dev/shm") ? "/dev/shm" : undefined;

/** An empty one, or a copy of a database beside the same key files: none of those is ever changed, and new ones have new names. */
export function makeDisk(from?: Disk): Disk {
  const directory = mkdtempSync(join(ramDisk ?? tmpdir(), "espalier-faults-"));
  const at = (name: string): string => join(directory, name);
  const disk = {
    database: at("espalier.db"),
    keys: from?.keys ?? at("keys"),
    sealingKey: at("sealing.key"),
    highWater: at("newest"),
  };
  if (from === undefined) mkdirSync(disk.keys, { mode: 0o700 });
  else {
    copyFileSync(from.database, disk.database);
    if (existsSync(from.sealingKey)) copyFileSync(from.sealingKey, disk.sealingKey);
  }
  return {
    ...disk,
    lock: () => {
      const other = new DatabaseSync(disk.database);
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
