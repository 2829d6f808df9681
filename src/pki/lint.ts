/**
 * The last look at the exact bytes before they are signed: every MUST of X509-SVID and of RFC 5280's profile that a leaf of
 * ours can break. It reads the bytes anew and shares only `toKeyId` with the template that wrote them. A finding is our own fault.
 */
import { isSpiffeId } from "../identity.ts";
import { signatureAlgorithmOf } from "./algorithm.ts";
import { type Certificate, readTbs, type Tbs } from "./certificate.ts";
import { isSame } from "./der.ts";
import { fromHex } from "./encode.ts";
import { extensionId } from "./extension.ts";
import { readPublicKey, toKeyId } from "./key.ts";
import { backdateSeconds, type LeafNames, type ProfileName, profiles } from "./profile.ts";

export interface Expected {
  readonly profile: ProfileName;
  readonly names: LeafNames;
  readonly spki: Uint8Array;
  /** The certificate of the authority that is to sign, read once with `readCertificate`. */
  readonly authority: Certificate;
}

/** Whether the bytes keep the rule. */
type Lint = (tbs: Tbs, expected: Expected) => boolean;

/** What holds for any certificate of ours, whatever wrote it. Before these comes `form`. */
export const sharedLints = {
  // RFC 5280 4.1.2.2: positive, at most 20 octets.
  "serial-positive": ({ serial }) => (serial[0] ?? 0) < 0x80 && !(serial.length === 1 && serial[0] === 0),
  "serial-length": ({ serial }) => serial.length >= 17 && serial.length <= 20,
  "signature-algorithm": ({ signatureAlgorithm }, { authority }) =>
    signatureAlgorithm === signatureAlgorithmOf[readPublicKey(authority.spki)],
  // RFC 5280 4.1.2.4: the authority's subject, byte for byte.
  issuer: ({ issuer }, { authority }) => isSame(issuer, authority.subject),
  "validity-order": ({ notBefore, notAfter }) => notBefore.getTime() < notAfter.getTime(),
  "validity-authority": ({ notAfter }, { authority }) => notAfter.getTime() <= authority.notAfter.getTime(),
  "key-exact": ({ spki }, expected) => isSame(spki, expected.spki),
  // RFC 5280 4.2.1.1, 4.2.1.2: never critical; the authority's is copied.
  "subject-key-id": (tbs) =>
    isCritical(tbs, extensionId.subjectKeyIdentifier) === false &&
    tbs.ski !== undefined &&
    isSame(tbs.ski, toKeyId(tbs.spki)),
  // The keyIdentifier alone is 4 octets longer than the identifier: no issuer, no serial number.
  "authority-key-id": (tbs, { authority }) =>
    tbs.aki !== undefined &&
    authority.ski !== undefined &&
    isSame(tbs.aki, authority.ski) &&
    isCritical(tbs, extensionId.authorityKeyIdentifier) === false &&
    lengthOf(tbs, extensionId.authorityKeyIdentifier) === authority.ski.length + 4,
} satisfies Record<string, (tbs: Tbs, expected: Pick<Expected, "spki" | "authority">) => boolean>;

/** And for a leaf of any profile. */
export const leafLints = {
  ...sharedLints,
  // X509-SVID 4.1: cA false; the empty SEQUENCE is its DER.
  "basic-constraints": (tbs: Tbs) => is(tbs, extensionId.basicConstraints, true, emptySequence),
};

/** Before these comes `form`: what the strict reader refuses, as DER, version, times, duplicates, unknown critical extensions. */
const lints = {
  ...leafLints,
  "validity-cap": ({ notBefore, notAfter }, { profile }) =>
    notAfter.getTime() - notBefore.getTime() <= (profiles[profile].validitySecondsCap + backdateSeconds) * 1000,
  "subject-empty": ({ subject }) => subject.length === 2,
  "names-exact": ({ uris, dns, otherNames }, { names }) =>
    otherNames === 0 && same(uris, names.uri === undefined ? [] : [names.uri]) && same(dns, names.dns),
  // X509-SVID section 2: exactly one URI; a profile without one has DNS names.
  "names-profile": ({ uris, dns }, { profile }) =>
    uris.length === (profiles[profile].uri ? 1 : 0) && dns.length > 0 === profiles[profile].dns,
  "names-form": ({ uris, dns }) => uris.every((uri) => isSpiffeId(uri)) && dns.every(isHostName),
  // RFC 5280 4.2.1.6 and X509-SVID section 2: critical, since the subject is empty.
  "names-critical": (tbs) => isCritical(tbs, extensionId.subjectAltName) === true,
  // X509-SVID 4.3: critical, digitalSignature, neither keyCertSign nor cRLSign.
  "key-usage": (tbs, { profile }) =>
    is(
      tbs,
      extensionId.keyUsage,
      true,
      profiles[profile].keyEncipherment ? digitalSignatureAndKeyEncipherment : digitalSignature,
    ),
  // X509-SVID 4.4 for the profiles that have both.
  "extended-usage": (tbs, { profile }) =>
    isCritical(tbs, extensionId.extKeyUsage) === false && same(tbs.usages, profiles[profile].usages),
  // The six that the lints above have found, and no seventh; the reader refuses duplicates.
  "extensions-known": ({ extensions }) => extensions.length === 6,
} satisfies Record<string, Lint>;

/** Every lint by its name, as it stands in the error. */
export const lintNames: readonly string[] = ["form", ...Object.keys(lints)];
const digitalSignature = fromHex("03020780");
const digitalSignatureAndKeyEncipherment = fromHex("030205a0");
const emptySequence = fromHex("3000");
const labelGrammar = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

/** @throws Error naming the lint that does not hold */
export const lintTbs = toLinter(lints);

/** What looks at the exact bytes by all of these lints, `form` before them. */
export function toLinter<E>(
  lints: Readonly<Record<string, (tbs: Tbs, expected: E) => boolean>>,
): (tbs: Uint8Array, expected: E) => void {
  const table = Object.entries(lints);
  return (tbs, expected) => {
    const read = readForm(tbs);
    for (const [name, holds] of table) {
      if (!holds(read, expected)) throw new Error(`lint ${name}: the bytes to be signed do not keep it`);
    }
  };
}

function readForm(tbs: Uint8Array): Tbs {
  try {
    return readTbs(tbs);
  } catch (cause) {
    throw new Error("lint form: the bytes to be signed are no TBSCertificate of ours", { cause });
  }
}

/** Undefined where the extension is missing. */
function isCritical({ extensions }: Tbs, id: number): boolean | undefined {
  for (const extension of extensions) if (extension.id === id) return extension.critical;
  return undefined;
}

function lengthOf({ extensions }: Tbs, id: number): number {
  for (const extension of extensions) if (extension.id === id) return extension.value.length;
  return 0;
}

export function is({ extensions }: Tbs, id: number, critical: boolean, value: Uint8Array): boolean {
  for (const extension of extensions) {
    if (extension.id === id) return extension.critical === critical && isSame(extension.value, value);
  }
  return false;
}

/** RFC 1123 2.1 in lower case; no wildcards, no trailing dot. */
function isHostName(name: string): boolean {
  return name.length <= 253 && name.split(".").every((label) => labelGrammar.test(label));
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}
