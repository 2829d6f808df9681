/**
 * Leaves, written from a template. Everything that an authority and a profile decide is encoded once; a leaf adds its serial
 * number, validity, key and names. The order of extensions is that of Istio's own leaves (istio generate_cert.go).
 */
import type { KeyAlgorithm } from "../custody/signer.ts";
import { signatureAlgorithmOf, signatureAlgorithms } from "./algorithm.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { tag } from "./der.ts";
import { allocate, concat, fromHex, toElement, toOctetString, toSequence, toTime } from "./encode.ts";
import { toKeyId } from "./key.ts";
import { type LeafNames, type ProfileName, profiles } from "./profile.ts";
import { usageOids } from "./usage.ts";

/** One (authority, profile), encoded. */
export interface LeafTemplate {
  readonly algorithm: KeyAlgorithm;
  /** The authority's own certificate, read. */
  readonly authority: Certificate;
  /** Signature algorithm and issuer. */
  readonly issuer: Uint8Array;
  /** Key usage, extended key usage, basic constraints, and the subject key identifier up to its 20 octets. */
  readonly before: Uint8Array;
  /** The authority key identifier. */
  readonly after: Uint8Array;
}

/** What every certificate that is asked for has of its own. */
export interface Content {
  /** Content octets, as `newSerialAt` makes them. */
  readonly serial: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** DER, already judged by `readPublicKey`. */
  readonly spki: Uint8Array;
}

export interface LeafContent extends Content {
  readonly names: LeafNames;
}

const version = fromHex("a003020102");
const emptySubject = fromHex("3000");
/** Critical. */
const digitalSignature = fromHex("300e0603551d0f0101ff040403020780");
const digitalSignatureAndKeyEncipherment = fromHex("300e0603551d0f0101ff0404030205a0");
/** cA FALSE is the default and so not written (X.690 11.5); critical. */
const basicConstraints = fromHex("300c0603551d130101ff04023000");
const subjectKeyId = fromHex("301d0603551d0e04160414");
const authorityKeyIdOid = fromHex("0603551d23");
const extKeyUsageOid = fromHex("0603551d25");
const subjectAltNameCritical = fromHex("0603551d110101ff");
const noUnusedBits = Uint8Array.of(0);
const uriName = 0x86;
const dnsName = 0x82;
const keyIdName = 0x80;

/** @throws Error when the authority's certificate has no subject key identifier; Refusal `malformed` when it is no certificate */
export function toLeafTemplate(
  authority: { readonly certificate: Uint8Array; readonly algorithm: KeyAlgorithm },
  profile: ProfileName,
): LeafTemplate {
  // Name and key identifier are the authority's own bytes: made anew, they might differ where another CA issued it.
  const certificate = readCertificate(authority.certificate);
  const { subject, ski } = certificate;
  if (ski === undefined) throw new Error("the authority's certificate has no subject key identifier");
  const usages = profiles[profile].usages.map((usage) => usageOids[usage]);
  const keyUsage = profiles[profile].keyEncipherment ? digitalSignatureAndKeyEncipherment : digitalSignature;
  const extKeyUsage = toSequence(extKeyUsageOid, toOctetString(toSequence(...usages)));
  return {
    algorithm: authority.algorithm,
    authority: certificate,
    issuer: concat([signatureAlgorithms[signatureAlgorithmOf[authority.algorithm]].der, subject]),
    before: concat([keyUsage, extKeyUsage, basicConstraints, subjectKeyId]),
    after: toSequence(authorityKeyIdOid, toOctetString(toSequence(toElement(keyIdName, ski)))),
  };
}

/**
 * The exact bytes to be signed. What a grant must not ask for is `lintTbs`'s to find. They are written from the end to the
 * beginning: so each length is known when its header is, and nothing is copied twice.
 */
export function toTbs(template: LeafTemplate, { serial, notBefore, notAfter, spki, names }: LeafContent): Uint8Array {
  const { issuer, before, after } = template;
  const lengthMax = issuer.length + before.length + after.length + spki.length + serial.length + lengthOf(names) + 128;
  const back = openBack(lengthMax);
  putSubjectAltName(back, names);
  put(back, after);
  put(back, toKeyId(spki));
  put(back, before);
  putHeader(back, tag.sequence, lengthMax);
  putHeader(back, tag.context3, lengthMax);
  put(back, spki);
  put(back, emptySubject);
  const validityEnd = back.at;
  put(back, toTime(notAfter));
  put(back, toTime(notBefore));
  putHeader(back, tag.sequence, validityEnd);
  put(back, issuer);
  const serialEnd = back.at;
  put(back, serial);
  putHeader(back, tag.integer, serialEnd);
  put(back, version);
  putHeader(back, tag.sequence, lengthMax);
  return back.bytes.subarray(back.at);
}

