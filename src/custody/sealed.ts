/**
 * Keys in the issuer's database, sealed. Whoever has a dump of it has nothing without the sealing key; several issuers on one
 * database share their keys by it. The file is read for every key that is opened or made, so that it can be replaced.
 */
import type { KeyObject } from "node:crypto";
import { Refusal } from "../errors.ts";
import { checkKeyName, generateKey, readPkcs8, toPkcs8, toSigner } from "./key.ts";
import { readSealingKey, type SealedKey } from "./sealing-key.ts";
import type { MovableCustody, Signer } from "./signer.ts";

/** The table that they are in. */
export interface SealedKeys {
  sealedKeys(): Promise<readonly SealedKey[]>;
  sealedKey(name: string): Promise<SealedKey | undefined>;
  /** One durable write. @throws Refusal `not-ready` when the name is taken, `config` when another key has sealed the others. */
  addSealedKey(key: SealedKey): Promise<void>;
}

/** @throws Refusal `config` when the file cannot be read, others can, or it is not what seals this database. */
export async function openSealedCustody(keyFile: string, keys: SealedKeys): Promise<MovableCustody> {
  const sealing = await readSealingKey(keyFile);
  for (const key of await keys.sealedKeys()) sealing.check(key);

  async function keep(name: string, key: KeyObject): Promise<Signer> {
    const signer = toSigner(key, `the sealed key "${name}"`);
    // If we stop before this, nothing is there. After it, a key that signs nothing until a certificate names it.
    await keys.addSealedKey((await readSealingKey(keyFile)).seal(checkKeyName(name), key));
    return signer;
  }
  async function open(name: string): Promise<KeyObject> {
    const found = await keys.sealedKey(checkKeyName(name));
    if (found === undefined) throw new Refusal("not-found", `there is no sealed key "${name}"`);
    return (await readSealingKey(keyFile)).unseal(found);
  }
  return {
    createKey: async (name, algorithm) => await keep(checkKeyName(name), await generateKey(algorithm)),
    openKey: async (name) => toSigner(await open(name), `the sealed key "${name}"`),
    importKey: async (name, pkcs8) => await keep(name, readPkcs8(pkcs8)),
    readKey: async (name) => toPkcs8(await open(name)),
  };
}
