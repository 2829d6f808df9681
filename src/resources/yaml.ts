/** YAML as we take it: 1.2, strict, nothing merged or left unsaid; and for each key the line and column it stands at. */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from "yaml";
import type { Path, Position, Problem } from "./problem.ts";

/** A file as read. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** One document of a file. */
export interface YamlDocument {
  readonly value: unknown;
  /** Where the key or the item at a path stands; for what is missing, the nearest thing around it. */
  locate(path: Path): Position;
}

export interface YamlFile {
  readonly documents: readonly YamlDocument[];
  readonly problems: readonly Problem[];
}

/** A few anchors make a document shorter; many make a small one huge. */
const aliasesMax = 64;
/** After the first few, what a parser says of a document is what follows from them. */
const errorsMax = 10;

/** Documents without content (a stray `---`, only comments) are left out. */
export function readYaml({ path: file, text }: SourceFile): YamlFile {
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problems: Problem[] = [];
  const documents: YamlDocument[] = [];
  for (const document of parse(text, lines)) {
    const start = document.contents?.range?.[0] ?? document.range[0];
    const report = (offset: number, rule: string) => problems.push({ ...at(offset), path: [], rule });
    // A warning is an unknown tag: its value would silently be something else than was meant.
    for (const { pos, message } of [...document.errors, ...document.warnings].slice(0, errorsMax))
      report(pos[0], toRule(message));
    // %YAML 1.1 would bring back merge keys, and "no" for false.
    if (document.directives.yaml.version !== "1.2") report(start, "must be YAML 1.2");
    if (problems.length > 0 || document.contents === null) continue;
    if (isScalar(document.contents) && document.contents.value === null) continue;
    try {
      const value: unknown = document.toJS({ maxAliasCount: aliasesMax });
      documents.push({ value, locate: (path) => at(offsetOf(document, path)) });
    } catch (error) {
      report(start, toRule(error instanceof Error ? error.message : String(error)));
    }
  }
  return { documents, problems };
}

function parse(text: string, lineCounter: LineCounter): readonly Document.Parsed[] {
  const documents = parseAllDocuments(text, {
    lineCounter,
    version: "1.2",
    schema: "core",
    merge: false,
    strict: true,
    uniqueKeys: true,
    stringKeys: true,
    prettyErrors: false,
    logLevel: "silent",
  });
  // An empty stream is an array with something more; there is nothing in it.
  return "empty" in documents ? [] : documents;
}

function offsetOf(document: Document.Parsed, path: Path): number {
  let node: Node | null = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const step of path) {
    const next = stepInto(isAlias(node) ? (node.resolve(document) ?? null) : node, step);
    if (next === undefined) return offset;
    offset = next.offset ?? offset;
    node = next.node;
  }
  return offset;
}

function stepInto(
  node: Node | null,
  step: string | number,
): { readonly node: Node | null; readonly offset?: number } | undefined {
  if (isSeq(node)) {
    const item = typeof step === "number" ? node.items[step] : undefined;
    return toStep(item, item);
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && key.value === String(step));
  return toStep(pair?.key, pair?.value);
}

/** Where the marker stands (a map's key, a list's item), and what lies beyond it. */
function toStep(marker: unknown, value: unknown): { readonly node: Node | null; readonly offset?: number } | undefined {
  if (!isNode(marker)) return undefined;
  const offset = marker.range?.[0];
  return { node: isNode(value) ? value : null, ...(offset === undefined ? {} : { offset }) };
}

function isNode(value: unknown): value is Node {
  return isAlias(value) || isScalar(value) || isCollection(value);
}

/** The library's sentence as ours: lower case, no full stop, one line. */
function toRule(message: string): string {
  const [line = ""] = message.split("\n");
  return `${line.charAt(0).toLowerCase()}${line.slice(1)}`.replace(/[.:]$/, "");
}
