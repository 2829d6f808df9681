/** Keys, authorities and hostile CSRs for tests: everything made by node:crypto, nothing kept between runs. */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import type { KeyAlgorithm, Signer } from "../../src/custody/signer.ts";
import { type KeyKind, signatureAlgorithmOf, signatureAlgorithms } from "../../src/pki/algorithm.ts";
import { createAuthority, createRoot } from "../../src/pki/authority.ts";
import { fromHex, toAscii, toBitString, toElement, toOctetString, toSequence } from "../../src/pki/encode.ts";
import { newSerial, toCertificate, toLeafTemplate, toTbs } from "../../src/pki/leaf.ts";
import type { LeafNames, ProfileName } from "../../src/pki/profile.ts";

export const keyAlgorithms: readonly KeyAlgorithm[] = ["P-256", "P-384", "RSA-2048", "RSA-3072", "RSA-4096"];
export const keyKinds: readonly KeyKind[] = [...keyAlgorithms, "Ed25519"];
/** Those whose keys are made in no time; `key`, `leaf` and `authority` are tested with all. */
export const quickAlgorithms: readonly KeyAlgorithm[] = ["P-256", "P-384", "RSA-2048"];
export const quickKinds: readonly KeyKind[] = [...quickAlgorithms, "Ed25519"];
export const profileNames: readonly ProfileName[] = ["workload", "serving", "agent", "operator", "issuer"];

/** When tests take place. */
export const now = new Date("2026-11-21T10:11:12Z");
export const uri = "spiffe://tenant-a.example/ns/default/sa/productpage";

export function later(seconds: number): Date {
  return new Date(now.getTime() + seconds * 1000);
}

export interface TestKey {
  readonly kind: KeyKind;
  readonly privateKey: KeyObject;
  readonly spki: Uint8Array;
}

export function makeKey(kind: KeyKind): TestKey {
  const { privateKey } = generate(kind);
  const spki = Uint8Array.from(createPublicKey(privateKey).export({ format: "der", type: "spki" }));
  return { kind, privateKey, spki };
}

/** One key of each kind; RSA keys take long to make. */
export const keys: (kind: KeyKind) => TestKey = remember(makeKey);

export function makeSigner(algorithm: KeyAlgorithm, key: TestKey = makeKey(algorithm)): Signer {
  const { hash } = signatureAlgorithms[signatureAlgorithmOf[algorithm]];
  return { algorithm, spki: key.spki, sign: (bytes) => Promise.resolve(sign(hash, bytes, key.privateKey)) };
}

export interface TestAuthority {
  readonly algorithm: KeyAlgorithm;
  readonly root: Uint8Array;
  readonly rootSigner: Signer;
  readonly certificate: Uint8Array;
  readonly signer: Signer;
}

