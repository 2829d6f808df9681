/** A file that is replaced whole or not at all, and is there after a power cut. */
import { randomBytes } from "node:crypto";
import { open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** What it throws is the system's; then the old file stands, or is not there as before. */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}`);
  try {
    {
      await using file = await open(draft, "wx", mode);
      await file.chmod(mode);
      await file.writeFile(text);
      await file.sync();
    }
    // If we stop before this, the old file stands, and beside it a hidden one that nothing reads; after it, the new one does.
    await rename(draft, path);
  } catch (error) {
    // Tried again and again on a full disk, it would leave one each time.
    await unlink(draft).catch(() => undefined);
    throw error;
  }
}
