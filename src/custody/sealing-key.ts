/**
 * The key that seals others: 32 random bytes, in base64, in a file that only the issuer can read. Sealing is AES-256-GCM over
 * PKCS #8, bound to the key's name and its public half, so that who can write rows cannot put one key in another's place.
 *
 *     sealed = 1 (format) | nonce (12) | ciphertext | tag (16)
 */
import { createCipheriv, createDecipheriv, hkdfSync, type KeyObject, randomBytes } from "node:crypto";
import { Refusal } from "../errors.ts";
import { readPkcs8, toPkcs8, toSpki } from "./key.ts";
import { createPrivateFile, readSecretFile } from "./private-file.ts";

export interface SealedKey {
  readonly name: string;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** The id of the sealing key. */
  readonly sealedBy: string;
  readonly sealed: Uint8Array;
}

export interface SealingKey {
  /** Says which it is and nothing about it: 16 hex digits. */
  readonly id: string;
  seal(name: string, key: KeyObject): SealedKey;
  /** @throws Refusal `config` when another key has sealed it, with what mends that. */
  check(key: SealedKey): void;
  /** @throws Refusal `config` as `check`, and when it is not what was sealed. */
  unseal(key: SealedKey): KeyObject;
}

const keyBytes = 32;
const format = 1;
const nonceBytes = 12;
const tagBytes = 16;
const cipher = "aes-256-gcm";

/** @throws Refusal `config`, with what mends it. */
export async function readSealingKey(path: string): Promise<SealingKey> {
  const text = await readSecretFile(path, "custody.sealed.keyFile");
  const secret = Buffer.from(text, "base64");
  if (secret.length !== keyBytes || secret.toString("base64") !== text) {
    throw new Refusal(
      "config",
      `${path} is no sealing key: ${keyBytes} random bytes in base64, as of "openssl rand -base64 32"`,
    );
  }
  return toSealingKey(secret, path);
}

/** @throws Refusal `not-ready` when the file is there. */
export async function createSealingKey(path: string): Promise<void> {
  await createPrivateFile(path, `${randomBytes(keyBytes).toString("base64")}\n`, randomBytes);
}

function toSealingKey(secret: Uint8Array, path: string): SealingKey {
  const id = derive(secret, "espalier sealing key id", 8).toString("hex");
  const key = derive(secret, "espalier sealed key 1", 32);
  function check({ name, sealedBy }: SealedKey): void {
    if (sealedBy === id) return;
    throw new Refusal(
      "config",
      `key "${name}" is sealed by ${sealedBy}, and ${path} is ${id}: put the file there that sealed it`,
    );
  }
  return {
    id,
    check,
    seal(name, plain) {
      const spki = toSpki(plain);
      const nonce = randomBytes(nonceBytes);
      const encrypting = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes });
      encrypting.setAAD(toBound(name, spki));
      const pkcs8 = toPkcs8(plain);
      const ciphertext = Buffer.concat([encrypting.update(pkcs8), encrypting.final()]);
      pkcs8.fill(0);
      const sealed = Buffer.concat([Buffer.of(format), nonce, ciphertext, encrypting.getAuthTag()]);
      return { name, spki, sealedBy: id, sealed };
    },
    unseal(from) {
      check(from);
      const { name, spki, sealed } = from;
      if (sealed[0] !== format)
        throw new Refusal("config", `key "${name}" is sealed in format ${sealed[0]}, which this binary does not know`);
      const bytes = Buffer.from(sealed.subarray(1));
      try {
        const decrypting = createDecipheriv(cipher, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
        decrypting.setAAD(toBound(name, spki));
        decrypting.setAuthTag(bytes.subarray(-tagBytes));
        const pkcs8 = Buffer.concat([decrypting.update(bytes.subarray(nonceBytes, -tagBytes)), decrypting.final()]);
        return readPkcs8(pkcs8);
      } catch {
        // Without its cause, which may quote what it could not read.
        throw new Refusal("config", `key "${name}" in the database is not as it was sealed: restore it from a backup`);
      }
    },
  };
}

function derive(secret: Uint8Array, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "", purpose, bytes));
}

/** A key's name has no NUL. */
function toBound(name: string, spki: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.of(format), Buffer.from(`${name}\0`), spki]);
}
