/** The two kinds of names in a certificate: a distinguished name, kept as its bytes, and subject alternative names. */
import { type Cursor, enter, leave, malformed, peek, readContent, skip, tag } from "./der.ts";

export interface AltNames {
  readonly uris: readonly string[];
  readonly dns: readonly string[];
  /** Names of other kinds: how many. */
  readonly otherNames: number;
}

const uriName = 0x86;
const dnsName = 0x82;
const printable = /^[!-~]*$/;

/** A Name (RFC 5280 4.1.2.4) as encoded: names are compared as bytes, so only the shape is checked. */
export function readName(cursor: Cursor, what: string): Uint8Array {
  const start = cursor.at;
  const whole = enter(cursor, tag.sequence, what);
  while (cursor.at < cursor.end) {
    const set = enter(cursor, tag.set, what);
    do {
      const attribute = enter(cursor, tag.sequence, what);
      if (peek(cursor) !== tag.oid) throw malformed(`${what} has an attribute without a type`);
      skip(cursor);
      skip(cursor);
      leave(cursor, attribute, what);
    } while (cursor.at < cursor.end);
    leave(cursor, set, what);
  }
  leave(cursor, whole, what);
  return cursor.bytes.subarray(start, cursor.at);
}

/** GeneralNames (RFC 5280 4.2.1.6), at least one. */
export function readAltNames(cursor: Cursor): AltNames {
  const whole = enter(cursor, tag.sequence, "the subject alternative name");
  if (cursor.at === cursor.end) throw malformed("a subject alternative name without names (RFC 5280 4.2.1.6)");
  const uris: string[] = [];
  const dns: string[] = [];
  let otherNames = 0;
  while (cursor.at < cursor.end) {
    const type = peek(cursor);
    if (type === uriName) uris.push(readAscii(cursor, type));
    else if (type === dnsName) dns.push(readAscii(cursor, type));
    else {
      skip(cursor);
      otherNames += 1;
    }
  }
  leave(cursor, whole, "the subject alternative name");
  return { uris, dns, otherNames };
}

/** IA5String; a space or a control character in a name has only ever been an attack. */
function readAscii(cursor: Cursor, type: number): string {
  const bytes = readContent(cursor, type, "a name");
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  if (!printable.test(text)) throw malformed("a name that is not printable ASCII");
  return text;
}
