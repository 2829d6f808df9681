/** A small DER writer: each function returns one finished element. For what is written once; `leaf.ts` has its own way. */
import { tag } from "./der.ts";

/** One element of the given tag around the parts, in their order. */
export function toElement(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const header = toHeader(type, length);
  return concat([header, ...parts]);
}

export function toSequence(...parts: readonly Uint8Array[]): Uint8Array {
  return toElement(tag.sequence, ...parts);
}

/** A BIT STRING of whole octets. */
export function toBitString(octets: Uint8Array): Uint8Array {
  return toElement(tag.bitString, Uint8Array.of(0), octets);
}

export function toOctetString(...parts: readonly Uint8Array[]): Uint8Array {
  return toElement(tag.octetString, ...parts);
}

/** RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050; whole seconds, rounded down. */
export function toTime(date: Date): Uint8Array {
  const year = date.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999)) throw new Error(`the year ${year} cannot be written as a certificate's time`);
  const generalized = year >= 2050;
  const length = generalized ? 15 : 13;
  const time = new Uint8Array(2 + length);
  time[0] = generalized ? tag.generalizedTime : tag.utcTime;
  time[1] = length;
  if (generalized) putPair(time, 2, Math.floor(year / 100));
  const at = length - 9;
  putPair(time, at - 2, year % 100);
  putPair(time, at, date.getUTCMonth() + 1);
  putPair(time, at + 2, date.getUTCDate());
  putPair(time, at + 4, date.getUTCHours());
  putPair(time, at + 6, date.getUTCMinutes());
  putPair(time, at + 8, date.getUTCSeconds());
  time[length + 1] = 0x5a;
  return time;
}

function putPair(time: Uint8Array, at: number, value: number): void {
  time[at] = 0x30 + Math.floor(value / 10);
  time[at + 1] = 0x30 + (value % 10);
}

/** Tag and length, definite and minimal. */
export function toHeader(type: number, length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(type, length);
  if (length < 0x100) return Uint8Array.of(type, 0x81, length);
  if (length < 0x10000) return Uint8Array.of(type, 0x82, length >> 8, length & 0xff);
  if (length < 0x1000000) return Uint8Array.of(type, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
  throw new Error(`an element of ${length} bytes is too long to write`);
}

export function toAscii(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** Encoded bytes written as hex, for tables. */
export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = allocate(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Bytes to be filled, from Buffer's pool: memory of its own would cost more than filling it. */
export function allocate(length: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafe(length);
  return new Uint8Array(buffer, byteOffset, length);
}
