/** Data for people and for programs. */

/** Controls of a terminal, line breaks, and what turns the direction of writing. */
const unprintable = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** What others have written, an object's names among it, is shown and does nothing: it makes no line of its own either. */
export function toPrintable(text: string): string {
  return text.replace(unprintable, toEscape);
}

function toEscape(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
}

/** Columns as wide as their widest cell; one row a line. */
export function toTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows].map((row) => row.map(toPrintable));
  // One by one: a table may have more rows than a call takes arguments.
  const widths = headings.map((_, column) => all.reduce((most, row) => Math.max(most, (row[column] ?? "").length), 0));
  const lines = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

export function toJson(value: unknown): string {
  // JSON itself escapes some of them, and outside of its texts there are none but line breaks.
  return `${JSON.stringify(value, undefined, 2).replace(unprintable, (one) => (one === "\n" ? one : toEscape(one)))}\n`;
}

/** `name: value` lines; what has no value is left out. */
export function toFields(fields: readonly (readonly [string, string])[]): string {
  const said = fields.filter(([, value]) => value !== "");
  const width = Math.max(...said.map(([name]) => name.length)) + 1;
  return said
    .map(([name, value]) => `${name}:`.padEnd(width + 1) + toPrintable(value))
    .join("\n")
    .concat("\n");
}
