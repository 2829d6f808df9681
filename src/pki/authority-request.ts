/**
 * The request of an authority whose root's key is offline (PKCS #10, RFC 2986). One form alone is written and read: a common
 * name, a key, and that it is to sign leaves and nothing else. A request that asks for more is none of ours.
 */
import type { Signer } from "../custody/signer.ts";
import { readSignatureAlgorithm, signatureAlgorithmOf, signatureAlgorithms } from "./algorithm.ts";
import { commonNameOid, encodeName } from "./authority.ts";
import { type Csr, extensionRequest, verifyCsr } from "./csr.ts";
import {
  type Cursor,
  enter,
  isSame,
  leave,
  malformed,
  openDer,
  readContent,
  readElement,
  readOctets,
  tag,
  take,
} from "./der.ts";
import { fromHex, toBitString, toElement, toOctetString, toSequence } from "./encode.ts";
import { readPublicKey, toKeyId } from "./key.ts";

export interface AuthorityCsr extends Csr {
  readonly commonName: string;
}

const versionOne = fromHex("020100");
/** Critical: cA true, path length 0; keyCertSign and cRLSign. */
const basicConstraints = fromHex("30120603551d130101ff040830060101ff020100");
const keyUsage = fromHex("300e0603551d0f0101ff040403020106");
/** It is shown to a person who is to decide about it. */
const printable = /^[ -~]*$/;
const subjectKeyIdOid = fromHex("0603551d0e");

/** In DER, signed by the authority's own key. @throws Refusal `config` for the name, and what the signer throws. */
export async function createAuthorityCsr(signer: Signer, commonName: string): Promise<Uint8Array> {
  const info = toInfo(commonName, signer.spki);
  const { der } = signatureAlgorithms[signatureAlgorithmOf[signer.algorithm]];
  return toSequence(info, der, toBitString(await signer.sign(info)));
}

/** With its proof of possession. @throws Refusal `malformed`, `csr-key`, `csr-signature`. */
export function readAuthorityCsr(der: Uint8Array): AuthorityCsr {
  const cursor = openDer(der, "the request");
  const whole = enter(cursor, tag.sequence, "the request");
  const start = cursor.at;
  const body = enter(cursor, tag.sequence, "the request's info");
  if (!take(cursor, versionOne)) throw malformed("the request's version is not 1 (RFC 2986 4.1)");
  const commonName = readCommonName(cursor);
  const spki = readElement(cursor, tag.sequence, "the request's public key");
  readElement(cursor, tag.context0, "the request's attributes");
  leave(cursor, body, "the request's info");
  const info = der.subarray(start, cursor.at);
  const signatureAlgorithm = readSignatureAlgorithm(cursor);
  const signature = readOctets(cursor, "the request's signature");
  leave(cursor, whole, "the request");
  const keyKind = readPublicKey(spki);
  if (!isSame(info, toInfo(commonName, spki)))
    throw malformed(
      "the request is no authority's of Espalier: CA with path length 0, keyCertSign and cRLSign, and nothing else",
    );
  const csr = { commonName, spki, keyKind, info, signature, signatureAlgorithm };
  verifyCsr(csr);
  return csr;
}

function readCommonName(cursor: Cursor): string {
  const what = "the request's subject (one common name)";
  const name = enter(cursor, tag.sequence, what);
  const rdn = enter(cursor, tag.set, what);
  const attribute = enter(cursor, tag.sequence, what);
  if (!take(cursor, commonNameOid)) throw malformed("the request's subject is no common name");
  const text = Buffer.from(readContent(cursor, tag.utf8String, what)).toString("latin1");
  if (!printable.test(text)) throw malformed("the request's common name is not printable ASCII");
  leave(cursor, attribute, what);
  leave(cursor, rdn, what);
  leave(cursor, name, what);
  return text;
}

function toInfo(commonName: string, spki: Uint8Array): Uint8Array {
  const subjectKeyId = toSequence(subjectKeyIdOid, toOctetString(toOctetString(toKeyId(spki))));
  const asked = toSequence(basicConstraints, keyUsage, subjectKeyId);
  const attribute = toSequence(extensionRequest, toElement(tag.set, asked));
  return toSequence(versionOne, encodeName(commonName), spki, toElement(tag.context0, attribute));
}
