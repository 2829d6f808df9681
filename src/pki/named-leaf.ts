/**
 * Leaves of the profile `request`: names, subject and usages are those that a request asked for and its tenant gives. Never a CA.
 * Written by the plain encoder: they are few beside workloads' (`leaf.ts`).
 */

import type { Certificate, Tbs } from "./certificate.ts";
import { type Cursor, isSame } from "./der.ts";
import { fromHex, toOctetString } from "./encode.ts";
import { extensionId, toExtension } from "./extension.ts";
import { type GeneralName, readGeneralNames, toGeneralNames } from "./general-name.ts";
import { toKeyId } from "./key.ts";
import { type Content, type LeafTemplate, toPlainTbs } from "./leaf.ts";
import { leafLints, toLinter } from "./lint.ts";
import { type NamedUsage, toExtendedUsage, toKeyUsage, toLeafUsages } from "./named-usage.ts";

/** Everything of the leaf that its request decides. */
export interface NamedLeaf {
  /** The whole Name, as encoded; it may be empty where there are names. */
  readonly subject: Uint8Array;
  readonly names: readonly GeneralName[];
  readonly usages: readonly NamedUsage[];
}

export type NamedContent = NamedLeaf & Content;

/** No certificate of this profile lives longer, whatever a resource says: the most that public CAs gave for years. Seconds. */
export const namedSecondsCap = 398 * 86_400;

const notCa = fromHex("3000");

/** The exact bytes to be signed, by any template of the authority. */
export function toNamedTbs(template: Pick<LeafTemplate, "issuer" | "after">, content: NamedContent): Uint8Array {
  const { subject, spki, names, usages } = content;
  const keyUsage = toKeyUsage(usages);
  const extended = toExtendedUsage(usages);
  const extensions = [
    ...(keyUsage === undefined ? [] : [toExtension(extensionId.keyUsage, true, keyUsage)]),
    ...(extended === undefined ? [] : [toExtension(extensionId.extKeyUsage, false, extended)]),
    toExtension(extensionId.basicConstraints, true, notCa),
    toExtension(extensionId.subjectKeyIdentifier, false, toOctetString(toKeyId(spki))),
    template.after,
    // RFC 5280 4.2.1.6: critical where the subject is empty.
    ...(names.length === 0 ? [] : [toExtension(extensionId.subjectAltName, isEmpty(subject), toGeneralNames(names))]),
  ];
  return toPlainTbs(template, content, extensions);
}

export interface NamedExpected extends NamedLeaf {
  readonly spki: Uint8Array;
  /** The certificate of the authority that is to sign. */
  readonly authority: Certificate;
}

/** Whether the bytes keep the rule: those of every leaf, and these. */
const lints: Readonly<Record<string, (tbs: Tbs, expected: NamedExpected) => boolean>> = {
  ...leafLints,
  "validity-cap": ({ notBefore, notAfter }) => +notAfter - +notBefore <= namedSecondsCap * 1000,
  "subject-exact": (tbs, { subject }) => isSame(tbs.subject, subject),
  "names-or-subject": ({ subject }, { names }) => names.length > 0 || !isEmpty(subject),
  "names-exact": (tbs, { names }) => isSameNames(namesOf(tbs), names),
  "names-critical": (tbs, { names, subject }) =>
    names.length === 0 || criticalOf(tbs, extensionId.subjectAltName) === isEmpty(subject),
  // X509-SVID section 2: an identity stands alone among URIs, and (4.3) signs.
  "names-identity": ({ keyUsage }, { names }) => {
    const uris = names.filter(({ kind }) => kind === "uri");
    const identities = uris.filter(({ value }) => isSpiffe(value));
    return identities.length === 0 || (uris.length === 1 && keyUsage.includes("digitalSignature"));
  },
  "key-usage": (tbs, { usages }) => {
    const { keyUsage } = toLeafUsages(usages);
    return (
      isSameTexts(tbs.keyUsage, keyUsage) && (keyUsage.length === 0 || criticalOf(tbs, extensionId.keyUsage) === true)
    );
  },
  "extended-usage": (tbs, { usages }) => isSameTexts(tbs.usages, toLeafUsages(usages).extended),
  "not-ca": ({ isCa, keyUsage }) => !isCa && !keyUsage.includes("keyCertSign") && !keyUsage.includes("cRLSign"),
  "extensions-known": ({ extensions, keyUsage, usages }, { names }) =>
    extensions.length === 3 + [keyUsage, usages, names].filter((list) => list.length > 0).length,
};

/** @throws Error naming the lint that does not hold */
export const lintNamedTbs = toLinter(lints);

/** The names of a certificate. @throws Refusal `malformed` for what no leaf of ours has */
export function namesOf({ extensions }: Pick<Tbs, "extensions">): readonly GeneralName[] {
  const found = extensions.find(({ id }) => id === extensionId.subjectAltName);
  if (found === undefined) return [];
  const cursor: Cursor = { bytes: found.value, at: 0, end: found.value.length };
  return readGeneralNames(cursor);
}

export function isSameNames(a: readonly GeneralName[], b: readonly GeneralName[]): boolean {
  return a.length === b.length && a.every(({ kind, value }, at) => b[at]?.kind === kind && b[at].value === value);
}

/** The one SPIFFE ID among names, if there is one. */
export function spiffeIdOf(names: readonly GeneralName[]): string | undefined {
  return names.find(({ kind, value }) => kind === "uri" && isSpiffe(value))?.value;
}

/** Schemes have no case (RFC 3986 3.1). */
export function isSpiffe(uri: string): boolean {
  return /^spiffe:/i.test(uri);
}

function criticalOf({ extensions }: Tbs, id: number): boolean | undefined {
  return extensions.find((extension) => extension.id === id)?.critical;
}

function isSameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, at) => text === b[at]);
}

function isEmpty(name: Uint8Array): boolean {
  return name.length === 2;
}
