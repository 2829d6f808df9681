/** What an agent keeps between starts, so that it serves what it can while the hub is away: its own folder, private, each file whole. */
import { chmod, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../ops/replace-file.ts";

export interface Store {
  /** Undefined when it is not there. */
  read(name: string): Promise<string | undefined>;
  write(name: string, text: string, mode?: number): Promise<void>;
}

export async function openStore(directory: string): Promise<Store> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  return {
    read: async (name) => {
      try {
        return await readFile(join(directory, name), "utf8");
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
        throw error;
      }
    },
    write: async (name, text, mode = 0o600) => {
      // If we stop before this, the old file stands; after it, the new one does. Never half of either.
      await replaceFile(join(directory, name), text, mode);
    },
  };
}
