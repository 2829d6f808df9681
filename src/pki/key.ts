/** Which public keys we certify: RSA of 2048, 3072 or 4096 bits, P-256, P-384, Ed25519; each in its one encoding. */
import { hash, type PublicKeyInput } from "node:crypto";
import { Refusal } from "../errors.ts";
import type { KeyKind } from "./algorithm.ts";
import { type Cursor, enter, enterWrapped, leave, openDer, readContent, readOctets, skip, tag, take } from "./der.ts";
import { fromHex } from "./encode.ts";

interface FixedForm {
  readonly kind: KeyKind;
  /** Everything before the key's own bytes; for a curve, up to the 0x04 of an uncompressed point (RFC 5480 2.2). */
  readonly prefix: Uint8Array;
  readonly length: number;
}

const fixedForms: readonly FixedForm[] = [
  { kind: "P-256", prefix: fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"), length: 91 },
  { kind: "P-384", prefix: fromHex("3076301006072a8648ce3d020106052b8104002203620004"), length: 120 },
  { kind: "Ed25519", prefix: fromHex("302a300506032b6570032100"), length: 44 },
];

/** rsaEncryption with NULL parameters (RFC 3279 2.3.1). RSA-PSS keys have another OID. */
const rsaEncryption = fromHex("300d06092a864886f70d0101010500");

/** By the modulus's content octets, the leading zero counted. */
const rsaKinds: Readonly<Record<number, KeyKind>> = { 257: "RSA-2048", 385: "RSA-3072", 513: "RSA-4096" };

/**
 * Judges a SubjectPublicKeyInfo. Whether a point lies on its curve is OpenSSL's to say, when the key is first used.
 * @throws Refusal `csr-key` for a key we do not certify, `malformed` for what is no DER
 */
export function readPublicKey(spki: Uint8Array): KeyKind {
  for (const form of fixedForms) {
    if (spki.length === form.length && startsWith(spki, form.prefix)) return form.kind;
  }
  return readRsaKey(spki);
}

/** A SubjectPublicKeyInfo of any kind, as encoded; another CA's certificate may hold keys that we would not certify. */
export function readSpki(cursor: Cursor): Uint8Array {
  const start = cursor.at;
  const whole = enter(cursor, tag.sequence, "the public key");
  const algorithm = enter(cursor, tag.sequence, "the key's algorithm");
  readContent(cursor, tag.oid, "the key's algorithm");
  if (cursor.at < cursor.end) skip(cursor);
  leave(cursor, algorithm, "the key's algorithm");
  readOctets(cursor, "the public key's bits");
  leave(cursor, whole, "the public key");
  return cursor.bytes.subarray(start, cursor.at);
}

/** The bits of the subjectPublicKey, without tag, length and number of unused bits. */
export function keyBits(spki: Uint8Array): Uint8Array {
  const cursor = { bytes: spki, at: 0, end: spki.length };
  enter(cursor, tag.sequence, "the public key");
  skip(cursor);
  return readOctets(cursor, "the public key's bits");
}

/**
 * The key identifier: the leftmost 160 bits of the key bits' SHA-256 (RFC 7093 section 2, method 1), as Go has it since 1.25.
 * SHA-1 (RFC 5280 4.2.1.2) would do as well, but is not to be had on hosts with a FIPS policy.
 */
export function toKeyId(spki: Uint8Array): Uint8Array {
  return sha256(keyBits(spki)).subarray(0, 20);
}

/** By way of a string: a buffer that comes out of native code costs more than the hash of a key. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return Buffer.from(hash("sha256", bytes, "latin1"), "latin1");
}

/** For node:crypto's one-shot verification. */
export function toKeyInput(spki: Uint8Array): PublicKeyInput {
  return { key: Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength), format: "der", type: "spki" };
}

function readRsaKey(spki: Uint8Array): KeyKind {
  const cursor = openDer(spki, "the public key");
  const whole = enter(cursor, tag.sequence, "the public key");
  if (!take(cursor, rsaEncryption)) throw refused("neither RSA, P-256, P-384 (uncompressed) nor Ed25519");
  const bits = enterWrapped(cursor, tag.bitString, "the RSA key");
  const key = enter(cursor, tag.sequence, "the RSA key");
  const modulus = readContent(cursor, tag.integer, "the RSA modulus");
  const exponent = readContent(cursor, tag.integer, "the RSA exponent");
  leave(cursor, key, "the RSA key");
  leave(cursor, bits, "the RSA key");
  leave(cursor, whole, "the public key");
  checkExponent(exponent);
  return kindOf(modulus);
}

function kindOf(modulus: Uint8Array): KeyKind {
  const kind = rsaKinds[modulus.length];
  // A minimal INTEGER begins with 0x00 only where the next bit is set, so the length gives the exact size.
  if (kind === undefined || modulus[0] !== 0) throw refused("an RSA modulus not of 2048, 3072 or 4096 bits");
  if (((modulus.at(-1) ?? 0) & 1) === 0) throw refused("an even RSA modulus");
  return kind;
}

function checkExponent(exponent: Uint8Array): void {
  let value = 0;
  for (const octet of exponent.subarray(0, 6)) value = value * 256 + octet;
  const negative = (exponent[0] ?? 0) >= 0x80;
  if (negative || value < 65537 || value >= 2 ** 32 || value % 2 === 0) {
    throw refused("an RSA exponent that is even or not from 65537 to 2^32 - 1");
  }
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}

function refused(rule: string): Refusal {
  return new Refusal("csr-key", `the public key is not one we certify: ${rule}`);
}
