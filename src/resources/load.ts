/** The files of a directory, as an operator or a mounted ConfigMap leaves them there. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "./check.ts";
import type { Declared } from "./declared.ts";
import { DocumentsRefused } from "./problem.ts";
import { fileBytesMax, readDocuments, totalBytesMax } from "./read.ts";
import type { SourceFile } from "./yaml.ts";

/** Directories below the one given are read too, down to here; a link that leads back up ends here as well. */
const depthMax = 8;
const filesMax = 20_000;

/** @throws DocumentsRefused, also when the directory or a file in it cannot be read. */
export async function loadDirectory(directory: string, context: Context = {}): Promise<Declared> {
  return readDocuments(await readFiles(directory), context);
}

/** Every .yaml, .yml and .json file, sorted by path. @throws DocumentsRefused. */
export async function readFiles(directory: string): Promise<readonly SourceFile[]> {
  const files: SourceFile[] = [];
  for (const { path } of await listFiles(directory)) files.push({ path, text: await readText(path) });
  return files;
}

/** Changes when a file does, and costs no reading. @throws DocumentsRefused. */
export async function stampOf(directory: string): Promise<string> {
  const files = await listFiles(directory);
  return files.map(({ path, size, ino, mtimeMs, ctimeMs }) => [path, size, ino, mtimeMs, ctimeMs].join()).join(";");
}

interface Listed {
  readonly path: string;
  readonly size: number;
  readonly ino: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

async function listFiles(directory: string): Promise<readonly Listed[]> {
  const found: Listed[] = [];
  await walk(directory, 0, found);
  found.sort((a, b) => (a.path < b.path ? -1 : 1));
  const total = found.reduce((sum, { size }) => sum + size, 0);
  if (found.length > filesMax || total > totalBytesMax) {
    throw refused(directory, `has more than ${filesMax} files or ${totalBytesMax} bytes`);
  }
  return found;
}

async function walk(directory: string, depth: number, found: Listed[]): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    const isMissing = depth === 0 && codeOf(error) === "ENOENT";
    throw refused(directory, isMissing ? "there is no such directory" : `cannot be read (${codeOf(error)})`, error);
  });
  for (const name of names) {
    // A ConfigMap's files are links into a hidden ..data, which would else be read twice.
    if (name.startsWith(".")) continue;
    const path = join(directory, name);
    const entry = await stat(path).catch((error: unknown) => {
      throw refused(path, `cannot be read (${codeOf(error)})`, error);
    });
    if (entry.isDirectory() && depth < depthMax) await walk(path, depth + 1, found);
    else if (entry.isFile() && /\.(ya?ml|json)$/.test(name)) {
      const { size, ino, mtimeMs, ctimeMs } = entry;
      if (size > fileBytesMax) throw refused(path, `is ${size} bytes, more than ${fileBytesMax}`);
      found.push({ path, size, ino, mtimeMs, ctimeMs });
    }
  }
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw refused(path, `cannot be read (${codeOf(error)})`, error);
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw refused(path, "is not UTF-8", error);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

function refused(file: string, rule: string, cause?: unknown): DocumentsRefused {
  return new DocumentsRefused([{ file, line: 1, column: 1, path: [], rule }], { cause });
}
