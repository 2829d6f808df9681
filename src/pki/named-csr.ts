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
  /** Undefined where the CSR leaves it open. */
  readonly isCa?: boolean;
  readonly pathLength?: number;
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
  const requested = readAttributes(cursor, readRequested) ?? { names: [] };
  leave(cursor, body, "the CSR's info");
  const signed = readSelfSigned(cursor, spki, start);
  leave(cursor, whole, "the CSR");
  return { ...signed, ...requested, subject };
}

function readRequested(cursor: Cursor): Requested {
  const found: { -readonly [K in keyof Requested]: Requested[K] } = { names: [] };
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
        Object.assign(found, readConstraints(cursor));
        break;
      default:
        throw malformed("the CSR asks for an extension other than names, usages and basic constraints");
    }
  });
  return found;
}

/** A path length is read as it stands, also one that makes no sense: what of it is given is one number. */
function readConstraints(cursor: Cursor): Pick<Requested, "isCa" | "pathLength"> {
  const whole = enter(cursor, tag.sequence, "the basic constraints");
  const isCa = take(cursor, basicConstraintsCa);
  const length = peek(cursor) === tag.integer ? readContent(cursor, tag.integer, "the path length") : undefined;
  leave(cursor, whole, "the basic constraints");
  return length === undefined ? { isCa } : { isCa, pathLength: length.reduce((sum, octet) => sum * 256 + octet, 0) };
}
