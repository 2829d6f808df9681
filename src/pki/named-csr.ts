/**
 * CSRs (RFC 2986) whose names count: those of CertificateRequests and CertificateSigningRequests. Read as strictly as Istio's; what
 * of it is given is for policy to say, and nothing is copied into a leaf that has not been read here.
 */
import { emptySubject, istioSubject, readAttributes, readSelfSigned, type SelfSigned, versionOne } from "./csr.ts";
import { type Cursor, enter, leave, malformed, openDer, peek, readContent, readElement, tag, take } from "./der.ts";
import { fromHex } from "./encode.ts";
import { extensionId, readExtensions } from "./extension.ts";
import { type GeneralName, readGeneralNames } from "./general-name.ts";
import { readSubject, type Subject } from "./subject.ts";
import { type KeyUsage, readKeyUsage, readUsages } from "./usage.ts";

export interface NamedCsr extends SelfSigned, Requested {
  readonly subject: Subject;
}

interface Requested {
  readonly names: readonly GeneralName[];
  readonly isCa: boolean;
  /** Undefined where the CSR leaves them open. */
  readonly keyUsage?: readonly KeyUsage[];
  /** As `readUsages` calls them. */
  readonly extended?: readonly string[];
}

const basicConstraintsCa = fromHex("0101ff");

/** Reads a CSR; its signature is not checked, `verifyCsr` does that. @throws as `readCsr` */
export function readNamedCsr(der: Uint8Array): NamedCsr {
  const cursor = openDer(der, "the CSR");
  const whole = enter(cursor, tag.sequence, "the CSR");
  const start = cursor.at;
  const body = enter(cursor, tag.sequence, "the CSR's info");
  if (!take(cursor, versionOne)) throw malformed("the CSR's version is not 1 (RFC 2986 4.1)");
  // Istio's O="" says nothing, and is no value that a leaf may have (X.520): it comes into none.
  const subject = take(cursor, istioSubject) ? { der: emptySubject, attributes: [] } : readSubject(cursor);
  const spki = readElement(cursor, tag.sequence, "the CSR's public key");
  const requested = readAttributes(cursor, readRequested) ?? { names: [], isCa: false };
  leave(cursor, body, "the CSR's info");
  const signed = readSelfSigned(cursor, spki, start);
  leave(cursor, whole, "the CSR");
  return { ...signed, ...requested, subject };
}

function readRequested(cursor: Cursor): Requested {
  const found: { -readonly [K in keyof Requested]: Requested[K] } = { names: [], isCa: false };
  readExtensions(cursor, (id) => {
    switch (id) {
      case extensionId.subjectAltName:
        found.names = readGeneralNames(cursor);
        break;
      case extensionId.keyUsage:
        found.keyUsage = readKeyUsage(cursor);
        break;
      case extensionId.extKeyUsage:
        found.extended = readUsages(cursor);
        break;
      case extensionId.basicConstraints:
        found.isCa = readIsCa(cursor);
        break;
      default:
        throw malformed("the CSR asks for an extension other than names, usages and basic constraints");
    }
  });
  return found;
}

/** Whatever its path length: no request of these becomes a CA. */
function readIsCa(cursor: Cursor): boolean {
  const whole = enter(cursor, tag.sequence, "the basic constraints");
  const isCa = take(cursor, basicConstraintsCa);
  if (peek(cursor) === tag.integer) readContent(cursor, tag.integer, "the path length");
  leave(cursor, whole, "the basic constraints");
  return isCa;
}
