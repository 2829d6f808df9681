/** What the image runs, without an image: the sources built as its Dockerfile builds them, and node's flags of its ENTRYPOINT. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { buildTo } from "../../build.ts";

export interface Image extends AsyncDisposable {
  /** What node is given before our own arguments: its flags, and `main`. */
  readonly node: readonly string[];
  readonly main: string;
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What the image gives node before our own `main`. */
export async function readImageFlags(): Promise<readonly string[]> {
  const [, line = "[]"] = /^ENTRYPOINT (\[.*\])$/m.exec(await readFile(join(root, "Dockerfile"), "utf8")) ?? [];
  const words: readonly string[] = JSON.parse(line);
  return words.slice(1, -1);
}

export async function buildImage(): Promise<Image> {
  const directory = await mkdtemp(join(tmpdir(), "espalier-image-"));
  const dist = join(directory, "dist");
  await buildTo(dist);
  await symlink(join(root, "package.json"), join(directory, "package.json"));
  const main = join(dist, "main.js");
  const node = [...(await readImageFlags()), main];
  for (const verb of ["issuer", "agent"]) {
    const args = [...node, verb, "run", "--config", "/dev/null"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, "close")]);
    if (status !== 2) throw new Error(`${verb} run: ${status}: ${stderr}`);
  }
  return {
    node,
    main,
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true }),
  };
}
