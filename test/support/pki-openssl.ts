/** The openssl binary as a judge, where there is one. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

/** Runs openssl over files that exist only meanwhile; `{name}` in an argument is the path of that file. */
export function openssl(args: readonly string[], files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), "espalier-pki-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
    const paths = args.map((arg) => arg.replace(/^\{(.+)\}$/, (_, name: string) => join(dir, name)));
    return execFileSync("openssl", paths, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } finally {
    rmSync(dir, { recursive: true });
  }
}
