/** Data for people and for programs. */

/** Columns as wide as their widest cell; one row a line. */
export function toTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows];
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
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** `name: value` lines; what has no value is left out. */
export function toFields(fields: readonly (readonly [string, string])[]): string {
  const said = fields.filter(([, value]) => value !== "");
  const width = Math.max(...said.map(([name]) => name.length)) + 1;
  return said
    .map(([name, value]) => `${name}:`.padEnd(width + 1) + value)
    .join("\n")
    .concat("\n");
}
