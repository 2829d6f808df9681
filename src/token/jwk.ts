/** The keys that sign a cluster's tokens, as JSON Web Keys (RFC 7517): public ones of the kinds we verify with, and no others. */
import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { Refusal } from "../errors.ts";

/** A public key that may sign tokens. */
export interface Jwk {
  /** RFC 7638, SHA-256, base64url: one key has one, however it was written down. */
  readonly thumbprint: string;
  readonly kid?: string;
  readonly key: KeyObject;
  /** The key's public members alone, in the order and spelling of RFC 7638. */
  readonly jwk: Readonly<Record<string, string>>;
}

/**
 * The most keys a set may hold. A cluster has one, or two or three while it changes; a token that names none is tried with all of
 * them, so this is also what anybody with a bad token can make us work.
 */
export const jwksKeysMax = 16;

/** RFC 7518 6.2.2, 6.3.2, 6.4: whoever sent one of these has given a secret away, and must be told. */
export const secretMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384" };

/** @throws Refusal `malformed` that says which rule the set or a key of it breaks; nothing of a key is quoted. */
export function readJwks(input: unknown): readonly Jwk[] {
  const set = typeof input === "string" ? parse(input) : input;
  const keys = isObject(set) ? set["keys"] : undefined;
  if (!Array.isArray(keys)) throw malformed('the set has no list "keys"');
  if (keys.length === 0) throw malformed("the set has no keys");
  if (keys.length > jwksKeysMax) throw malformed(`the set has more than ${jwksKeysMax} keys`);
  return keys.map(readJwk);
}

/** RSA of 2048 to 8192 bits, or EC on P-256 or P-384. @throws Refusal `malformed`. */
export function readJwk(input: unknown): Jwk {
  if (!isObject(input)) throw malformed("a key is not an object");
  const secret = secretMembers.find((member) => Object.hasOwn(input, member));
  if (secret !== undefined) {
    throw malformed(
      `a key has the private member "${secret}": only public keys belong here, and this one must be replaced where it is used`,
    );
  }
  const { kty, use, key_ops: operations, kid } = input;
  if (kty !== "RSA" && kty !== "EC") throw malformed("a key's kty is not RSA or EC");
  if (use !== undefined && use !== "sig") throw malformed('a key\'s use is not "sig"');
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    throw malformed('a key\'s key_ops do not include "verify"');
  }
  if (kid !== undefined && (typeof kid !== "string" || kid.length > 256))
    throw malformed("a key's kid is not a string of at most 256 characters");
  const key = toKey(input);
  const jwk = publicMembers(key);
  const thumbprint = createHash("sha256").update(JSON.stringify(jwk)).digest("base64url");
  return { thumbprint, ...(kid === undefined ? {} : { kid }), key, jwk };
}

/** The public members and the kid, as `readJwk` reads them again. */
export function toJwk({ kid, jwk }: Jwk): Readonly<Record<string, string>> {
  return { ...jwk, ...(kid === undefined ? {} : { kid }) };
}

/** The set that `readJwks` reads again; empty for no keys. */
export function toJwks(keys: readonly Jwk[]): string {
  return keys.length === 0 ? "" : JSON.stringify({ keys: keys.map(toJwk) });
}

function toKey(input: Readonly<Record<string, unknown>>): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: input, format: "jwk" });
  } catch (error) {
    throw malformed("a key's numbers make no public key", { cause: error });
  }
  const { modulusLength = 0, publicExponent = 0n, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ec") {
    if (!Object.hasOwn(curves, namedCurve)) throw malformed("an EC key is not on P-256 or P-384");
    return key;
  }
  if (modulusLength < 2048 || modulusLength > 8192)
    throw malformed(`an RSA key has ${modulusLength} bits, not 2048 to 8192`);
  // FIPS 186-5 A.1.1: 2^16 < e, odd. One as long as the modulus makes each verification 15 ms, of any token that anybody sends.
  if (publicExponent < 65537n || publicExponent >= 2n ** 32n || publicExponent % 2n === 0n)
    throw malformed("an RSA key's exponent is even or not from 65537 to 2^32 - 1");
  return key;
}

/** From the key itself and not from what was sent, so that leading zeros or the like do not make one key two. */
function publicMembers(key: KeyObject): Readonly<Record<string, string>> {
  const { kty = "", crv = "", x = "", y = "", e = "", n = "" } = key.export({ format: "jwk" });
  return kty === "EC" ? { crv, kty, x, y } : { e, kty, n };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed("the set is not JSON", { cause: error });
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(rule: string, options?: ErrorOptions): Refusal {
  return new Refusal("malformed", `not a JWKS of public keys: ${rule}`, options);
}