/** The same by the plain encoder, for what is asked for seldom: any subject, and these extensions in their order. */
export function toPlainTbs(
  { issuer }: Pick<LeafTemplate, "issuer">,
  { serial, notBefore, notAfter, subject, spki }: Content & { readonly subject: Uint8Array },
  extensions: readonly Uint8Array[],
): Uint8Array {
  return toSequence(
    version,
    toElement(tag.integer, serial),
    issuer,
    toSequence(toTime(notBefore), toTime(notAfter)),
    subject,
    spki,
    toElement(tag.context3, toSequence(...extensions)),
  );
}

/** A certificate of its signed parts (RFC 5280 4.1). */
export function toCertificate(
  signedBy: KeyAlgorithm | { readonly algorithm: KeyAlgorithm },
  tbs: Uint8Array,
  signature: Uint8Array,
): Uint8Array {
  const algorithm = typeof signedBy === "string" ? signedBy : signedBy.algorithm;
  const { der } = signatureAlgorithms[signatureAlgorithmOf[algorithm]];
  const back = openBack(tbs.length + der.length + signature.length + 16);
  put(back, signature);
  put(back, noUnusedBits);
  putHeader(back, tag.bitString, back.bytes.length);
  put(back, der);
  put(back, tbs);
  putHeader(back, tag.sequence, back.bytes.length);
  return back.bytes.subarray(back.at);
}

/**
 * 128 random bits behind 0x01: positive, minimal, and always 17 content octets (RFC 5280 4.1.2.2 allows 20), so that every
 * leaf of a template has the same length and no serial number is zero.
 */
export function newSerial(random: (n: number) => Uint8Array): Uint8Array {
  return concat([Uint8Array.of(1), random(16)]);
}

/**
 * The same 128 bits behind the time, in steps of 8 ms, which begin anew every 99 days: serial numbers of one moment stand together
 * in an index, which then writes a page or two for a batch and not one for each certificate. Positive and of 20 octets.
 */
export function newSerialAt(random: (n: number) => Uint8Array, at: Date): Uint8Array {
  const ticks = (Math.floor(at.getTime() / 8) & 0x3fff_ffff) | 0x4000_0000;
  return concat([Uint8Array.of(ticks >>> 24, ticks >>> 16, ticks >>> 8, ticks), random(16)]);
}

/** Bytes that are filled from their end. */
interface Back {
  readonly bytes: Uint8Array;
  at: number;
}

function openBack(lengthMax: number): Back {
  return { bytes: allocate(lengthMax), at: lengthMax };
}

function put(back: Back, part: Uint8Array): void {
  back.at -= part.length;
  back.bytes.set(part, back.at);
}

/** The tag and length of what has been put since `end`. */
function putHeader(back: Back, type: number, end: number): void {
  const { bytes } = back;
  const length = end - back.at;
  if (length < 0x80) {
    bytes[--back.at] = length;
  } else {
    const last = back.at;
    for (let left = length; left > 0; left >>= 8) bytes[--back.at] = left & 0xff;
    const octets = last - back.at;
    bytes[--back.at] = 0x80 | octets;
  }
  bytes[--back.at] = type;
}

/** Critical, because the subject is empty (RFC 5280 4.2.1.6). */
function putSubjectAltName(back: Back, { uri, dns }: LeafNames): void {
  const end = back.at;
  if (uri !== undefined) putName(back, uriName, uri);
  for (const name of dns.toReversed()) putName(back, dnsName, name);
  putHeader(back, tag.sequence, end);
  putHeader(back, tag.octetString, end);
  put(back, subjectAltNameCritical);
  putHeader(back, tag.sequence, end);
}

function putName(back: Back, type: number, name: string): void {
  const end = back.at;
  back.at -= name.length;
  for (let i = 0; i < name.length; i++) back.bytes[back.at + i] = name.charCodeAt(i);
  putHeader(back, type, end);
}

/** What the names take at most, each with its header. */
function lengthOf({ uri = "", dns }: LeafNames): number {
  return dns.reduce((sum, name) => sum + name.length + 4, uri.length + 4);
}
