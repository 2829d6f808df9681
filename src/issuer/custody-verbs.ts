/** What an operator asks of the keys themselves: whether each is there, another sealing key, another place. No issuer has to run. */
import { createPublicKey, verify, X509Certificate } from "node:crypto";
import { digests } from "../custody/algorithm.ts";
import { readSealingKey } from "../custody/sealing-key.ts";
import type { Custody, MovableCustody, Signer } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import type { Database } from "../ledger/database.ts";
import { type Act, hubLog } from "../ledger/ledger.ts";
import type { AuthorityState } from "../ledger/state.ts";
import type { IssuerConfig } from "../ops/config.ts";
import { readAuthorityCsr } from "../pki/authority-request.ts";
import { custodyKind, makeSealingKey, openCustody, openMovableCustody } from "./custody.ts";
import { openDatabase } from "./database.ts";
import { ledgerKey } from "./hub.ts";

export interface CustodyParts {
  readonly by: Pick<Act, "operator" | "reason">;
  readonly now: () => Date;
  readonly dryRun: boolean;
}

/** A key that the database names. */
interface NamedKey {
  readonly name: string;
  readonly state: AuthorityState | "waiting" | "";
  /** What its certificate says, or its request; the ledger's key has neither. */
  readonly spki?: Uint8Array;
}

export interface KeyReport {
  readonly name: string;
  readonly state: string;
  /** Empty when it signs, and as the certificate says. */
  readonly fault: string;
  /** Whether somebody is without a certificate for it: what has retired signs nothing. */
  readonly needed: boolean;
}

/** Opens every key that the database names, and has it sign. */
export async function* checkKeys(config: IssuerConfig, now: () => Date): AsyncGenerator<KeyReport> {
  await using database = await openDatabase(config, { now, create: false });
  await using custody = await openCustody(config, database.state);
  for (const key of await namedKeys(database)) {
    const fault = await tryKey(key, custody);
    yield { name: key.name, state: key.state, fault, needed: key.state !== "retired" && key.state !== "revoked" };
  }
}

export interface Resealed {
  readonly from: string;
  readonly to: string;
  readonly keys: number;
  /** Whether an earlier run has done it. */
  readonly before: boolean;
}

/** Seals every key anew. @throws Refusal `config` when either file is no sealing key, or keys are not sealed. */
export async function resealKeys(config: IssuerConfig, newKeyFile: string, parts: CustodyParts): Promise<Resealed> {
  const { sealed } = config.custody;
  if (sealed === undefined)
    throw new Refusal("config", `custody: keys are kept by ${custodyKind(config)}, and not sealed`);
  await using database = await openDatabase(config, { now: parts.now, create: false });
  const to = await readSealingKey(newKeyFile);
  const keys = await database.state.sealedKeys();
  if (keys.every(({ sealedBy }) => sealedBy === to.id))
    return { from: to.id, to: to.id, keys: keys.length, before: true };
  const from = await readSealingKey(sealed.keyFile);
  const resealed = keys.map((key) => to.seal(key.name, from.unseal(key)));
  const done = { from: from.id, to: to.id, keys: keys.length, before: false };
  if (parts.dryRun) return done;
  const details = { from: from.id, to: to.id, keys: String(keys.length) };
  // If we stop before this, the old file opens all of them; after it, the new one does. Never some of each.
  await database.state.resealKeys(from.id, resealed, { log: hubLog, verb: "reseal-keys", ...parts.by, details });
  return done;
}

/** What became of a key, or of the sealing key's file. */
export interface MoveStep {
  readonly kind: "made" | "would move" | "moved" | "was there already" | "is nowhere";
  readonly name: string;
}

/**
 * Copies every key that the database names from one custody to another of the same issuer. Can be repeated at any point; nothing
 * is taken away. @throws Refusal `config` where keys never leave or come, or the two have different databases.
 */
export async function* moveKeys(from: IssuerConfig, to: IssuerConfig, parts: CustodyParts): AsyncGenerator<MoveStep> {
  if (from.hub !== to.hub || from.database !== to.database)
    throw new Refusal(
      "config",
      "the two configurations are of different issuers: hub and database have to be the same",
    );
  await using database = await openDatabase(to, { now: parts.now, create: false });
  const source = await openMovableCustody(from, database.state);
  const named = await namedKeys(database);
  if (parts.dryRun) {
    for (const { name } of named) yield { kind: "would move", name };
    return;
  }
  if (await makeSealingKey(to, database.state)) yield { kind: "made", name: to.custody.sealed?.keyFile ?? "" };
  const target = await openMovableCustody(to, database.state);
  let moved = 0;
  for (const key of named) {
    const kind = await moveKey(key, source, target);
    if (kind === "moved") moved += 1;
    yield { kind, name: key.name };
  }
  if (moved === 0) return;
  const details = { from: custodyKind(from), to: custodyKind(to), keys: String(moved) };
  // If we stop before this, the keys are there and the ledger does not say why; they are the same keys.
  await database.state.act({ log: hubLog, verb: "move-keys", ...parts.by, details });
}

async function moveKey(
  key: NamedKey,
  source: MovableCustody,
  target: MovableCustody,
): Promise<"moved" | "was there already" | "is nowhere"> {
  const { name } = key;
  const [here, there] = [await find(name, source), await find(name, target)];
  if (there !== undefined) {
    if (here !== undefined && !isSame(here.spki, there.spki))
      throw new Refusal("config", `there is another key "${name}" where it is to go: put that away first`);
    return "was there already";
  }
  // One that has retired may have been put away.
  if (here === undefined) return "is nowhere";
  await target.importKey(name, await source.readKey(name));
  const fault = await tryKey(key, target);
  if (fault !== "") throw new Refusal("not-ready", `key "${name}" has not come through: ${fault}`);
  return "moved";
}

/** The ledger's, those of all authorities but the ones whose key was never here, and those that wait for a certificate. */
async function namedKeys({ state }: Database): Promise<readonly NamedKey[]> {
  const requests = await state.authorityRequests();
  const records = (await state.authorities()).filter(({ keyName }) => keyName !== "");
  const toSpki = (certificate: Uint8Array): Uint8Array =>
    new X509Certificate(certificate).publicKey.export({ format: "der", type: "spki" });
  return [
    { name: ledgerKey, state: "" },
    ...records.map((r) => ({ name: r.keyName, state: r.state, spki: toSpki(r.certificate) })),
    ...requests.map(({ id, csr }) => ({ name: id, state: "waiting" as const, spki: readAuthorityCsr(csr).spki })),
  ];
}

/** What is wrong with it; empty when it signs. */
async function tryKey({ name, spki }: NamedKey, custody: Custody): Promise<string> {
  try {
    const signer = await custody.openKey(name);
    if (spki !== undefined && !isSame(signer.spki, spki)) return "it is not the key of its certificate";
    // No TBSCertificate begins like this, nor does a head of the ledger.
    const bytes = Buffer.from("espalier custody check");
    const key = createPublicKey({ key: Buffer.from(signer.spki), format: "der", type: "spki" });
    return verify(digests[signer.algorithm], bytes, key, await signer.sign(bytes))
      ? ""
      : "its signature does not verify";
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

async function find(name: string, custody: Custody): Promise<Signer | undefined> {
  try {
    return await custody.openKey(name);
  } catch (error) {
    if (error instanceof Refusal && error.code === "not-found") return undefined;
    throw error;
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
