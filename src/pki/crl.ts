/** CRLs (RFC 5280 section 5), version 2: always whole, of what one CA has signed. */
import type { Signer } from "../custody/signer.ts";
import { signatureAlgorithmOf, signatureAlgorithms } from "./algorithm.ts";
import { readCertificate } from "./certificate.ts";
import { tag } from "./der.ts";
import { fromHex, toElement, toOctetString, toSequence, toTime } from "./encode.ts";
import { toCertificate } from "./leaf.ts";

export interface RevokedCertificate {
  /** Content octets. */
  readonly serial: Uint8Array;
  readonly at: Date;
  /** RFC 5280 5.3.1; 0 is not written out. */
  readonly reason: number;
}

export interface CrlRequest {
  /** The CA's key and certificate. */
  readonly signer: Signer;
  readonly certificate: Uint8Array;
  readonly number: number;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly revoked: readonly RevokedCertificate[];
}

/** INTEGER 1: version 2. */
const version = fromHex("020101");
const authorityKeyId = fromHex("0603551d23");
const crlNumber = fromHex("0603551d14");
const reasonCode = fromHex("0603551d15");
const enumerated = 0x0a;
const keyIdName = 0x80;

/** In DER. @throws Error when key and certificate do not belong together or it may sign no CRL, and what the signer throws. */
export async function createCrl(request: CrlRequest): Promise<Uint8Array> {
  const { signer } = request;
  const tbs = toTbsCertList(request);
  return toCertificate(signer, tbs, await signer.sign(tbs));
}

function toTbsCertList({ signer, certificate, number, thisUpdate, nextUpdate, revoked }: CrlRequest): Uint8Array {
  const { subject, ski, spki, keyUsage } = readCertificate(certificate);
  if (Buffer.compare(spki, signer.spki) !== 0) throw new Error("the CA's certificate has another key");
  if (ski === undefined || !keyUsage.includes("cRLSign")) throw new Error("the CA's certificate is for no CRLs");
  const keyId = toSequence(authorityKeyId, toOctetString(toSequence(toElement(keyIdName, ski))));
  const numbered = toSequence(crlNumber, toOctetString(toInteger(number)));
  return toSequence(
    version,
    signatureAlgorithms[signatureAlgorithmOf[signer.algorithm]].der,
    subject,
    toTime(thisUpdate),
    toTime(nextUpdate),
    // An empty list is left out (RFC 5280 5.1.2.6).
    ...(revoked.length === 0 ? [] : [toSequence(...revoked.map(toEntry))]),
    toElement(tag.context0, toSequence(keyId, numbered)),
  );
}

function toEntry({ serial, at, reason }: RevokedCertificate): Uint8Array {
  const extensions =
    reason === 0
      ? []
      : [toSequence(toSequence(reasonCode, toOctetString(toElement(enumerated, Uint8Array.of(reason)))))];
  return toSequence(toElement(tag.integer, serial), toTime(at), ...extensions);
}

/** Of a whole number that is not negative; the highest bit is the sign (X.690 8.3). */
function toInteger(value: number): Uint8Array {
  const hex = value.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  return toElement(tag.integer, fromHex(/^[89a-f]/.test(even) ? `00${even}` : even));
}
