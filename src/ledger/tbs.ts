/** The one field of a TBSCertificate the ledger compares: its serial number (RFC 5280 4.1). */

const sequence = 0x30;
const version = 0xa0;
const integerTag = 0x02;

interface Tlv {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly rest: Uint8Array;
}

/** The serial's content octets, or undefined when these bytes do not begin as a TBSCertificate does. */
export function serialOf(tbs: Uint8Array): Uint8Array | undefined {
  const outer = readTlv(tbs);
  if (outer?.tag !== sequence || outer.rest.length > 0) return undefined;
  const first = readTlv(outer.content);
  const serial = first?.tag === version ? readTlv(first.rest) : first;
  return serial?.tag === integerTag ? serial.content : undefined;
}

function readTlv(bytes: Uint8Array): Tlv | undefined {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined) return undefined;
  const octets = first < 0x80 ? 0 : first & 0x7f;
  const begin = 2 + octets;
  const length = octets === 0 ? first : readLength(bytes.subarray(2, begin), octets);
  if (length === undefined || bytes.length < begin + length) return undefined;
  return { tag, content: bytes.subarray(begin, begin + length), rest: bytes.subarray(begin + length) };
}

function readLength(bytes: Uint8Array, octets: number): number | undefined {
  if (octets > 3 || bytes.length < octets) return undefined;
  return bytes.reduce((length, octet) => length * 256 + octet, 0);
}
