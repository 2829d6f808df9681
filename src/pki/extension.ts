/** The frame around extensions (RFC 5280 4.2), the same in a certificate and in a CSR. */
import { type Cursor, enter, enterWrapped, leave, malformed, peek, skip, tag, take } from "./der.ts";
import { fromHex, toElement, toOctetString, toSequence } from "./encode.ts";

/** The last arc of the extensions we know; all are id-ce, 2.5.29 (RFC 5280 4.2.1). */
export const extensionId = {
  subjectKeyIdentifier: 14,
  keyUsage: 15,
  subjectAltName: 17,
  basicConstraints: 19,
  nameConstraints: 30,
  authorityKeyIdentifier: 35,
  extKeyUsage: 37,
} as const;

const known: ReadonlySet<number> = new Set(Object.values(extensionId));
/** No certificate or CSR that we read has more extensions. */
const extensionsMax = 32;
const criticalTrue = fromHex("0101ff");

/**
 * Reads a SEQUENCE of extensions, each at most once. `read` is called with the last arc of an id-ce extension (0 for any
 * other) and the cursor at the value; it must read all of it. The value of one we know is checked DER, any other is opaque.
 */
export function readExtensions(cursor: Cursor, read: (id: number, critical: boolean) => void): void {
  const list = enter(cursor, tag.sequence, "the list of extensions");
  if (cursor.at === cursor.end) throw malformed("an empty list of extensions (RFC 5280 4.1)");
  const seen: (number | string)[] = [];
  while (cursor.at < cursor.end) {
    const extension = enter(cursor, tag.sequence, "an extension");
    const type = cursor.at;
    const id = readId(cursor);
    checkNew(seen, id === 0 ? Buffer.from(cursor.bytes.subarray(type, cursor.at)).toString("hex") : id);
    const critical = readCritical(cursor);
    const enterValue = known.has(id) ? enterWrapped : enter;
    const value = enterValue(cursor, tag.octetString, "an extension's value");
    read(id, critical);
    leave(cursor, value, "an extension's value");
    leave(cursor, extension, "an extension");
  }
  leave(cursor, list, "the list of extensions");
}

/** One extension under id-ce around the DER of its value. */
export function toExtension(id: number, critical: boolean, value: Uint8Array): Uint8Array {
  const type = toElement(tag.oid, Uint8Array.of(0x55, 0x1d, id));
  return critical ? toSequence(type, criticalTrue, toOctetString(value)) : toSequence(type, toOctetString(value));
}

function checkNew(seen: (number | string)[], type: number | string): void {
  if (seen.includes(type)) throw malformed("the same extension twice (RFC 5280 4.2)");
  if (seen.length >= extensionsMax) throw malformed(`more than ${extensionsMax} extensions`);
  seen.push(type);
}

/** DEFAULT FALSE is never written out (X.690 11.5). */
function readCritical(cursor: Cursor): boolean {
  if (take(cursor, criticalTrue)) return true;
  if (peek(cursor) === tag.boolean) throw malformed("an extension's critical FALSE written out (X.690 11.5)");
  return false;
}

/** The last arc of an OID of three octets under id-ce, 0 for any other. */
function readId(cursor: Cursor): number {
  if (peek(cursor) !== tag.oid) throw malformed("an extension's type is missing or of another type");
  const at = skip(cursor);
  const { bytes } = cursor;
  return cursor.at - at === 3 && bytes[at] === 0x55 && bytes[at + 1] === 0x1d ? (bytes[at + 2] ?? 0) : 0;
}
