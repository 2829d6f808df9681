/** From files to the declared state: all of it, or a refusal that lists everything wrong with it. */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { type Context, checkDeclared } from "./check.ts";
import { collect, type Declared, type Placed, type Resources } from "./declared.ts";
import { readResource } from "./kind.ts";
import type { Beside } from "./mesh-cluster.ts";
import { DocumentsRefused, type Problem } from "./problem.ts";
import { readYaml, type SourceFile } from "./yaml.ts";

export const fileBytesMax = 1024 * 1024;
export const totalBytesMax = 64 * 1024 * 1024;

/**
 * Reads every document of the `.yaml` and `.yml` files; any other file is there for documents to refer to. What one document
 * breaks on its own is told first; the rules between documents are looked at once each is whole.
 * @throws DocumentsRefused (a Refusal `config`) with every problem's file, line, column, key path and rule.
 */
export function readDocuments(files: readonly SourceFile[], context: Context = {}): Declared {
  const oversize = checkSizes(files);
  if (oversize.length > 0) throw new DocumentsRefused(oversize);
  return declare(readAll(files), digestOf(files), context);
}

/** The same without the rules between documents, for what is about to be added to them. @throws DocumentsRefused. */
export function readApart(files: readonly SourceFile[]): Resources {
  const { placed, problems } = readAll(files);
  if (problems.length > 0) throw new DocumentsRefused(inOrder(problems));
  return collect(placed).resources;
}

/** What was read one by one, judged together. @throws DocumentsRefused. */
export function declare({ placed, problems }: ReadDocuments, digest: string, context: Context): Declared {
  if (problems.length > 0) throw new DocumentsRefused(inOrder(problems));
  const { resources, locate, problems: repeated } = collect(placed);
  const verdict = checkDeclared(resources, locate, context);
  const among = [...repeated, ...verdict.problems];
  if (among.length > 0) throw new DocumentsRefused(inOrder(among));
  return { ...resources, warnings: inOrder(verdict.warnings), digest };
}

export interface ReadDocuments {
  readonly placed: readonly Placed[];
  readonly problems: readonly Problem[];
}

/** The same for the same files in any order. */
export function digestOf(files: readonly SourceFile[]): string {
  const hash = createHash("sha256");
  for (const { path, text } of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    hash.update(JSON.stringify([path, text]));
  }
  return hash.digest("hex");
}

function checkSizes(files: readonly SourceFile[]): readonly Problem[] {
  const problems: Problem[] = [];
  let total = 0;
  for (const { path: file, text } of files) {
    const report = (rule: string) => problems.push({ file, line: 1, column: 1, path: [], rule });
    const bytes = Buffer.byteLength(text);
    if (bytes > fileBytesMax) report(`is ${bytes} bytes, more than ${fileBytesMax}`);
    if (total <= totalBytesMax && total + bytes > totalBytesMax)
      report(`with this file all are more than ${totalBytesMax} bytes`);
    total += bytes;
  }
  return problems;
}

function readAll(files: readonly SourceFile[]): ReadDocuments {
  const texts = new Map(files.map(({ path, text }) => [posix.normalize(path), text]));
  const placed: Placed[] = [];
  const problems: Problem[] = [];
  for (const file of files.filter(({ path }) => /\.ya?ml$/.test(path))) {
    const beside: Beside = (path) => texts.get(posix.join(posix.dirname(file.path), path));
    const yaml = readYaml(file);
    problems.push(...yaml.problems);
    for (const document of yaml.documents) {
      const reading = readResource(document.value, beside);
      if ("resource" in reading) placed.push({ resource: reading.resource, locate: (path) => document.locate(path) });
      else problems.push(...reading.flaws.map((flaw) => ({ ...document.locate(flaw.path), ...flaw })));
    }
  }
  return { placed, problems };
}

/** As somebody going through the files would meet them. */
function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted((a, b) => {
    if (a.file !== b.file) return a.file < b.file ? -1 : 1;
    return a.line - b.line || a.column - b.column;
  });
}
