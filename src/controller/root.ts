/**
 * Where roots come from: made in our own custody, brought with their key, or known by their certificate alone while the key
 * stays offline. A root has generations: the first is active at once, a later one begins as prepared (in bundles, signs nothing).
 */
import { isWhole, readPkcs8, toSpki } from "../custody/key.ts";
import type { Custody, KeyAlgorithm } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import { type Act, hubLog } from "../ledger/ledger.ts";
import type { AuthorityRecord } from "../ledger/state.ts";
import { createRoot } from "../pki/authority.ts";
import { type Certificate, readCertificate } from "../pki/certificate.ts";
import { isSame } from "../pki/der.ts";
import { newSerial } from "../pki/leaf.ts";
import { type Others, readRoot } from "../pki/others.ts";
import {
  type AuthorityParts,
  type By,
  backdated,
  intending,
  keep,
  makeKey,
  newId,
  seconds,
  toCommonName,
} from "./generation.ts";
import type { RootName } from "./rotation.ts";

export interface RootOrder extends RootName {
  /** These two count where it is made here; what is brought says them itself. */
  readonly algorithm: KeyAlgorithm;
  readonly validityDays: number;
}

export type RootMaterial =
  | { readonly kind: "made" }
  /** Certificate in DER, key in PKCS #8. */
  | { readonly kind: "brought"; readonly certificate: Uint8Array; readonly key: Uint8Array }
  /** Its key is never here: authorities wait for certificates that are signed elsewhere. */
  | { readonly kind: "offline"; readonly certificate: Uint8Array };

/** One generation of a root. */
export interface Generation {
  readonly material: RootMaterial;
  readonly state: "active" | "prepared";
}

const dayMs = 86_400_000;
const hubRootDays = 3650;
const madeHere: Generation = { material: { kind: "made" }, state: "active" };

/** The hub's own: `init` makes the first, and its rotation the next. */
export function toHubOrder(hub: string): RootOrder {
  return { kind: "hub", owner: hub, algorithm: "P-256", validityDays: hubRootDays };
}

/**
 * Adds a generation of a root.
 * @throws Refusal `not-ready` when its owner has one in that state, or another that is retiring; `malformed` naming what is wrong with what was brought;
 * `config` where keys cannot be brought into custody.
 */
export async function addRoot(
  order: RootOrder,
  by: By,
  parts: AuthorityParts,
  { material, state }: Generation = madeHere,
): Promise<AuthorityRecord> {
  checkTurn(order, state, await parts.state.authorities());
  return material.kind === "made"
    ? await makeRoot(order, state, by, parts)
    : await bringRoot(order, { material, state }, by, parts);
}

/** What others' material is worth, before anything is made of it. @throws Refusal as `addRoot`. */
export function checkMaterial(
  material: Exclude<RootMaterial, { kind: "made" }>,
  { custody, now }: Pick<AuthorityParts, "custody" | "now">,
): Others {
  const root = readRoot(material.certificate, now());
  if (material.kind === "brought") checkKey(material.key, root.certificate, custody);
  return root;
}

/** @throws Refusal `malformed` when it is not the certificate's key, `config` when custody takes no key from elsewhere. */
export function checkKey(pkcs8: Uint8Array, { spki }: Pick<Certificate, "spki">, { importKey }: Custody): void {
  const key = readPkcs8(pkcs8);
  if (!isSame(toSpki(key), spki)) throw new Refusal("malformed", "the key is not the certificate's");
  if (!isWhole(key))
    throw new Refusal("malformed", "the key does not sign: what it holds as its public half is another key's");
  if (importKey === undefined)
    throw new Refusal(
      "config",
      "this custody makes keys and takes none from elsewhere: use source espalier or offline",
    );
}

/** Two owners of one key could sign for each other. @throws Refusal `not-ready` naming the one that has it. */
export function checkUnused({ spki }: Pick<Certificate, "spki">, records: readonly AuthorityRecord[]): void {
  const holder = records.find(({ certificate }) => isSame(readCertificate(certificate).spki, spki));
  if (holder === undefined) return;
  const { kind, owner, id, state } = holder;
  throw new Refusal("not-ready", `its key is that of ${kind} "${owner}" (${id}, ${state}) already`);
}

const article = { active: "an active", prepared: "a prepared" } as const;

/** One generation in a state, and no next one before the last rotation is over. @throws Refusal `not-ready`. */
export function checkTurn(
  { kind, owner }: RootName,
  state: Generation["state"],
  records: readonly AuthorityRecord[],
): void {
  const own = records.filter((r) => r.kind === kind && r.owner === owner);
  const existing = own.find((r) => r.state === state);
  if (existing !== undefined)
    throw new Refusal("not-ready", `${kind} "${owner}" has ${article[state]} root already: ${existing.id}`);
  const leaving = own.find((r) => r.state === "retiring");
  if (leaving !== undefined)
    throw new Refusal("not-ready", `the last rotation of "${owner}" is not over: root ${leaving.id} is still trusted`);
}

async function makeRoot(
  order: RootOrder,
  state: Generation["state"],
  by: By,
  parts: AuthorityParts,
): Promise<AuthorityRecord> {
  const { kind, owner, algorithm } = order;
  const { id, signer } = await makeKey(kind, owner, algorithm, parts);
  const times = { notBefore: backdated(parts), notAfter: new Date(+seconds(parts.now()) + order.validityDays * dayMs) };
  const act: Act = {
    log: hubLog,
    verb: `create-${kind === "root" ? "workload" : kind}-root`,
    ...by,
    details: { id, owner, algorithm },
  };
  const certificate = await createRoot({
    signer: intending(signer, act, parts.state),
    commonName: toCommonName(kind, owner, id),
    serial: newSerial(parts.random),
    ...times,
  });
  return await keep({ kind, owner, algorithm, id, keyName: id, ...times, certificate, state }, act, parts);
}

async function bringRoot(
  { kind, owner }: RootOrder,
  {
    material,
    state,
  }: { readonly material: Exclude<RootMaterial, { kind: "made" }>; readonly state: Generation["state"] },
  by: By,
  parts: AuthorityParts,
): Promise<AuthorityRecord> {
  const { certificate, algorithm } = checkMaterial(material, parts);
  const id = newId(kind, owner, parts);
  if (material.kind === "brought") await parts.custody.importKey?.(id, material.key);
  const keyName = material.kind === "brought" ? id : "";
  const act: Act = {
    log: hubLog,
    verb: "bring-root",
    ...by,
    details: { id, owner, algorithm, key: material.kind, state },
  };
  const { notBefore, notAfter, der } = certificate;
  return await keep({ kind, owner, algorithm, id, keyName, notBefore, notAfter, certificate: der, state }, act, parts);
}
