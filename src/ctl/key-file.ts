/** CA certificates and keys that an operator hands over, read from PEM files. No message quotes a key. */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { Refusal } from "../errors.ts";
import { readPemAll } from "../pki/pem.ts";
import { readText } from "./read.ts";

/** The DER of the one certificate in a file. @throws Refusal `config`. */
export async function readOneCertificate(path: string): Promise<Uint8Array> {
  const [first, ...rest] = readCertificates(await readText(path), path);
  if (first === undefined || rest.length > 0)
    throw new Refusal("config", `${path} holds ${rest.length + 1} certificates: give the one that is meant, alone`);
  return first;
}

/** `what` is what a refusal calls it. @throws Refusal `config`. */
export function readCertificates(text: string, what: string): readonly Uint8Array[] {
  try {
    return readPemAll(text);
  } catch (error) {
    throw new Refusal("config", `${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** A file's key; the passphrase is the first line of the other, if there is one. @throws Refusal `config`. */
export async function readKeyFile(path: string, passphraseFile: string | undefined): Promise<KeyObject> {
  const passphrase =
    passphraseFile === undefined ? undefined : (await readText(passphraseFile)).replace(/\r?\n[^]*$/, "");
  return readKey(await readText(path), path, passphrase);
}

/** PKCS #8, encrypted or not, SEC 1 or PKCS #1, in PEM. @throws Refusal `config`. */
export function readKey(text: string, what: string, passphrase?: string): KeyObject {
  const encrypted = text.includes("ENCRYPTED");
  if (encrypted && passphrase === undefined)
    throw new Refusal("config", `${what} is encrypted: --passphrase-file names the file that opens it`);
  try {
    return createPrivateKey({ key: text, format: "pem", ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    // Without its cause, which may quote what it could not read.
    const why = encrypted
      ? "does not open with that passphrase"
      : "is no private key in PEM (PKCS #8, SEC 1 or PKCS #1)";
    throw new Refusal("config", `${what} ${why}`);
  }
}

/** As the wire has it. */
export function toPkcs8(key: KeyObject): Uint8Array {
  return key.export({ format: "der", type: "pkcs8" });
}
