/**
 * DER (X.690), read strictly and in place. `openDer` checks the whole tree once: definite minimal lengths, canonical
 * BOOLEAN, INTEGER, BIT STRING and OID, sorted sets, nothing behind the end. After that a cursor walks the same bytes;
 * nothing is copied. Everything hostile is Refusal `malformed`.
 */
import { Refusal } from "../errors.ts";

/** The most an encoding may be where the caller says nothing else, in bytes. */
export const derBytesMax = 16 * 1024;
const depthMax = 16;

export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** Context-specific and constructed, [0]. */
  context0: 0xa0,
  context3: 0xa3,
} as const;

/** Where reading stands. The one mutable thing of this folder: an object per node would cost more than the parsing. */
export interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
  end: number;
}

/** Checks that the bytes are exactly one DER element, all the way down, and opens them. `what` names them in refusals. */
export function openDer(bytes: Uint8Array, what: string, bytesMax: number = derBytesMax): Cursor {
  if (bytes.length === 0) throw malformed(`${what} is empty`);
  if (bytes.length > bytesMax) throw malformed(`${what} is longer than ${bytesMax} bytes`);
  const cursor = { bytes, at: 0, end: bytes.length };
  skip(cursor);
  if (cursor.at !== cursor.end) throw malformed(`${what} has bytes behind its end`);
  cursor.at = 0;
  checkAll(cursor, 1);
  cursor.at = 0;
  return cursor;
}

/** The next element's tag, or 0 where there is none. */
export function peek(cursor: Cursor): number {
  return cursor.at < cursor.end ? (cursor.bytes[cursor.at] ?? 0) : 0;
}

/** Steps into an element; what it returns is handed to `leave` when all of it is read. */
export function enter(cursor: Cursor, expected: number, what: string): number {
  if (peek(cursor) !== expected) throw malformed(`${what} is missing or of another type`);
  cursor.at += 1;
  const outer = cursor.end;
  cursor.end = readLength(cursor);
  return outer;
}

/** Steps out of an element of which nothing may be left. */
export function leave(cursor: Cursor, outer: number, what: string): void {
  if (cursor.at !== cursor.end) throw malformed(`${what} has more than it may have`);
  cursor.end = outer;
}

/** Steps into an OCTET STRING or BIT STRING that wraps DER, after checking that as `openDer` does. */
export function enterWrapped(cursor: Cursor, expected: number, what: string): number {
  const outer = enter(cursor, expected, what);
  if (expected === tag.bitString) checkWholeOctets(cursor, what);
  const start = cursor.at;
  checkAll(cursor, 1);
  cursor.at = start;
  return outer;
}

/** Steps over one element, whatever it is, and returns where its content begins. */
export function skip(cursor: Cursor): number {
  if (cursor.at >= cursor.end) throw malformed("an element is missing");
  cursor.at += 1;
  const end = readLength(cursor);
  const start = cursor.at;
  cursor.at = end;
  return start;
}

/** One element with its tag and length. */
export function readElement(cursor: Cursor, expected: number, what: string): Uint8Array {
  if (peek(cursor) !== expected) throw malformed(`${what} is missing or of another type`);
  const start = cursor.at;
  skip(cursor);
  return cursor.bytes.subarray(start, cursor.at);
}

/** One element's content. */
export function readContent(cursor: Cursor, expected: number, what: string): Uint8Array {
  if (peek(cursor) !== expected) throw malformed(`${what} is missing or of another type`);
  const start = skip(cursor);
  return cursor.bytes.subarray(start, cursor.at);
}

/** The octets of a BIT STRING that has no unused bits. */
export function readOctets(cursor: Cursor, what: string): Uint8Array {
  const outer = enter(cursor, tag.bitString, what);
  checkWholeOctets(cursor, what);
  const octets = cursor.bytes.subarray(cursor.at, cursor.end);
  cursor.at = cursor.end;
  cursor.end = outer;
  return octets;
}

/** Steps over exactly these encoded bytes if they are what comes next. */
export function take(cursor: Cursor, encoded: Uint8Array): boolean {
  if (encoded.length > cursor.end - cursor.at) return false;
  for (let i = 0; i < encoded.length; i++) if (cursor.bytes[cursor.at + i] !== encoded[i]) return false;
  cursor.at += encoded.length;
  return true;
}

/** Whether two encodings are the same; for what is short, cheaper than a call into native code. */
export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function malformed(rule: string): Refusal {
  return new Refusal("malformed", rule);
}

function checkWholeOctets(cursor: Cursor, what: string): void {
  if (cursor.bytes[cursor.at] !== 0 || cursor.at >= cursor.end) throw malformed(`${what} has unused bits`);
  cursor.at += 1;
}

