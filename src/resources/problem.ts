/** What is wrong with documents, and where: everything at once, each with the place to go to. */
import { Refusal } from "../errors.ts";

/** Where in a document: `["spec", "rules", 0, "name"]`. */
export type Path = readonly (string | number)[];

/** A rule broken somewhere in one document. */
export interface Flaw {
  readonly path: Path;
  readonly rule: string;
}

/** One-based, as editors count. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Problem extends Position, Flaw {}

/** How checks speak up: they go on afterwards, so that one reading finds all there is. */
export type Report = (path: Path, rule: string) => void;

/** The most that one message lists; `problems` has them all. */
const listedMax = 50;

/** Refusal `config` of documents as a whole: none of them is taken. */
export class DocumentsRefused extends Refusal {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], options?: ErrorOptions) {
    const listed = problems.slice(0, listedMax).map(toLine);
    if (problems.length > listedMax) listed.push(`and ${problems.length - listedMax} more`);
    super("config", listed.join("\n"), options);
    this.problems = problems;
  }
}

/** `tenants.yaml:12:5 spec.rules[0].name: must be …` */
export function toLine({ file, line, column, path, rule }: Problem): string {
  const where = `${file}:${line}:${column}`;
  return path.length === 0 ? `${where}: ${rule}` : `${where} ${toKeyPath(path)}: ${rule}`;
}

export function toKeyPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    const key = /^[A-Za-z_][\w-]*$/.test(step) ? step : JSON.stringify(step);
    return text === "" ? key : `${text}.${key}`;
  }, "");
}
