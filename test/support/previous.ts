/** The version before this one as it was released: its sources, out of this repository's own history, with the present dependencies. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What a rolling upgrade goes out from. A release moves it to the one before. */
export const previousCommit = "9530e4d";

export interface Previous extends Disposable {
  /** Its main file. */
  readonly main: string;
  /** A path inside it. */
  at(path: string): string;
}

/** @throws Error where the clone has not the history. */
export function unpackPrevious(): Previous {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const directory = mkdtempSync(join(tmpdir(), "espalier-previous-"));
  const git = (...args: readonly string[]): Buffer =>
    execFileSync("git", ["-C", root, ...args], { maxBuffer: 256 * 1024 * 1024, stdio: ["ignore", "pipe", "ignore"] });
  try {
    git("cat-file", "-e", `${previousCommit}^{commit}`);
  } catch (cause) {
    rmSync(directory, { recursive: true });
    throw new Error(
      `commit ${previousCommit}, the previous version, is not in this clone: git fetch --unshallow (in CI, check out with all history)`,
      { cause },
    );
  }
  const archive = git("archive", previousCommit, "src", "proto", "package.json");
  execFileSync("tar", ["-x", "-C", directory], { input: archive });
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  const at = (path: string): string => join(directory, path);
  return {
    main: at("src/main.ts"),
    at,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
