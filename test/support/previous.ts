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

/** Why a test is left out where `unpackPrevious` finds nothing. */
export const historyMissing = `commit ${previousCommit}, the previous version, is not in this copy of the repository: git fetch --unshallow`;

/** Undefined where there is no such commit: in a shallow clone, or where there is no clone at all. */
export function unpackPrevious(): Previous | undefined {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const git = (...args: readonly string[]): Buffer =>
    execFileSync("git", ["-C", root, ...args], { maxBuffer: 256 * 1024 * 1024, stdio: ["ignore", "pipe", "ignore"] });
  try {
    git("cat-file", "-e", `${previousCommit}^{commit}`);
  } catch {
    return undefined;
  }
  const directory = mkdtempSync(join(tmpdir(), "espalier-previous-"));
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
