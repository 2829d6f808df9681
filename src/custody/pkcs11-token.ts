/**
 * One logged-in session with a PKCS #11 token, and keys in it by name: made there, sensitive, not extractable. Runs in a process
 * of its own (`pkcs11-process.ts`).
 */
import { createHash, createPublicKey, verify, type webcrypto } from "node:crypto";
import { Refusal } from "../errors.ts";
import { digests } from "./algorithm.ts";
import { type Attribute, type Cryptoki, CryptokiError, no, number, openCryptoki, yes } from "./cryptoki.ts";
import { toDerSignature } from "./ecdsa.ts";
import type { KeyAlgorithm } from "./signer.ts";

export interface TokenAddress {
  /** The shared library. */
  readonly module: string;
  /** The token's label. */
  readonly token: string;
  readonly pinFile: string;
}

/** A key in the token, as whoever uses it knows it. */
export interface TokenKey {
  readonly algorithm: KeyAlgorithm;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
}

export interface TokenSession {
  createKey(name: string, algorithm: KeyAlgorithm): TokenKey;
  openKey(name: string): TokenKey;
  /** As `Signer.sign`. */
  sign(name: string, bytes: Uint8Array): Uint8Array;
  close(): void;
}

interface OpenKey extends TokenKey {
  readonly handle: bigint;
}

/** @throws Refusal `config` when no waiting helps, another error when it may. */
export function openToken(address: TokenAddress, pin: Uint8Array): TokenSession {
  const cryptoki = load(address.module);
  const session = login(cryptoki, address, pin);
  const keys = new Map<string, OpenKey>();
  function openKey(name: string): OpenKey {
    const key = keys.get(name) ?? find(cryptoki, session, name, address.token);
    keys.set(name, key);
    return key;
  }
  return {
    createKey: (name, algorithm) => {
      create(cryptoki, session, name, algorithm);
      return openKey(name);
    },
    openKey,
    sign: (name, bytes) => signWith(cryptoki, session, openKey(name), bytes),
    close: () => cryptoki.finalize(),
  };
}

function load(module: string): Cryptoki {
  try {
    return openCryptoki(module);
  } catch (cause) {
    if (cause instanceof CryptokiError) throw cause;
    const why = cause instanceof Error ? cause.message : "";
    throw new Refusal("config", `custody.pkcs11.module: ${module} cannot be loaded: ${why}`, { cause });
  }
}

/** CK_TOKEN_INFO's flags. */
const pinFinalTry = 0x20000;
const pinLocked = 0x40000;
/** Answers to a login that no second try changes; each try may be the last one that the token allows. */
const pinCodes: readonly number[] = [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x102];

function login(cryptoki: Cryptoki, { token: label, pinFile }: TokenAddress, pin: Uint8Array): bigint {
  const all = cryptoki.tokens();
  const [token, second] = all.filter((one) => one.label === label);
  // It may be plugged in again, or its network may come back.
  if (token === undefined) throw new Error(`there is no token "${label}", but ${named(all)}`);
  if (second !== undefined) throw new Refusal("config", `custody.pkcs11.token: there are two tokens "${label}"`);
  if ((token.flags & (pinFinalTry | pinLocked)) !== 0)
    throw new Refusal(
      "config",
      `token "${label}" is locked, or has one try left for its PIN: log in to it by hand first`,
    );
  const session = cryptoki.openSession(token.slot);
  try {
    cryptoki.login(session, pin);
  } catch (error) {
    if (!(error instanceof CryptokiError) || !pinCodes.includes(error.code)) throw error;
    throw new Refusal("config", `token "${label}" does not take the PIN of ${pinFile}: ${error.message}`);
  }
  return session;
}

function named(tokens: readonly { readonly label: string }[]): string {
  return tokens.length === 0 ? "none at all" : tokens.map(({ label }) => JSON.stringify(label)).join(", ");
}

/** What PKCS #11 calls things: CKA, CKO, CKM. */
const attribute = {
  class: 0x0,
  token: 0x1,
  private: 0x2,
  label: 0x3,
  id: 0x102,
  sensitive: 0x103,
  sign: 0x108,
  verify: 0x10a,
  modulus: 0x120,
  modulusBits: 0x121,
  publicExponent: 0x122,
  extractable: 0x162,
  ecParams: 0x180,
  ecPoint: 0x181,
  keyType: 0x100,
} as const;
const [publicClass, privateClass] = [number(2), number(3)];
const [rsaType, ecType] = [0, 3];
const mechanisms = { rsaPair: 0x0, ecPair: 0x1040, ecdsa: 0x1041, rsaSha256: 0x40 } as const;

/** DER of the curve's object identifier, and how many bytes a coordinate has (RFC 5480 2.1.1.1). */
const curves = {
  "P-256": { oid: Buffer.from("06082a8648ce3d030107", "hex"), bytes: 32 },
  "P-384": { oid: Buffer.from("06052b81040022", "hex"), bytes: 48 },
} as const;

