/** What the image runs, without an image: the sources compiled as its Dockerfile compiles them, and node's flags of its ENTRYPOINT. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export interface Image extends AsyncDisposable {
  /** What node is given before our own arguments. */
  readonly node: readonly string[];
}

const root = fileURLToPath(new URL("../../", import.meta.url));

export async function buildImage(): Promise<Image> {
  const directory = await mkdtemp(join(tmpdir(), "espalier-image-"));
  for (const name of ["node_modules", "proto", "package.json"]) await symlink(join(root, name), join(directory, name));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const compile = [compiler, "-p", join(root, "tsconfig.build.json"), "--outDir", join(directory, "dist")];
  await promisify(execFile)(process.execPath, compile);
  const [, line = "[]"] = /^ENTRYPOINT (\[.*\])$/m.exec(await readFile(join(root, "Dockerfile"), "utf8")) ?? [];
  const words: readonly string[] = JSON.parse(line);
  return {
    node: [...words.slice(1, -1), join(directory, "dist/main.js")],
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true }),
  };
}
