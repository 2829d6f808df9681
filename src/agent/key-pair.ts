/** A certificate of the agent's own, with its key, as one file: two files could be of two generations after a crash. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { certificateLabel, readPemAll } from "../pki/pem.ts";

export interface KeyPair {
  /** PEM: the leaf and its intermediates. */
  readonly chainPem: string;
  /** PEM, PKCS #8. */
  readonly keyPem: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export function newKey(): { readonly privateKey: KeyObject; readonly keyPem: string } {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { privateKey, keyPem: privateKey.export({ type: "pkcs8", format: "pem" }) };
}

export function toKeyPair(chainPem: string, keyPem: string): KeyPair {
  const leaf = new X509Certificate(chainPem);
  return { chainPem, keyPem, notBefore: leaf.validFromDate, notAfter: leaf.validToDate };
}

export function toText({ chainPem, keyPem }: KeyPair): string {
  return keyPem + chainPem;
}

/** Undefined for anything that is not such a file, does not fit together, or is not valid now. */
export function readKeyPair(text: string | undefined, now: Date): KeyPair | undefined {
  const split = text?.indexOf(`-----BEGIN ${certificateLabel}-----`) ?? -1;
  if (text === undefined || split <= 0) return undefined;
  try {
    const pair = toKeyPair(text.slice(split), text.slice(0, split));
    readPemAll(pair.chainPem);
    if (!new X509Certificate(pair.chainPem).checkPrivateKey(createPrivateKey(pair.keyPem))) return undefined;
    return now >= pair.notBefore && now < pair.notAfter ? pair : undefined;
  } catch {
    return undefined;
  }
}

/** At half of its life. */
export function renewalAt({ notBefore, notAfter }: KeyPair): Date {
  return new Date((notBefore.getTime() + notAfter.getTime()) / 2);
}