/** X.690 8.1.3 and 10.1: definite, and in the fewest octets. Leaves the cursor at the content and returns its end. */
function readLength(cursor: Cursor): number {
  const first = readOctet(cursor);
  const length = first < 0x80 ? first : readLongLength(cursor, first & 0x7f);
  if (length > cursor.end - cursor.at) throw malformed("an element is longer than what holds it");
  return cursor.at + length;
}

function readLongLength(cursor: Cursor, octets: number): number {
  if (octets === 0) throw malformed("an indefinite length (X.690 10.1)");
  if (octets > 3) throw malformed("a length of more than three octets");
  let length = 0;
  for (let i = 0; i < octets; i++) length = length * 256 + readOctet(cursor);
  if (length < 0x80 || length < 1 << (8 * (octets - 1)))
    throw malformed("a length not in the fewest octets (X.690 10.1)");
  return length;
}

function readOctet(cursor: Cursor): number {
  const octet = cursor.bytes[cursor.at];
  if (octet === undefined || cursor.at >= cursor.end) throw malformed("it ends within an element");
  cursor.at += 1;
  return octet;
}

function checkAll(cursor: Cursor, depth: number): void {
  if (depth > depthMax) throw malformed(`nested deeper than ${depthMax}`);
  while (cursor.at < cursor.end) {
    const type = readOctet(cursor);
    const end = readLength(cursor);
    if (isConstructed(type)) {
      const outer = cursor.end;
      const start = cursor.at;
      cursor.end = end;
      checkAll(cursor, depth + 1);
      if (type === tag.set) checkOrder(cursor.bytes, start, end);
      cursor.end = outer;
    } else {
      checkPrimitive(cursor.bytes, type, cursor.at, end);
      cursor.at = end;
    }
  }
}

/** Only SEQUENCE, SET and context-specific types may be constructed in DER as X.509 uses it (X.690 10.2). */
function isConstructed(type: number): boolean {
  if ((type & 0x1f) === 0x1f) throw malformed("a tag number above 30");
  if ((type & 0xc0) === 0x80) return (type & 0x20) !== 0;
  if (type === tag.sequence || type === tag.set) return true;
  if (type > 0x1e || type === 0 || type === 0x10 || type === 0x11) throw malformed(`tag 0x${type.toString(16)}`);
  return false;
}

function checkPrimitive(bytes: Uint8Array, type: number, start: number, end: number): void {
  const first = bytes[start] ?? 0;
  const length = end - start;
  if (type === tag.integer || type === 0x0a) {
    const second = bytes[start + 1] ?? 0;
    if (length === 0) throw malformed("an empty INTEGER (X.690 8.3.1)");
    if (length > 1 && (first === 0 ? second < 0x80 : first === 0xff && second >= 0x80)) {
      throw malformed("an INTEGER not in the fewest octets (X.690 8.3.2)");
    }
  } else if (type === tag.oid) checkOid(bytes, start, end);
  else if (type === tag.bitString) {
    const used = bytes[end - 1] ?? 0;
    if (length === 0 || first > 7 || (length === 1 && first !== 0)) throw malformed("a BIT STRING without its bits");
    if ((used & ((1 << first) - 1)) !== 0 && length > 1) throw malformed("a BIT STRING's unused bits (X.690 11.2.1)");
  } else if (type === tag.boolean && (length !== 1 || (first !== 0 && first !== 0xff))) {
    throw malformed("a BOOLEAN neither 0x00 nor 0xff (X.690 11.1)");
  } else if (type === tag.null && length !== 0) throw malformed("a NULL with content (X.690 8.8.2)");
}

/** X.690 8.19.2: each arc in the fewest octets, and the last one finished. */
function checkOid(bytes: Uint8Array, start: number, end: number): void {
  let atArc = true;
  for (let i = start; i < end; i++) {
    const octet = bytes[i] ?? 0;
    if (atArc && octet === 0x80) throw malformed("an OBJECT IDENTIFIER not in the fewest octets (X.690 8.19.2)");
    atArc = octet < 0x80;
  }
  if (start === end || !atArc) throw malformed("an OBJECT IDENTIFIER without its end");
}

/** X.690 11.6: the elements of a SET OF ascend as octet strings. */
function checkOrder(bytes: Uint8Array, start: number, end: number): void {
  const cursor = { bytes, at: start, end };
  if (start < end) skip(cursor);
  for (let previous = start; cursor.at < end; ) {
    const current = cursor.at;
    skip(cursor);
    if (Buffer.compare(bytes.subarray(previous, current), bytes.subarray(current, cursor.at)) > 0) {
      throw malformed("a SET whose elements do not ascend (X.690 11.6)");
    }
    previous = current;
  }
}
