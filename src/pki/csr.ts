/**
 * CSRs (RFC 2986) as Istio's agents and ztunnel send them, and nothing beside. A CSR gives its public key, a proof that the
 * sender holds it, and at most a claim of who it is for; what the certificate says is decided elsewhere.
 */
import { verify } from "node:crypto";
import { Refusal } from "../errors.ts";
import { readSpiffeId, type SpiffeId } from "../identity.ts";
import {
  goTogether,
  type KeyKind,
  readSignatureAlgorithm,
  type SignatureAlgorithm,
  signatureAlgorithms,
} from "./algorithm.ts";
import {
  type Cursor,
  enter,
  leave,
  malformed,
  openDer,
  readContent,
  readElement,
  readOctets,
  tag,
  take,
} from "./der.ts";
import { fromHex } from "./encode.ts";
import { extensionId, readExtensions } from "./extension.ts";
import { readPublicKey, toKeyInput } from "./key.ts";
import { readKeyUsage, readUsages } from "./usage.ts";

export interface Csr extends SelfSigned {
  /** The one URI name; missing where the CSR has no names, as our own agents' have none. */
  readonly identity?: SpiffeId;
}

/** A key, and what `verifyCsr` needs to see that its holder asks. */
export interface SelfSigned {
  /** DER SubjectPublicKeyInfo, of a kind that `readPublicKey` accepts. */
  readonly spki: Uint8Array;
  readonly keyKind: KeyKind;
  /** The CertificationRequestInfo: what is signed. */
  readonly info: Uint8Array;
  readonly signature: Uint8Array;
  readonly signatureAlgorithm: SignatureAlgorithm;
}

export const versionOne = fromHex("020100");
export const emptySubject = fromHex("3000");
/** The one RDN O="" with a PrintableString of no length, as pilot-agent has it (istio security/pkg/pki/util/generate_csr.go). */
export const istioSubject = fromHex("300b31093007060355040a1300");
/** 1.2.840.113549.1.9.14 (RFC 2985 5.4.2) */
export const extensionRequest = fromHex("06092a864886f70d01090e");
export const uriName = 0x86;

/**
 * Reads a CSR; its signature is not checked, `verifyCsr` does that.
 * @throws Refusal `malformed` naming the rule, `csr-key` for a key that we do not certify
 */
export function readCsr(der: Uint8Array): Csr {
  const cursor = openDer(der, "the CSR");
  const whole = enter(cursor, tag.sequence, "the CSR");
  const start = cursor.at;
  const body = enter(cursor, tag.sequence, "the CSR's info");
  if (!take(cursor, versionOne)) throw malformed("the CSR's version is not 1 (RFC 2986 4.1)");
  if (!take(cursor, emptySubject) && !take(cursor, istioSubject)) {
    throw malformed('the CSR\'s subject is neither empty nor O=""');
  }
  const spki = readElement(cursor, tag.sequence, "the CSR's public key");
  const identity = readAttributes(cursor, readRequest);
  leave(cursor, body, "the CSR's info");
  const csr = readSelfSigned(cursor, spki, start);
  leave(cursor, whole, "the CSR");
  return identity === undefined ? csr : { ...csr, identity };
}

/** What follows the CertificationRequestInfo, which begins at `start` and ends here. */
export function readSelfSigned(cursor: Cursor, spki: Uint8Array, start: number): SelfSigned {
  const info = cursor.bytes.subarray(start, cursor.at);
  const signatureAlgorithm = readSignatureAlgorithm(cursor);
  const signature = readOctets(cursor, "the CSR's signature");
  const keyKind = readPublicKey(spki);
  if (!goTogether(signatureAlgorithm, keyKind))
    throw malformed(`a signature ${signatureAlgorithm} by a key ${keyKind}`);
  return { spki, keyKind, info, signature, signatureAlgorithm };
}

/**
 * Proof of possession, on this thread: the thread pool costs more CPU than it saves.
 * @throws Refusal `csr-signature`, or `csr-key` when OpenSSL cannot take the key (a point off its curve)
 */
export function verifyCsr(csr: SelfSigned): void {
  const { hash } = signatureAlgorithms[csr.signatureAlgorithm];
  let proven: boolean;
  try {
    proven = verify(hash, csr.info, toKeyInput(csr.spki), csr.signature);
  } catch (cause) {
    throw new Refusal("csr-key", "the public key is not one we certify: OpenSSL does not accept it", { cause });
  }
  if (!proven) throw new Refusal("csr-signature", "the CSR's signature is not by its own key");
}

/** `attributes [0]`: none, or one extensionRequest with one value, which `read` reads. */
export function readAttributes<T>(cursor: Cursor, read: (cursor: Cursor) => T): T | undefined {
  const attributes = enter(cursor, tag.context0, "the CSR's attributes");
  let request: T | undefined;
  if (cursor.at < cursor.end) {
    const attribute = enter(cursor, tag.sequence, "the CSR's attribute");
    if (!take(cursor, extensionRequest)) throw malformed("an attribute of the CSR other than extensionRequest");
    const values = enter(cursor, tag.set, "the extensionRequest's value");
    request = read(cursor);
    leave(cursor, values, "the extensionRequest (one value)");
    leave(cursor, attribute, "the CSR's attribute");
  }
  leave(cursor, attributes, "the CSR (one attribute)");
  return request;
}

function readRequest(cursor: Cursor): SpiffeId | undefined {
  let identity: SpiffeId | undefined;
  readExtensions(cursor, (id, critical) => {
    switch (id) {
      case extensionId.subjectAltName:
        if (!critical) throw malformed("the CSR's subject alternative name is not critical (RFC 5280 4.2.1.6)");
        identity = readIdentity(cursor);
        break;
      case extensionId.keyUsage:
        checkKeyUsage(cursor);
        break;
      case extensionId.extKeyUsage:
        checkUsages(cursor);
        break;
      default:
        throw malformed("the CSR asks for an extension other than names and key usages");
    }
  });
  return identity;
}

/** Exactly one name, a URI (X509-SVID section 2). */
function readIdentity(cursor: Cursor): SpiffeId {
  const names = enter(cursor, tag.sequence, "the CSR's subject alternative name");
  const uri = readContent(cursor, uriName, "the CSR's URI name");
  leave(cursor, names, "the CSR's subject alternative name (one name)");
  return readSpiffeId(uri);
}

function checkKeyUsage(cursor: Cursor): void {
  const asked = readKeyUsage(cursor).join(" ");
  if (asked !== "digitalSignature" && asked !== "digitalSignature keyEncipherment") {
    throw malformed("the CSR asks for key usages other than digitalSignature and keyEncipherment");
  }
}

function checkUsages(cursor: Cursor): void {
  for (const usage of readUsages(cursor)) {
    if (usage !== "serverAuth" && usage !== "clientAuth") {
      throw malformed("the CSR asks for extended key usages other than serverAuth and clientAuth");
    }
  }
}
