/** A disk that can be full: a file system in memory, of a size of its own. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Disk extends Disposable {
  readonly path: string;
  /** Until not a page is left. */
  fill(): void;
  /** Gives back what `fill` took. */
  free(): void;
}

/** Why a test is left out where there is none. */
export const noDisk = "only root may mount a file system";

/** Undefined where nobody lets us mount. */
export function mountDisk(megabytes: number): Disk | undefined {
  const path = mkdtempSync(join(tmpdir(), "espalier-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", path], { stdio: "ignore" });
  } catch {
    rmdirSync(path);
    return undefined;
  }
  const filler = join(path, "filler");
  const unmount = (): void => {
    // Whoever still has a file open there keeps it, and nobody else.
    execFileSync("umount", ["--lazy", path], { stdio: "ignore" });
    rmdirSync(path);
  };
  process.once("exit", unmount);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  return {
    path,
    fill: () => {
      const file = openSync(filler, "a");
      for (const bytes of [1024 * 1024, 4096]) writeAll(file, Buffer.alloc(bytes));
      closeSync(file);
    },
    free: () => rmSync(filler),
    [Symbol.dispose]: () => {
      process.off("exit", unmount);
      unmount();
    },
  };
}

/** Again and again until there is no room for it. */
function writeAll(file: number, block: Buffer): void {
  try {
    while (writeSync(file, block) === block.length);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  }
}
