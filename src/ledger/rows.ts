/** Columns of a row as the types they were declared with. The tables are STRICT, so another type is a plain error. */

export type Value = null | number | bigint | string | Uint8Array;
export type Row = Readonly<Record<string, Value>>;

export function text(row: Row, column: string): string {
  return optionalText(row, column) ?? missing(column);
}

export function integer(row: Row, column: string): number {
  return optionalInteger(row, column) ?? missing(column);
}

export function blob(row: Row, column: string): Uint8Array {
  return optionalBlob(row, column) ?? missing(column);
}

/** Milliseconds since 1970, as the tables of made state keep times. */
export function date(row: Row, column: string): Date {
  return new Date(integer(row, column));
}

/** One of a closed list. */
export function member<T extends string>(row: Row, column: string, isMember: (value: string) => value is T): T {
  const value = text(row, column);
  if (!isMember(value)) throw new Error(`column ${column} has ${value}, which this binary does not know`);
  return value;
}

export function optionalText(row: Row, column: string): string | undefined {
  const value = row[column];
  return typeof value === "string" ? value : nothing(value, column);
}

export function optionalInteger(row: Row, column: string): number | undefined {
  const value = row[column];
  return typeof value === "number" ? value : nothing(value, column);
}

export function optionalBlob(row: Row, column: string): Uint8Array | undefined {
  const value = row[column];
  return value instanceof Uint8Array ? value : nothing(value, column);
}

function nothing(value: Value | undefined, column: string): undefined {
  if (value !== null) throw new Error(`column ${column} is ${value === undefined ? "not there" : `a ${typeof value}`}`);
  return undefined;
}

function missing(column: string): never {
  throw new Error(`column ${column} is null`);
}
