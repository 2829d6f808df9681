/**
 * CA certificates: roots and the authorities under them. Rare, so they are encoded by pkijs, a second hand beside our own
 * writer; the key that signs stays where it is (`Signer`).
 */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import type { Signer } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import { signatureAlgorithmOf, signatureAlgorithms } from "./algorithm.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { asFault, verifySignature } from "./chain.ts";
import { isSame, tag } from "./der.ts";
import { fromHex, toElement, toSequence } from "./encode.ts";
import { extensionId } from "./extension.ts";
import { readPublicKey, toKeyId } from "./key.ts";
import { toCertificate } from "./leaf.ts";

interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface RootRequest extends Validity {
  readonly signer: Signer;
  readonly commonName: string;
  readonly organization?: string;
  /** Content octets, as `newSerial` makes them. */
  readonly serial: Uint8Array;
}

export interface AuthorityRequest extends Validity {
  /** The parent's key and certificate. */
  readonly signer: Signer;
  readonly parent: Uint8Array;
  readonly spki: Uint8Array;
  readonly commonName: string;
  readonly organization?: string;
  readonly serial: Uint8Array;
  /** How many authorities may follow: 0 where it signs leaves only (RFC 5280 4.2.1.9). */
  readonly pathLength: number;
}

interface Content extends Validity {
  readonly serial: Uint8Array;
  readonly issuer: pkijs.RelativeDistinguishedNames;
  readonly subject: pkijs.RelativeDistinguishedNames;
  readonly spki: Uint8Array;
  readonly pathLength?: number;
  /** The parent's key identifier; a root needs none (RFC 5280 4.2.1.1). */
  readonly aki?: Uint8Array;
}

/** Encoded, unlike those that pkijs takes. */
export const commonNameOid = fromHex("0603550403");
const oid = {
  organization: fromHex("060355040a"),
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
} as const;

/** ub-common-name and ub-organization-name (RFC 5280 appendix A.1). */
const nameLengthMax = 64;
/** keyCertSign and cRLSign: bits 5 and 6, one unused. */
const keyUsageContent = fromHex("06");

/** A self-signed root in DER. @throws Refusal `config` for a name X.520 does not allow, and what the signer throws */
export async function createRoot(request: RootRequest): Promise<Uint8Array> {
  const { signer, commonName, organization, notBefore, notAfter, serial } = request;
  const name = toName(commonName, organization);
  return signWith(signer, { serial, issuer: name, subject: name, spki: signer.spki, notBefore, notAfter });
}

/** An authority under a parent, in DER. @throws as `createRoot`; Error when key and parent do not belong together */
export async function createAuthority(request: AuthorityRequest): Promise<Uint8Array> {
  const { signer, spki, commonName, organization, notBefore, notAfter, serial, pathLength } = request;
  const parent = readCertificate(request.parent);
  if (Buffer.compare(parent.spki, signer.spki) !== 0) throw new Error("the parent's certificate has another key");
  if (parent.ski === undefined) throw new Error("the parent's certificate has no subject key identifier");
  const issuer = readPkijsName(parent.subject);
  const subject = toName(commonName, organization);
  const validity = { notBefore, notAfter };
  return signWith(signer, { serial, issuer, subject, spki, ...validity, pathLength, aki: parent.ski });
}

/**
 * What must hold before an authority may sign leaves, or a root authorities (then `parent` is the root itself). Plain Error
 * with the reason: a certificate that breaks it was not made here, or not for this.
 */
export function checkAuthority(certificate: Uint8Array, parent: Uint8Array, at: Date): void {
  asFault(() => checkUnder(certificate, parent, at));
}

function checkUnder(certificate: Uint8Array, parent: Uint8Array, at: Date): void {
  const child = readCertificate(certificate);
  const above = readCertificate(parent);
  for (const one of isSame(certificate, parent) ? [child] : [child, above]) checkCa(one, at);
  if (!child.keyUsage.includes("cRLSign") || !isCritical(child, extensionId.keyUsage)) {
    throw new Error("its key usage lacks cRLSign, or is not critical (RFC 5280 4.2.1.3)");
  }
  checkIssued(child, above);
}

/** What any CA certificate has to have, whoever made it. @throws Error with the reason, Refusal for its key */
export function checkCa(certificate: Certificate, at: Date): void {
  const { isCa, keyUsage, subject, ski, spki, notBefore, notAfter } = certificate;
  readPublicKey(spki);
  if (!isCa || !isCritical(certificate, extensionId.basicConstraints)) {
    throw new Error("it is no CA: it has no critical basic constraints with cA (RFC 5280 4.2.1.9)");
  }
  if (!keyUsage.includes("keyCertSign")) throw new Error("its key usage lacks keyCertSign (RFC 5280 4.2.1.3)");
  if (subject.length === 2) throw new Error("its subject is empty (RFC 5280 4.1.2.6)");
  if (ski === undefined) throw new Error("it has no subject key identifier (RFC 5280 4.2.1.2)");
  if (at < notBefore || at > notAfter) {
    throw new Error(
      `it is valid from ${notBefore.toISOString()} to ${notAfter.toISOString()}, not ${at.toISOString()}`,
    );
  }
}

