/**
 * Keys in files: `<name>.key.pem`, PKCS #8, in a directory of their own that only this process's user may touch. With a
 * passphrase they are encrypted (PBES2: PBKDF2 and AES-256-CBC, as node:crypto writes it).
 */
import { createPrivateKey, type KeyObject, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Refusal } from "../errors.ts";
import { checkKeyName, generateKey, readPkcs8, toPkcs8, toSigner } from "./key.ts";
import { checkDirectory, createPrivateFile, readPrivateFile } from "./private-file.ts";
import type { MovableCustody, Signer } from "./signer.ts";

export interface FileCustodyConfig {
  /** Made with mode 0700 when the first key is. */
  readonly directory: string;
  /** Its content, without one line end, opens and encrypts every key. */
  readonly passphraseFile?: string;
  /** Names temporary files. */
  readonly random?: (bytes: number) => Uint8Array;
}

/** @throws Refusal `config` when the passphrase cannot be read or others may write the directory. */
export async function openFileCustody(config: FileCustodyConfig): Promise<MovableCustody> {
  const passphrase = config.passphraseFile === undefined ? undefined : await readPassphrase(config.passphraseFile);
  await checkDirectory(config.directory);

  const pathOf = (name: string): string => join(config.directory, `${checkKeyName(name)}.key.pem`);
  async function keep(name: string, key: KeyObject): Promise<Signer> {
    const path = pathOf(name);
    const signer = toSigner(key, path);
    await createPrivateFile(path, encode(key, passphrase), config.random ?? randomBytes);
    return signer;
  }
  async function open(name: string): Promise<KeyObject> {
    const path = pathOf(name);
    await checkDirectory(config.directory);
    return decode(await readPrivateFile(path), path, passphrase);
  }
  return {
    createKey: async (name, algorithm) => await keep(checkKeyName(name), await generateKey(algorithm)),
    openKey: async (name) => toSigner(await open(name), pathOf(name)),
    importKey: async (name, pkcs8) => await keep(name, readPkcs8(pkcs8)),
    readKey: async (name) => toPkcs8(await open(name)),
  };
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
