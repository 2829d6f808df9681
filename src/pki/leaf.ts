/**
 * Leaves, written from a template. Everything that an authority and a profile decide is encoded once; a leaf adds its serial
 * number, validity, key and names. The order of extensions is that of Istio's own leaves (istio generate_cert.go).
 */
import type { KeyAlgorithm } from "../custody/signer.ts";
import { signatureAlgorithmOf, signatureAlgorithms } from "./algorithm.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import {
  concat,
  fromHex,
  toAscii,
  toBitString,
  toElement,
  toHeader,
  toOctetString,
  toSequence,
  toTime,
} from "./encode.ts";
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

export interface LeafContent {
  /** Content octets, as `newSerial` makes them. */
  readonly serial: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** DER, already judged by `readPublicKey`. */
  readonly spki: Uint8Array;
  readonly names: LeafNames;
}

const version = fromHex("a003020102");
const emptySubject = fromHex("3000");
/** digitalSignature and keyEncipherment, critical; also for EC keys, as Istio has it. */
const keyUsage = fromHex("300e0603551d0f0101ff0404030205a0");
/** cA FALSE is the default and so not written (X.690 11.5); critical. */
const basicConstraints = fromHex("300c0603551d130101ff04023000");
const subjectKeyId = fromHex("301d0603551d0e04160414");
const authorityKeyIdOid = fromHex("0603551d23");
const extKeyUsageOid = fromHex("0603551d25");
const subjectAltNameCritical = fromHex("0603551d110101ff");
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
  const usages = profiles[profile].usages.map((usage) => toElement(0x06, usageOids[usage]));
  const extKeyUsage = toSequence(extKeyUsageOid, toOctetString(toSequence(...usages)));
  return {
    algorithm: authority.algorithm,
    authority: certificate,
    issuer: concat([signatureAlgorithms[signatureAlgorithmOf[authority.algorithm]].der, subject]),
    before: concat([keyUsage, extKeyUsage, basicConstraints, subjectKeyId]),
    after: toSequence(authorityKeyIdOid, toOctetString(toSequence(toElement(keyIdName, ski)))),
  };
}

/** The exact bytes to be signed. What a grant must not ask for is `lintTbs`'s to find. */
export function toTbs(template: LeafTemplate, { serial, notBefore, notAfter, spki, names }: LeafContent): Uint8Array {
  const keyId = toKeyId(spki);
  const subjectAltName = toSubjectAltName(names);
  const extensionsLength = template.before.length + keyId.length + template.after.length + subjectAltName.length;
  const list = toHeader(0x30, extensionsLength);
  const parts = [
    version,
    toHeader(0x02, serial.length),
    serial,
    template.issuer,
    toSequence(toTime(notBefore), toTime(notAfter)),
    emptySubject,
    spki,
    toHeader(0xa3, list.length + extensionsLength),
    list,
    template.before,
    keyId,
    template.after,
    subjectAltName,
  ];
  return toSequence(...parts);
}

/** A certificate of its signed parts (RFC 5280 4.1). */
export function toCertificate(
  signedBy: KeyAlgorithm | { readonly algorithm: KeyAlgorithm },
  tbs: Uint8Array,
  signature: Uint8Array,
): Uint8Array {
  const algorithm = typeof signedBy === "string" ? signedBy : signedBy.algorithm;
  return toSequence(tbs, signatureAlgorithms[signatureAlgorithmOf[algorithm]].der, toBitString(signature));
}

/**
 * 128 random bits behind 0x01: positive, minimal, and always 17 content octets (RFC 5280 4.1.2.2 allows 20), so that every
 * leaf of a template has the same length and no serial number is zero.
 */
export function newSerial(random: (n: number) => Uint8Array): Uint8Array {
  return concat([Uint8Array.of(1), random(16)]);
}

/** Critical, because the subject is empty (RFC 5280 4.2.1.6). */
function toSubjectAltName({ uri, dns }: LeafNames): Uint8Array {
  const names = dns.map((name) => toElement(dnsName, toAscii(name)));
  if (uri !== undefined) names.push(toElement(uriName, toAscii(uri)));
  return toSequence(subjectAltNameCritical, toOctetString(toSequence(...names)));
}
