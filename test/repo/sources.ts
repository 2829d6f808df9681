/** The repository's own files, for tests about them. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** What people read. */
export const documents = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "docs/architecture.md",
  "docs/cert-manager.md",
  "docs/kubernetes-csr.md",
  "docs/configuration.md",
  "docs/istio-csr.md",
  "docs/kubernetes.md",
  "docs/moving-from-istio.md",
  "docs/operating.md",
  "docs/protocol.md",
  "docs/reliability.md",
  "docs/resources.md",
  "docs/roots.md",
  "docs/rotation.md",
  "docs/security.md",
];

export function read(path: string): string {
  return readFileSync(root + path, "utf8");
}

/** TypeScript files below a folder, as paths from the root; what is generated is left out. */
export function sources(folder: string): readonly string[] {
  return readdirSync(root + folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.startsWith("rpc/gen/"))
    .map((path) => `${folder}/${path}`)
    .sort();
}

/** What a document shows to be copied: what it has indented, from one blank line to the next. */
export function blocksOf(path: string): readonly string[] {
  return [...read(path).matchAll(/(?:^ {4}.*\n)+/gm)].map(([block]) => block.replaceAll(/^ {4}/gm, ""));
}

/** An object, or what is shown of one. */
export interface Manifest {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly metadata?: { readonly name: string; readonly namespace?: string };
  readonly spec?: object;
}

/** Of these, the manifests; those that stand together are read together. */
export function manifestsOf(path: string): readonly (readonly Manifest[])[] {
  const texts = blocksOf(path).filter((block) => /^(?:apiVersion|kind): /.test(block));
  return texts.map((text) => parseAllDocuments(text).map((one): Manifest => one.toJS()));
}

/** A table's rows below a heading, each as its cells; the heading's and the ruler's are left out. */
export function tableBelow(document: string, heading: string): readonly (readonly string[])[] {
  const lines = document.split("\n");
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === heading);
  if (start < 0) throw new Error(`there is no heading "${heading}"`);
  const length = lines.slice(start + 1).findIndex((line) => /^#+ /.test(line));
  const rows = lines
    .slice(start + 1, length < 0 ? undefined : start + 1 + length)
    .filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replaceAll("\\|", "|")),
  );
}
