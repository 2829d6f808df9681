/** A schema as a table of its keys: path, default, and its own words. What docs/ must say. */
import { z } from "zod";

/** What it has of JSON Schema is what ours use. */
export interface Node {
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
}

/** Cells in Markdown, as they stand in docs/. */
export type Row = readonly [key: string, byDefault: string, words: string];

export function toRows(schema: z.ZodType): readonly Row[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what it has of JSON Schema is what ours use
  return rowsOf(z.toJSONSchema(schema, { io: "input" }) as Node, "");
}

export function rowsOf({ properties = {}, required = [] }: Node, prefix: string): readonly Row[] {
  return Object.entries(properties).flatMap(([name, node]) => {
    const key = prefix + name;
    const row: Row = [`\`${key}\``, toDefault(node, required.includes(name)), toMarkdown(node.description ?? "")];
    return [row, ...rowsOf(node, `${key}.`), ...(node.items === undefined ? [] : rowsOf(node.items, `${key}[].`))];
  });
}

function toDefault(node: Node, required: boolean): string {
  if (required) return "required";
  // A group of keys is as its keys are.
  return node.default === undefined || node.properties !== undefined ? "" : `\`${JSON.stringify(node.default)}\``;
}

/** Outside of code, `<` begins a tag and `*` an emphasis. */
function toMarkdown(text: string): string {
  return text.replaceAll(/[<*|]/g, "\\$&");
}

if (import.meta.main) {
  const [path = "", name = ""] = process.argv.slice(2);
  const module: Record<string, unknown> = await import(path);
  const schema = module[name];
  if (!(schema instanceof z.ZodType)) throw new Error(`${path} has no schema ${name}`);
  for (const row of toRows(schema)) console.log(`| ${row.join(" | ")} |`);
}
