/** Key pairs of the closed table, for the kinds of custody that hold the key itself; and what any kind calls a key. */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign, verify } from "node:crypto";
import { Refusal } from "../errors.ts";
import { algorithmOf, digests } from "./algorithm.ts";
import type { KeyAlgorithm, Signer } from "./signer.ts";

const nameGrammar = /^[a-z0-9][a-z0-9._-]{0,126}[a-z0-9]$|^[a-z0-9]$/;

/** Lower case, digits, ".", "_", "-"; no path, nothing hidden, nothing that goes up. @throws Refusal `config`. */
export function checkKeyName(name: string): string {
  if (nameGrammar.test(name) && !name.includes("..")) return name;
  throw new Refusal(
    "config",
    `${JSON.stringify(name)} is no key name: a-z, 0-9 and, inside, ".", "_", "-", at most 128`,
  );
}

export function generateKey(algorithm: KeyAlgorithm): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, _: KeyObject, key: KeyObject) => (error === null ? resolve(key) : reject(error));
    switch (algorithm) {
      case "P-256":
      case "P-384":
        return generateKeyPair("ec", { namedCurve: algorithm }, done);
      case "RSA-2048":
      case "RSA-3072":
      case "RSA-4096":
        return generateKeyPair("rsa", { modulusLength: Number(algorithm.slice(4)) }, done);
    }
  });
}

/** @throws Refusal `config`. */
export function readPkcs8(pkcs8: Uint8Array): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  } catch {
    // Without its cause, which may quote what it could not read.
    throw new Refusal("config", "what was brought is no private key in PKCS #8");
  }
}

export function toPkcs8(key: KeyObject): Buffer {
  return key.export({ format: "der", type: "pkcs8" });
}

/** DER SubjectPublicKeyInfo of a private key. */
export function toSpki(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ format: "der", type: "spki" });
}

/** Whether it signs for its public half: PKCS #8 holds both, and OpenSSL takes what stands there as it is. */
export function isWhole(key: KeyObject): boolean {
  const bytes = Buffer.from("espalier key check");
  try {
    return verify("sha256", bytes, createPublicKey(key), sign("sha256", bytes, key));
  } catch {
    return false;
  }
}

/** `where` is what a refusal calls the key. @throws Refusal `config` for a key of none of the table's algorithms. */
export function toSigner(key: KeyObject, where: string): Signer {
  const algorithm = algorithmOf(key);
  if (algorithm === undefined) throw new Refusal("config", `${where} holds a key of an algorithm we do not use`);
  const digest = digests[algorithm];
  return {
    algorithm,
    spki: toSpki(key),
    // One-shot and synchronous: the thread pool costs more processor time than a P-256 signature itself.
    async sign(bytes) {
      try {
        return sign(digest, bytes, key);
      } catch (cause) {
        throw new Refusal("unavailable", `the key in ${where} cannot sign`, { cause });
      }
    },
  };
}
