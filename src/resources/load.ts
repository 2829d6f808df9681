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
  let total = 0;
  for (const path of await listFiles(directory)) {
    const text = await readText(path);
    files.push({ path, text });
    total += text.length;
    if (files.length > filesMax || total > totalBytesMax) {
      throw refused(path, `with this file there are more than ${filesMax} files or ${totalBytesMax} bytes`);
    }
  }
  return files;
}

async function listFiles(directory: string): Promise<readonly string[]> {
  const found: string[] = [];
  await walk(directory, 0, found);
  return found.sort();
}

async function walk(directory: string, depth: number, found: string[]): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw refused(directory, `cannot be read (${codeOf(error)})`, error);
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
      if (entry.size > fileBytesMax) throw refused(path, `is ${entry.size} bytes, more than ${fileBytesMax}`);
      found.push(path);
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
