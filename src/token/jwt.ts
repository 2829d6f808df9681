/** Compact JWS with a signature (RFC 7515, 7519, 8725): one strict reader, synchronous because it is on the way of every CSR. */
import { type KeyObject, verify } from "node:crypto";
import { Refusal } from "../errors.ts";

/** A key that may sign tokens. */
export interface TokenKey {
  readonly kid?: string | undefined;
  readonly key: KeyObject;
}

/** The most a token may be, in bytes, before anything of it is read. */
export const tokenBytesMax = 8 * 1024;

/** RFC 8725 3.1: the algorithms are ours to choose. What is not here (none, HS256, …) does not exist. */
const algorithms: Readonly<
  Record<string, { readonly hash: string; readonly keyType: "rsa" | "ec"; readonly curve?: string }>
> = {
  RS256: { hash: "sha256", keyType: "rsa" },
  RS384: { hash: "sha384", keyType: "rsa" },
  RS512: { hash: "sha512", keyType: "rsa" },
  ES256: { hash: "sha256", keyType: "ec", curve: "prime256v1" },
  ES384: { hash: "sha384", keyType: "ec", curve: "secp384r1" },
};

/** RFC 7518 3.4: R and S side by side. */
const dsaEncoding = "ieee-p1363";

export type Claims = Readonly<Record<string, unknown>>;

/** Three parts of base64url (RFC 7515 7.1) and nothing else: no white space, no padding, nothing that a decoder skips. An unsigned one is told so later. */
const compact = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/** The claims of a token that one of the keys has signed. @throws Refusal `proof-invalid`. Says nothing of times or audiences. */
export function readJwt(token: string, keys: readonly TokenKey[]): Claims {
  const { headerEnd, signedEnd } = findParts(token);
  const { alg, kid } = readHeader(token.slice(0, headerEnd));
  const algorithm = typeof alg === "string" && Object.hasOwn(algorithms, alg) ? algorithms[alg] : undefined;
  if (algorithm === undefined) throw invalid("its alg is not RS256, RS384, RS512, ES256 or ES384");
  const signed = Buffer.from(token.slice(0, signedEnd), "latin1");
  const signature = readSignature(token.slice(signedEnd + 1));
  const good = keys
    .filter((key) => fits(key, kid, algorithm))
    .some(({ key }) =>
      verify(algorithm.hash, signed, algorithm.keyType === "rsa" ? key : { key, dsaEncoding }, signature),
    );
  // The same words for a cluster without keys, and for none: whoever asks with any token learns nothing of either.
  if (!good) throw invalid("no key of the cluster has signed it");
  return readObject(token.slice(headerEnd + 1, signedEnd));
}

/** What a token says of itself: nothing of it counts until somebody else has verified the very same bytes. @throws Refusal `proof-invalid`. */
export function readUnverified(token: string): Claims {
  const { headerEnd, signedEnd } = findParts(token);
  readSignature(token.slice(signedEnd + 1));
  return readObject(token.slice(headerEnd + 1, signedEnd));
}

/** Where the dots are. */
function findParts(token: string): { readonly headerEnd: number; readonly signedEnd: number } {
  if (token.length > tokenBytesMax) throw invalid(`longer than ${tokenBytesMax} bytes`);
  if (!compact.test(token)) throw invalid("not three parts of base64url separated by dots");
  const headerEnd = token.indexOf(".");
  return { headerEnd, signedEnd: token.indexOf(".", headerEnd + 1) };
}

function readHeader(text: string): Claims {
  const header = readObject(text);
  // RFC 7515 4.1.11: an extension we do not understand must be refused, and we understand none.
  if ("crit" in header) throw invalid("it has critical header parameters");
  return header;
}

function fits(
  candidate: TokenKey,
  kid: unknown,
  algorithm: { readonly keyType: string; readonly curve?: string },
): boolean {
  if (candidate.key.asymmetricKeyType !== algorithm.keyType) return false;
  if (algorithm.curve !== undefined && candidate.key.asymmetricKeyDetails?.namedCurve !== algorithm.curve) return false;
  return kid === undefined || candidate.kid === undefined || candidate.kid === kid;
}

function readObject(text: string): Claims {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
  } catch {
    throw invalid("a part of it is not JSON");
  }
  if (!isClaims(value)) throw invalid("a part of it is not a JSON object");
  return value;
}

/** The one part that is not under the signature: bits behind its last octet would give one token many spellings. */
function readSignature(text: string): Buffer {
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) throw invalid("its signature is not base64url");
  return bytes;
}

export function isClaims(value: unknown): value is Claims {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(why: string): Refusal {
  return new Refusal("proof-invalid", `the token is refused: ${why}`);
}
