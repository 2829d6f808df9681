/**
 * Keys in files: `<name>.key.pem`, PKCS #8, in a directory of their own that only this process's user may touch. With a
 * passphrase they are encrypted (PBES2: PBKDF2 and AES-256-CBC, as node:crypto writes it).
 */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, randomBytes, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Refusal } from "../errors.ts";
import { algorithmOf, digests } from "./algorithm.ts";
import { checkDirectory, createPrivateFile, readPrivateFile } from "./private-file.ts";
import type { Custody, KeyAlgorithm, Signer } from "./signer.ts";

export interface FileCustodyConfig {
  /** Made with mode 0700 when the first key is. */
  readonly directory: string;
  /** Its content, without one line end, opens and encrypts every key. */
  readonly passphraseFile?: string;
  /** Names temporary files. */
  readonly random?: (bytes: number) => Uint8Array;
}

const nameGrammar = /^[a-z0-9][a-z0-9._-]{0,126}[a-z0-9]$|^[a-z0-9]$/;

/** @throws Refusal `config` when the passphrase cannot be read or others may write the directory. */
export async function openFileCustody(config: FileCustodyConfig): Promise<Custody> {
  const passphrase = config.passphraseFile === undefined ? undefined : await readPassphrase(config.passphraseFile);
  await checkDirectory(config.directory);

  return {
    async createKey(name, algorithm) {
      const path = keyPath(config.directory, name);
      const key = await generate(algorithm);
      await createPrivateFile(path, encode(key, passphrase), config.random ?? randomBytes);
      return toSigner(key, path);
    },
    async openKey(name) {
      const path = keyPath(config.directory, name);
      await checkDirectory(config.directory);
      return toSigner(decode(await readPrivateFile(path), path, passphrase), path);
    },
  };
}

/** Lower case, digits, ".", "_", "-"; no path, nothing hidden, nothing that goes up. */
function keyPath(directory: string, name: string): string {
  if (!nameGrammar.test(name) || name.includes("..")) {
    throw new Refusal(
      "config",
      `${JSON.stringify(name)} is no key name: a-z, 0-9 and, inside, ".", "_", "-", at most 128`,
    );
  }
  return join(directory, `${name}.key.pem`);
}

function toSigner(key: KeyObject, path: string): Signer {
  const algorithm = algorithmOf(key);
  if (algorithm === undefined) throw new Refusal("config", `${path} holds a key of an algorithm we do not use`);
  const digest = digests[algorithm];
  return {
    algorithm,
    spki: createPublicKey(key).export({ format: "der", type: "spki" }),
    // One-shot and synchronous: the thread pool costs more processor time than a P-256 signature itself.
    async sign(bytes) {
      try {
        return sign(digest, bytes, key);
      } catch (cause) {
        throw new Refusal("unavailable", `the key in ${path} cannot sign`, { cause });
      }
    },
  };
}

function generate(algorithm: KeyAlgorithm): Promise<KeyObject> {
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

function encode(key: KeyObject, passphrase: string | undefined): string {
  const encryption = passphrase === undefined ? {} : { cipher: "aes-256-cbc", passphrase };
  return key.export({ format: "pem", type: "pkcs8", ...encryption });
}

function decode(pem: string, path: string, passphrase: string | undefined): KeyObject {
  const encrypted = pem.startsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----");
  if (encrypted && passphrase === undefined)
    throw new Refusal("config", `${path} is encrypted and no passphrase is set`);
  if (!encrypted && passphrase !== undefined) {
    throw new Refusal("config", `${path} is not encrypted, and a passphrase is set`);
  }
  try {
    return createPrivateKey({ key: pem, format: "pem", ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    // Without its cause, which may quote what it could not read.
    const what = encrypted ? "does not open with the passphrase that is set" : "is no private key in PKCS #8";
    throw new Refusal("config", `${path} ${what}`);
  }
}

async function readPassphrase(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new Refusal("config", `the passphrase file ${path} cannot be read`, { cause });
  });
  const passphrase = text.replace(/\r?\n$/, "");
  if (passphrase === "") throw new Refusal("config", `the passphrase file ${path} is empty`);
  return passphrase;
}
