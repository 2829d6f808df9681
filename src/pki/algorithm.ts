/** The closed table of signature algorithms: what they look like in DER, and what node:crypto calls them. */
import type { KeyAlgorithm } from "../custody/signer.ts";
import { type Cursor, malformed, take } from "./der.ts";
import { fromHex } from "./encode.ts";

export type SignatureAlgorithm =
  | "sha256WithRSA"
  | "sha384WithRSA"
  | "sha512WithRSA"
  | "ecdsaWithSHA256"
  | "ecdsaWithSHA384"
  | "Ed25519";

export type KeyKind = KeyAlgorithm | "Ed25519";
type KeyFamily = "RSA" | "EC" | "Ed25519";

interface SignatureMeaning {
  /** The whole AlgorithmIdentifier: NULL parameters for RSA (RFC 4055 section 5), none for the others (RFC 5758 3.2, RFC 8410 section 3). */
  readonly der: Uint8Array;
  readonly hash: "sha256" | "sha384" | "sha512" | null;
  readonly family: KeyFamily;
}

export const signatureAlgorithms: Readonly<Record<SignatureAlgorithm, SignatureMeaning>> = {
  ecdsaWithSHA256: { der: fromHex("300a06082a8648ce3d040302"), hash: "sha256", family: "EC" },
  ecdsaWithSHA384: { der: fromHex("300a06082a8648ce3d040303"), hash: "sha384", family: "EC" },
  sha256WithRSA: { der: fromHex("300d06092a864886f70d01010b0500"), hash: "sha256", family: "RSA" },
  sha384WithRSA: { der: fromHex("300d06092a864886f70d01010c0500"), hash: "sha384", family: "RSA" },
  sha512WithRSA: { der: fromHex("300d06092a864886f70d01010d0500"), hash: "sha512", family: "RSA" },
  Ed25519: { der: fromHex("300506032b6570"), hash: null, family: "Ed25519" },
};

/** What each kind of key signs with when we choose. */
export const signatureAlgorithmOf: Readonly<Record<KeyKind, SignatureAlgorithm>> = {
  "P-256": "ecdsaWithSHA256",
  "P-384": "ecdsaWithSHA384",
  "RSA-2048": "sha256WithRSA",
  "RSA-3072": "sha256WithRSA",
  "RSA-4096": "sha256WithRSA",
  Ed25519: "Ed25519",
};

const names: readonly SignatureAlgorithm[] = [
  "ecdsaWithSHA256",
  "sha256WithRSA",
  "ecdsaWithSHA384",
  "sha384WithRSA",
  "sha512WithRSA",
  "Ed25519",
];

/** Reads an AlgorithmIdentifier of this table. @throws Refusal `malformed` for any other */
export function readSignatureAlgorithm(cursor: Cursor): SignatureAlgorithm {
  for (const name of names) if (take(cursor, signatureAlgorithms[name].der)) return name;
  throw malformed("the signature algorithm is none of RSA with SHA-2, ECDSA with SHA-256 or SHA-384, Ed25519");
}

/** Whether a key of this kind can have made a signature of this algorithm. */
export function goTogether(algorithm: SignatureAlgorithm, key: KeyKind): boolean {
  return signatureAlgorithms[algorithm].family === signatureAlgorithms[signatureAlgorithmOf[key]].family;
}
