/** Certificates' times (RFC 5280 4.1.2.5): in Zulu, to the second, UTCTime through 2049 and GeneralizedTime from 2050. */
import { type Cursor, malformed, peek, skip, tag } from "./der.ts";

/** @throws Refusal `malformed` for any other form, and for days and hours that do not exist */
export function readTime(cursor: Cursor): Date {
  const type = peek(cursor);
  if (type !== tag.utcTime && type !== tag.generalizedTime) throw malformed("a time is missing");
  const at = skip(cursor);
  const yearDigits = type === tag.utcTime ? 2 : 4;
  if (cursor.at - at !== yearDigits + 11 || cursor.bytes[cursor.at - 1] !== 0x5a) {
    throw malformed("a time not to the second and in Zulu (RFC 5280 4.1.2.5)");
  }
  const { bytes } = cursor;
  const year = type === tag.utcTime ? toYear(readPair(bytes, at)) : readPair(bytes, at) * 100 + readPair(bytes, at + 2);
  if (type === tag.generalizedTime && year < 2050) throw malformed("GeneralizedTime before 2050 (RFC 5280 4.1.2.5)");
  return toDate(year, bytes, at + yearDigits);
}

function toDate(year: number, bytes: Uint8Array, at: number): Date {
  const month = readPair(bytes, at);
  const day = readPair(bytes, at + 2);
  const hour = readPair(bytes, at + 4);
  const minute = readPair(bytes, at + 6);
  const second = readPair(bytes, at + 8);
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  // Date.UTC carries over what is too large; the 31st of February comes back as another day.
  const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!exists || hour > 23 || minute > 59 || second > 59) throw malformed("a time that does not exist");
  return date;
}

function toYear(two: number): number {
  return two < 50 ? 2000 + two : 1900 + two;
}

function readPair(text: Uint8Array, at: number): number {
  const high = (text[at] ?? 0) - 0x30;
  const low = (text[at + 1] ?? 0) - 0x30;
  if (high < 0 || high > 9 || low < 0 || low > 9) throw malformed("a time with something other than digits");
  return high * 10 + low;
}
