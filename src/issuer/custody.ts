/** The custody that a configuration names. */
import { access } from "node:fs/promises";
import { openFileCustody } from "../custody/file.ts";
import { openPkcs11Custody } from "../custody/pkcs11.ts";
import { openSealedCustody, type SealedKeys } from "../custody/sealed.ts";
import { createSealingKey } from "../custody/sealing-key.ts";
import type { Custody, MovableCustody } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import type { IssuerConfig } from "../ops/config.ts";

export type CustodyConfig = Pick<IssuerConfig, "keys" | "passphraseFile" | "custody">;

/** Somebody has to close it: a token's sessions would stay open. */
export interface OpenedCustody extends Custody, AsyncDisposable {}

/** @throws Refusal `config` when it is not there, or not as it has to be. */
export async function openCustody(config: CustodyConfig, keys: SealedKeys): Promise<OpenedCustody> {
  const { pkcs11 } = config.custody;
  if (pkcs11 !== undefined) {
    const { sessions, deadlineMs, ...address } = pkcs11;
    return openPkcs11Custody({ address, sessions, deadlineMs });
  }
  const custody = await openMovableCustody(config, keys);
  return { ...custody, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** @throws Refusal `config` as above, and where keys never leave. */
export async function openMovableCustody(config: CustodyConfig, sealed: SealedKeys): Promise<MovableCustody> {
  const { keys, passphraseFile, custody } = config;
  if (custody.pkcs11 !== undefined)
    throw new Refusal("config", `keys never leave token "${custody.pkcs11.token}", and none are brought there`);
  if (custody.sealed !== undefined) return await openSealedCustody(custody.sealed.keyFile, sealed);
  return await openFileCustody({ directory: keys, ...(passphraseFile === undefined ? {} : { passphraseFile }) });
}

/** Makes the sealing key where nothing is sealed yet, and says whether it did. Only a verb that an operator types calls this. */
export async function makeSealingKey({ custody }: CustodyConfig, keys: SealedKeys): Promise<boolean> {
  if (custody.sealed === undefined || (await keys.sealedKeys()).length > 0) return false;
  const { keyFile } = custody.sealed;
  if (
    await access(keyFile).then(
      () => true,
      () => false,
    )
  )
    return false;
  // If we stop after this, it seals nothing yet, and the same verb goes on with it.
  await createSealingKey(keyFile);
  return true;
}

/** What a configuration calls its kind. */
export function custodyKind({ custody }: CustodyConfig): string {
  return Object.entries(custody).find(([, settings]) => settings !== undefined)?.[0] ?? "file";
}