function create(cryptoki: Cryptoki, session: bigint, name: string, algorithm: KeyAlgorithm): void {
  const taken = (): Refusal => new Refusal("not-ready", `the token has a key "${name}" already`);
  const label = Buffer.from(name);
  const mine: Attribute[] = [
    [attribute.token, yes],
    [attribute.label, label],
    [attribute.id, label],
  ];
  const privateKeys: Attribute[] = [[attribute.class, privateClass], ...mine.slice(0, 2)];
  if (cryptoki.find(session, privateKeys).length > 0) throw taken();
  const made = cryptoki.generateKeyPair(
    session,
    isCurve(algorithm) ? mechanisms.ecPair : mechanisms.rsaPair,
    [...mine, [attribute.verify, yes], ...toParameters(algorithm)],
    [...mine, [attribute.private, yes], [attribute.sensitive, yes], [attribute.extractable, no], [attribute.sign, yes]],
  );
  // A token knows names only by looking: somebody else may have made one meanwhile.
  if (cryptoki.find(session, privateKeys).length === 1) return;
  cryptoki.destroy(session, made.privateKey);
  cryptoki.destroy(session, made.publicKey);
  throw taken();
}

function toParameters(algorithm: KeyAlgorithm): readonly Attribute[] {
  if (isCurve(algorithm)) return [[attribute.ecParams, curves[algorithm].oid]];
  return [
    [attribute.modulusBits, number(Number(algorithm.slice(4)))],
    [attribute.publicExponent, Uint8Array.of(1, 0, 1)],
  ];
}

function isCurve(algorithm: KeyAlgorithm): algorithm is keyof typeof curves {
  return Object.hasOwn(curves, algorithm);
}

/** @throws Refusal `not-found`; `config` for a key that could be taken out, or is no pair. */
function find(cryptoki: Cryptoki, session: bigint, name: string, token: string): OpenKey {
  const of = (objects: Buffer): readonly bigint[] =>
    cryptoki.find(session, [
      [attribute.class, objects],
      [attribute.token, yes],
      [attribute.label, Buffer.from(name)],
    ]);
  const [handle, second] = of(privateClass);
  const [publicHandle] = of(publicClass);
  if (handle === undefined) throw new Refusal("not-found", `token "${token}" has no key "${name}"`);
  const wrong = (why: string): Refusal => new Refusal("config", `key "${name}" of token "${token}" ${why}`);
  if (second !== undefined) throw wrong("is there twice");
  if (publicHandle === undefined) throw wrong("has no public key beside it");
  const [sensitive, extractable] = cryptoki.read(session, handle, [attribute.sensitive, attribute.extractable]);
  if (sensitive?.[0] !== 1 || extractable?.[0] !== 0) throw wrong("can be taken out of it: let Espalier make one");
  const key = { handle, ...readPublicKey(cryptoki, session, publicHandle, wrong) };
  // The two are only as near to one another as their label: the pair shows that it is one.
  const probe = Buffer.from("espalier custody check");
  const spki = createPublicKey({ key: Buffer.from(key.spki), format: "der", type: "spki" });
  if (!verify(digests[key.algorithm], probe, spki, signWith(cryptoki, session, key, probe)))
    throw wrong("is not of the public key beside it");
  return key;
}

function readPublicKey(cryptoki: Cryptoki, session: bigint, handle: bigint, wrong: (why: string) => Refusal): TokenKey {
  const read = (...types: number[]): readonly Uint8Array[] => cryptoki.read(session, handle, types);
  const base64 = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("base64url");
  const [kind] = read(attribute.keyType);
  if (isNumber(kind, rsaType)) {
    const [n, e] = read(attribute.modulus, attribute.publicExponent);
    const bits = 8 * Buffer.from(base64(n), "base64url").length;
    const algorithm = (["RSA-2048", "RSA-3072", "RSA-4096"] as const).find((name) => name === `RSA-${bits}`);
    if (algorithm !== undefined) return { algorithm, spki: toSpki({ kty: "RSA", n: base64(n), e: base64(e) }) };
  }
  if (isNumber(kind, ecType)) {
    const [oid, point] = read(attribute.ecParams, attribute.ecPoint);
    const algorithm = (["P-256", "P-384"] as const).find((name) => curves[name].oid.equals(oid ?? no));
    // An OCTET STRING of the uncompressed point; some modules leave the OCTET STRING out.
    if (algorithm !== undefined && point !== undefined) {
      const { bytes } = curves[algorithm];
      const [x, y] = [point.subarray(-2 * bytes, -bytes), point.subarray(-bytes)];
      return { algorithm, spki: toSpki({ kty: "EC", crv: algorithm, x: base64(x), y: base64(y) }) };
    }
  }
  throw wrong("is of an algorithm we do not use");
}

function isNumber(value: Uint8Array | undefined, expected: number): boolean {
  return value !== undefined && number(expected).equals(value);
}

function toSpki(key: webcrypto.JsonWebKey): Uint8Array {
  return createPublicKey({ key, format: "jwk" }).export({ format: "der", type: "spki" });
}

function signWith(cryptoki: Cryptoki, session: bigint, { handle, algorithm }: OpenKey, bytes: Uint8Array): Uint8Array {
  if (!isCurve(algorithm)) return cryptoki.sign(session, mechanisms.rsaSha256, handle, bytes);
  const digest = createHash(digests[algorithm]).update(bytes).digest();
  return toDerSignature(cryptoki.sign(session, mechanisms.ecdsa, handle, digest), curves[algorithm].bytes);
}
