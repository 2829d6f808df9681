/** A file that is there whole or not at all. */
import { open, rename } from "node:fs/promises";

export async function write(path: string, text: string, mode: number): Promise<void> {
  const draft = `${path}.new`;
  {
    await using file = await open(draft, "w", mode);
    await file.chmod(mode);
    await file.writeFile(text);
  }
  await rename(draft, path);
}
