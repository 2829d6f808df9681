/** CRLs that others have signed (RFC 5280 section 5), read strictly: version 2, whole, of one CA. What they say is reported, not judged. */
import { readSignatureAlgorithm, type SignatureAlgorithm } from "./algorithm.ts";
import { type Cursor, enter, leave, malformed, openDer, peek, readContent, readOctets, tag, take } from "./der.ts";
import { fromHex } from "./encode.ts";
import { readExtensions } from "./extension.ts";
import { readName } from "./name.ts";
import { readTime } from "./time.ts";

export interface Crl {
  /** The whole Name, as encoded. */
  readonly issuer: Uint8Array;
  readonly number: bigint;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** Content octets in hex. */
  readonly serials: ReadonlySet<string>;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
}

const versionTwo = fromHex("020101");
/** Last arcs under id-ce (RFC 5280 5.2.3, 5.3.1, 5.3.2). */
const crlNumber = 20;
const reasonCode = 21;
/** ENUMERATED removeFromCRL (RFC 5280 5.3.1): it takes back what a list before has said, and verifiers take it at its word. */
const removal = fromHex("0a0108");
const octetsMax = 20;

/** @throws Refusal `malformed` naming the rule; a delta or partial CRL is one, for its critical extension. */
export function readCrl(der: Uint8Array, bytesMax: number): Crl {
  const cursor = openDer(der, "the CRL", bytesMax);
  const whole = enter(cursor, tag.sequence, "the CRL");
  const start = cursor.at;
  const body = readBody(cursor);
  const tbs = der.subarray(start, cursor.at);
  if (readSignatureAlgorithm(cursor) !== body.signatureAlgorithm)
    throw malformed("the CRL names two signature algorithms (RFC 5280 5.1.1.2)");
  const signature = readOctets(cursor, "the CRL's signature");
  leave(cursor, whole, "the CRL");
  return { ...body, tbs, signature };
}

function readBody(cursor: Cursor): Omit<Crl, "tbs" | "signature"> {
  const whole = enter(cursor, tag.sequence, "the TBSCertList");
  if (!take(cursor, versionTwo)) throw malformed("the CRL's version is not 2");
  const signatureAlgorithm = readSignatureAlgorithm(cursor);
  const issuer = readName(cursor, "the CRL's issuer");
  const thisUpdate = readTime(cursor);
  // RFC 5280 5.1.2.5 wants it, and Envoy takes one without it for ever.
  const nextUpdate = readTime(cursor);
  const serials = new Set<string>();
  if (peek(cursor) === tag.sequence) {
    const list = enter(cursor, tag.sequence, "the revoked certificates");
    while (cursor.at < cursor.end) serials.add(readEntry(cursor));
    leave(cursor, list, "the revoked certificates");
  }
  const number = readNumber(cursor);
  leave(cursor, whole, "the TBSCertList");
  return { issuer, number, thisUpdate, nextUpdate, serials, signatureAlgorithm };
}

function readEntry(cursor: Cursor): string {
  const entry = enter(cursor, tag.sequence, "a revoked certificate");
  const serial = Buffer.from(readContent(cursor, tag.integer, "a revoked serial number")).toString("hex");
  readTime(cursor);
  if (cursor.at < cursor.end) {
    readExtensions(cursor, (id, critical) => {
      if (id === reasonCode && take(cursor, removal))
        throw malformed("a CRL's entry that revokes nothing: removeFromCRL");
      skipValue(cursor, critical);
    });
  }
  leave(cursor, entry, "a revoked certificate");
  return serial;
}

function readNumber(cursor: Cursor): bigint {
  let number: bigint | undefined;
  if (cursor.at < cursor.end) {
    const wrapper = enter(cursor, tag.context0, "the CRL's extensions");
    readExtensions(cursor, (id, critical) => {
      if (id !== crlNumber) return skipValue(cursor, critical);
      const octets = readContent(cursor, tag.integer, "the CRL's number");
      if (octets.length > octetsMax || (octets[0] ?? 0x80) >= 0x80)
        throw malformed("a CRL number that is negative or longer than 20 octets (RFC 5280 5.2.3)");
      number = BigInt(`0x${Buffer.from(octets).toString("hex")}`);
    });
    leave(cursor, wrapper, "the CRL's extensions");
  }
  if (number === undefined) throw malformed("a CRL without a number (RFC 5280 5.2.3)");
  return number;
}

/** What is critical changes what the list means: part of it, a delta, or another CA's entries. */
function skipValue(cursor: Cursor, critical: boolean): void {
  if (critical) throw malformed("a critical extension in a CRL: only a whole one, of one CA, is taken");
  cursor.at = cursor.end;
}
