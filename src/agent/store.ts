/** What an agent keeps between starts, so that it serves what it can while the hub is away: its own folder, private, each file whole. */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";

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
      const draft = join(directory, `.${name}.${randomBytes(4).toString("hex")}`);
      {
        await using file = await open(draft, "wx", mode);
        await file.chmod(mode);
        await file.writeFile(text);
        await file.sync();
      }
      // If we stop before this, the old file stands; after it, the new one does. Never half of either.
      await rename(draft, join(directory, name));
    },
  };
}
