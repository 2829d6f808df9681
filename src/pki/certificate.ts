/**
 * Certificates (RFC 5280 4.1), our own and others', read strictly: version 3, known signature algorithms, no unique ids, no
 * critical extension that we do not know. What they say is reported, not judged; `lint.ts` and `chain.ts` judge.
 */
import { readSignatureAlgorithm, type SignatureAlgorithm } from "./algorithm.ts";
import {
  type Cursor,
  derBytesMax,
  enter,
  leave,
  malformed,
  openDer,
  peek,
  readContent,
  readOctets,
  skip,
  tag,
  take,
} from "./der.ts";
import { fromHex } from "./encode.ts";
import { extensionId, readExtensions } from "./extension.ts";
import { readSpki } from "./key.ts";
import { type AltNames, readAltNames, readName } from "./name.ts";
import { type NameConstraints, readNameConstraints } from "./name-constraints.ts";
import { readTime } from "./time.ts";
import { type KeyUsage, readKeyUsage, readUsages } from "./usage.ts";

/** What stands in a TBSCertificate. */
export interface Tbs extends AltNames {
  /** Content octets, the sign included. */
  readonly serial: Uint8Array;
  /** The whole Name, as encoded. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly isCa: boolean;
  readonly pathLength?: number;
  readonly nameConstraints?: NameConstraints;
  /** Empty where the extension is missing. */
  readonly keyUsage: readonly KeyUsage[];
  /** serverAuth, clientAuth, or an OID's hex; empty where the extension is missing. */
  readonly usages: readonly string[];
  readonly ski?: Uint8Array;
  readonly aki?: Uint8Array;
  /** In their order. */
  readonly extensions: readonly ExtensionMark[];
  readonly signatureAlgorithm: SignatureAlgorithm;
}

export interface ExtensionMark {
  /** The last arc of an id-ce extension (`extensionId`), 0 for any other. */
  readonly id: number;
  readonly critical: boolean;
  /** The content of the OCTET STRING. */
  readonly value: Uint8Array;
}

export interface Certificate extends Tbs {
  readonly der: Uint8Array;
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
}

type Draft = { -readonly [K in keyof Tbs]: Tbs[K] };

const versionThree = fromHex("a003020102");
const basicConstraintsCa = fromHex("0101ff");

/** @throws Refusal `malformed` naming the rule */
export function readCertificate(der: Uint8Array, bytesMax: number = derBytesMax): Certificate {
  const cursor = openDer(der, "the certificate", bytesMax);
  const whole = enter(cursor, tag.sequence, "the certificate");
  const start = cursor.at;
  const body = readBody(cursor);
  const tbs = der.subarray(start, cursor.at);
  if (readSignatureAlgorithm(cursor) !== body.signatureAlgorithm) {
    throw malformed("the certificate names two signature algorithms (RFC 5280 4.1.1.2)");
  }
  const signature = readOctets(cursor, "the certificate's signature");
  leave(cursor, whole, "the certificate");
  return { ...body, der, tbs, signature };
}

/** Reads what is to be signed, or has been. @throws Refusal `malformed` naming the rule */
export function readTbs(tbs: Uint8Array): Tbs {
  return readBody(openDer(tbs, "the TBSCertificate"));
}

function readBody(cursor: Cursor): Tbs {
  const whole = enter(cursor, tag.sequence, "the TBSCertificate");
  if (!take(cursor, versionThree)) throw malformed("the certificate's version is not 3");
  const serial = readContent(cursor, tag.integer, "the serial number");
  const signatureAlgorithm = readSignatureAlgorithm(cursor);
  const issuer = readName(cursor, "the issuer");
  const validity = enter(cursor, tag.sequence, "the validity");
  const notBefore = readTime(cursor);
  const notAfter = readTime(cursor);
  leave(cursor, validity, "the validity");
  const subject = readName(cursor, "the subject");
  const spki = readSpki(cursor);
  const extensions: ExtensionMark[] = [];
  const draft: Draft = {
    serial,
    issuer,
    subject,
    spki,
    notBefore,
    notAfter,
    uris: [],
    dns: [],
    otherNames: 0,
    isCa: false,
    keyUsage: [],
    usages: [],
    extensions,
    signatureAlgorithm,
  };
  if (cursor.at < cursor.end) {
    const wrapper = enter(cursor, tag.context3, "the extensions");
    readExtensions(cursor, (id, critical) => {
      extensions.push({ id, critical, value: cursor.bytes.subarray(cursor.at, cursor.end) });
      readValue(cursor, id, critical, draft);
    });
    leave(cursor, wrapper, "the extensions");
  }
  leave(cursor, whole, "the TBSCertificate");
  return draft;
}

function readValue(cursor: Cursor, id: number, critical: boolean, draft: Draft): void {
  switch (id) {
    case extensionId.keyUsage:
      draft.keyUsage = readKeyUsage(cursor);
      return;
    case extensionId.extKeyUsage:
      draft.usages = readUsages(cursor);
      return;
    case extensionId.basicConstraints:
      readBasicConstraints(cursor, draft);
      return;
    case extensionId.nameConstraints:
      draft.nameConstraints = readNameConstraints(cursor);
      return;
    case extensionId.subjectKeyIdentifier:
      draft.ski = readContent(cursor, tag.octetString, "the subject key identifier");
      return;
    case extensionId.authorityKeyIdentifier:
      readAuthorityKeyId(cursor, draft);
      return;
    case extensionId.subjectAltName:
      ({ uris: draft.uris, dns: draft.dns, otherNames: draft.otherNames } = readAltNames(cursor));
      return;
    default:
      if (critical) throw malformed("a critical extension that we do not know (RFC 5280 4.2)");
      cursor.at = cursor.end;
  }
}

function readBasicConstraints(cursor: Cursor, draft: Draft): void {
  const whole = enter(cursor, tag.sequence, "the basic constraints");
  draft.isCa = take(cursor, basicConstraintsCa);
  if (peek(cursor) === tag.integer) {
    const pathLength = readContent(cursor, tag.integer, "the path length");
    const value = pathLength[0] ?? 0;
    if (!draft.isCa || pathLength.length !== 1 || value > 127) {
      throw malformed("a path length without a CA, or not from 0 to 127 (RFC 5280 4.2.1.9)");
    }
    draft.pathLength = value;
  }
  leave(cursor, whole, "the basic constraints");
}

/** keyIdentifier, and for other CAs' certificates also the issuer and serial number that we do not use. */
function readAuthorityKeyId(cursor: Cursor, draft: Draft): void {
  const whole = enter(cursor, tag.sequence, "the authority key identifier");
  if (peek(cursor) === 0x80) draft.aki = readContent(cursor, 0x80, "the authority key identifier");
  if (peek(cursor) === 0xa1) skip(cursor);
  if (peek(cursor) === 0x82) skip(cursor);
  leave(cursor, whole, "the authority key identifier");
}