/** Whether the one above has issued it, and may. @throws Error with the reason */
export function checkIssued(child: Certificate, above: Certificate): void {
  if (!isSame(child.issuer, above.subject)) throw new Error("another CA has issued it: the parent's name differs");
  if (!isSame(child.der, above.der)) checkBelow(child, above);
  if (child.notAfter > above.notAfter) throw new Error("it outlives its parent");
  if (!verifySignature(child, above.der)) throw new Error("its signature is not by its parent's key");
}

function checkBelow(child: Certificate, above: Certificate): void {
  if (child.aki === undefined) throw new Error("it has no authority key identifier (RFC 5280 4.2.1.1)");
  if (above.ski === undefined || !isSame(child.aki, above.ski)) {
    throw new Error("another CA has issued it: the parent's key identifier differs");
  }
  if (above.pathLength !== undefined && (child.pathLength ?? Infinity) >= above.pathLength) {
    throw new Error("its path length is not below its parent's (RFC 5280 4.2.1.9)");
  }
}

function isCritical({ extensions }: Certificate, id: number): boolean {
  return extensions.some((extension) => extension.id === id && extension.critical);
}

async function signWith(signer: Signer, content: Content): Promise<Uint8Array> {
  const tbs = new Uint8Array(toPkijs(content, signer).encodeTBS().toBER());
  return toCertificate(signer, tbs, await signer.sign(tbs));
}

function toPkijs(content: Content, signer: Signer): pkijs.Certificate {
  const certificate = new pkijs.Certificate();
  certificate.version = 2;
  certificate.serialNumber = new asn1js.Integer({ valueHex: Uint8Array.from(content.serial).buffer });
  certificate.signature = new pkijs.AlgorithmIdentifier({
    schema: asn1js.fromBER(signatureAlgorithms[signatureAlgorithmOf[signer.algorithm]].der).result,
  });
  certificate.issuer = content.issuer;
  certificate.subject = content.subject;
  certificate.notBefore = toPkijsTime(content.notBefore);
  certificate.notAfter = toPkijsTime(content.notAfter);
  certificate.subjectPublicKeyInfo = new pkijs.PublicKeyInfo({
    schema: asn1js.fromBER(Uint8Array.from(content.spki)).result,
  });
  certificate.extensions = toExtensions(content);
  return certificate;
}

function toExtensions({ pathLength, spki, aki }: Content): pkijs.Extension[] {
  // pkijs encodes a path length of undefined as 0, so the key has to be missing.
  const constraints = new pkijs.BasicConstraints(
    pathLength === undefined ? { cA: true } : { cA: true, pathLenConstraint: pathLength },
  );
  const keyUsage = new asn1js.BitString({ valueHex: keyUsageContent.slice().buffer, unusedBits: 1 });
  const ski = new asn1js.OctetString({ valueHex: Uint8Array.from(toKeyId(spki)).buffer });
  const extensions = [
    toExtension(oid.basicConstraints, true, constraints.toSchema()),
    toExtension(oid.keyUsage, true, keyUsage),
    toExtension(oid.subjectKeyIdentifier, false, ski),
  ];
  if (aki === undefined) return extensions;
  const keyIdentifier = new asn1js.OctetString({ valueHex: Uint8Array.from(aki).buffer });
  const authorityKeyId = new pkijs.AuthorityKeyIdentifier({ keyIdentifier });
  return [...extensions, toExtension(oid.authorityKeyIdentifier, false, authorityKeyId.toSchema())];
}

function toExtension(extnID: string, critical: boolean, value: asn1js.BaseBlock): pkijs.Extension {
  return new pkijs.Extension({ extnID, critical, extnValue: value.toBER() });
}

function toName(commonName: string, organization: string | undefined): pkijs.RelativeDistinguishedNames {
  return readPkijsName(encodeName(commonName, organization));
}

/**
 * A CA's name in DER. Organization first, as Istio's tools write it; UTF8String (RFC 5280 4.1.2.4). pkijs would put both into
 * one RDN, and in no order, so it is given the name's bytes. @throws Refusal `config` for a name X.520 does not allow
 */
export function encodeName(commonName: string, organization?: string): Uint8Array {
  const names = organization === undefined ? [] : [toRdn(oid.organization, organization)];
  return toSequence(...names, toRdn(commonNameOid, commonName));
}

function readPkijsName(name: Uint8Array): pkijs.RelativeDistinguishedNames {
  return new pkijs.RelativeDistinguishedNames({ schema: asn1js.fromBER(Uint8Array.from(name)).result });
}

function toRdn(type: Uint8Array, text: string): Uint8Array {
  if (text.length === 0 || text.length > nameLengthMax) {
    throw new Refusal("config", `a CA's name has to be 1 to ${nameLengthMax} characters long, not ${text.length}`);
  }
  return toElement(tag.set, toSequence(type, toElement(tag.utf8String, Buffer.from(text, "utf8"))));
}

/** pkijs writes milliseconds and does not choose the type by itself (RFC 5280 4.1.2.5). */
function toPkijsTime(date: Date): pkijs.Time {
  const value = new Date(Math.floor(date.getTime() / 1000) * 1000);
  const type = value.getUTCFullYear() < 2050 ? pkijs.TimeType.UTCTime : pkijs.TimeType.GeneralizedTime;
  return new pkijs.Time({ type, value });
}