export interface AuthorityOverrides {
  readonly rootSigner?: Signer;
  readonly signer?: Signer;
  readonly pathLength?: number;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

/** A root and one authority under it, both of the algorithm. */
export async function makeAuthority(
  algorithm: KeyAlgorithm,
  overrides: AuthorityOverrides = {},
): Promise<TestAuthority> {
  const rootSigner = overrides.rootSigner ?? makeSigner(algorithm);
  const signer = overrides.signer ?? makeSigner(algorithm);
  const root = await createRoot({
    signer: rootSigner,
    commonName: "tenant-a root",
    organization: "Espalier",
    notBefore: later(-7200),
    notAfter: later(3650 * 86_400),
    serial: newSerial(randomBytes),
  });
  const certificate = await createAuthority({
    signer: rootSigner,
    parent: root,
    spki: signer.spki,
    commonName: "tenant-a authority 1",
    notBefore: overrides.notBefore ?? later(-3600),
    notAfter: overrides.notAfter ?? later(365 * 86_400),
    serial: newSerial(randomBytes),
    pathLength: overrides.pathLength ?? 0,
  });
  return { algorithm, root, rootSigner, certificate, signer };
}

/** One authority of each algorithm. RSA keys take long to make, so its RSA ones use `keys` and stand under a P-256 root. */
export const authorities: (algorithm: KeyAlgorithm) => Promise<TestAuthority> = remember((algorithm) =>
  algorithm.startsWith("RSA")
    ? makeAuthority(algorithm, { rootSigner: makeSigner("P-256"), signer: makeSigner(algorithm, keys(algorithm)) })
    : makeAuthority(algorithm),
);

export function namesOf(profile: ProfileName): LeafNames {
  if (profile === "workload") return { uri, dns: [] };
  if (profile === "agent" || profile === "operator") return { uri: "spiffe://hub.example/cluster/east-1", dns: [] };
  return { dns: ["istiod.istio-system.svc", "espalier-agent.espalier.svc"] };
}

export interface LeafOverrides {
  readonly profile?: ProfileName;
  readonly names?: LeafNames;
  readonly spki?: Uint8Array;
  readonly serial?: Uint8Array;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export function makeTbs(authority: TestAuthority, overrides: LeafOverrides = {}): Uint8Array {
  const profile = overrides.profile ?? "workload";
  return toTbs(toLeafTemplate(authority, profile), {
    serial: overrides.serial ?? newSerial(randomBytes),
    notBefore: overrides.notBefore ?? later(-120),
    notAfter: overrides.notAfter ?? later(3600),
    spki: overrides.spki ?? keys("P-256").spki,
    names: overrides.names ?? namesOf(profile),
  });
}

export async function makeLeaf(authority: TestAuthority, overrides: LeafOverrides = {}): Promise<Uint8Array> {
  return signTbs(authority, makeTbs(authority, overrides));
}

export async function signTbs(
  authority: Pick<TestAuthority, "algorithm" | "signer">,
  tbs: Uint8Array,
): Promise<Uint8Array> {
  return toCertificate(authority.algorithm, tbs, await authority.signer.sign(tbs));
}

export interface CsrParts {
  readonly key?: TestKey;
  readonly version?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly spki?: Uint8Array;
  /** All that follows the key; by default the extensionRequest with `extensions`. */
  readonly attributes?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  readonly algorithm?: Uint8Array;
}

/** A signed CSR of any parts, to build what `toCsr` would not. */
export function buildCsr(parts: CsrParts = {}): Uint8Array {
  const key = parts.key ?? keys("P-256");
  const { der, hash } = signatureAlgorithms[signatureAlgorithmOf[key.kind]];
  const info = toSequence(
    parts.version ?? fromHex("020100"),
    parts.subject ?? toSequence(),
    parts.spki ?? key.spki,
    parts.attributes ?? toAttributes(attribute(toSequence(...(parts.extensions ?? [san(uriName(uri))])))),
  );
  return toSequence(info, parts.algorithm ?? der, toBitString(sign(hash, info, key.privateKey)));
}

export function toAttributes(...attributes: readonly Uint8Array[]): Uint8Array {
  return toElement(0xa0, ...attributes);
}

/** An extensionRequest with these values. */
export function attribute(...values: readonly Uint8Array[]): Uint8Array {
  return toSequence(fromHex("06092a864886f70d01090e"), toElement(0x31, ...values));
}

/** An id-ce extension by its last arc. */
export function extension(id: number, value: Uint8Array, critical: Uint8Array = fromHex("0101ff")): Uint8Array {
  return toSequence(Uint8Array.of(0x06, 0x03, 0x55, 0x1d, id), critical, toOctetString(value));
}

export const notCritical = new Uint8Array();

export function san(...names: readonly Uint8Array[]): Uint8Array {
  return extension(17, toSequence(...names));
}

export function uriName(text: string): Uint8Array {
  return toElement(0x86, toAscii(text));
}

export function dnsName(text: string): Uint8Array {
  return toElement(0x82, toAscii(text));
}

/** The bytes with one hex pattern replaced, wherever it is; it has to be there exactly once. Lengths are not mended. */
export function replaceHex(bytes: Uint8Array, from: string, to: string): Uint8Array {
  const parts = Buffer.from(bytes).toString("hex").split(from);
  if (parts.length !== 2) throw new Error(`${from} occurs ${parts.length - 1} times`);
  return fromHex(parts.join(to));
}

export function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
  return copy;
}

function generate(kind: KeyKind): { readonly privateKey: KeyObject } {
  if (kind === "Ed25519") return generateKeyPairSync("ed25519");
  if (kind === "P-256" || kind === "P-384") return generateKeyPairSync("ec", { namedCurve: kind });
  return generateKeyPairSync("rsa", { modulusLength: Number(kind.slice(4)) });
}

function remember<K, V>(make: (key: K) => V): (key: K) => V {
  const made = new Map<K, V>();
  return (key) => {
    const value = made.get(key) ?? make(key);
    made.set(key, value);
    return value;
  };
}
