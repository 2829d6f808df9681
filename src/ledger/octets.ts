/** Bytes and times as the ledger writes them down: lower-case hex, base64, and RFC 3339 in UTC to the second. */

const timesMax = 1024;
const timeGrammar = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

export function toHex(bytes: Uint8Array): string {
  return toBuffer(bytes).toString("hex");
}

export function toBase64(bytes: Uint8Array): string {
  return toBuffer(bytes).toString("base64");
}

/** Whether two byte strings are the same; not in constant time, for nothing here is secret. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return toBuffer(left).equals(right);
}

/** Fractions of a second are cut off. Throws a plain error outside the years 0 to 9999. */
export function toTime(date: Date): string {
  const text = date.toISOString();
  if (text.length !== 24) throw new Error(`the year of ${text} has not four digits`);
  return `${text.slice(0, 19)}Z`;
}

/** `toTime` that remembers: the times of one batch are few, and writing one costs a microsecond. */
export function createTimes(): (date: Date) => string {
  const known = new Map<number, string>();
  return (date) => {
    const second = Math.floor(date.getTime() / 1000);
    const found = known.get(second);
    if (found !== undefined) return found;
    if (known.size >= timesMax) known.clear();
    const text = toTime(date);
    known.set(second, text);
    return text;
  };
}

/** Undefined for what `toTime` does not write. */
export function readTime(text: string): Date | undefined {
  if (!timeGrammar.test(text)) return undefined;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** A view, not a copy. */
export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
