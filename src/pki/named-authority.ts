/**
 * CA certificates for others, of the profile `authority`: whoever asked holds the key, signs leaves with it and no further authorities,
 * and no names but its tenant's. Written by the plain encoder, for they go the way of a leaf: the exact bytes first.
 */
import type { Certificate, Tbs } from "./certificate.ts";
import { isSame } from "./der.ts";
import { fromHex, toOctetString } from "./encode.ts";
import { extensionId, toExtension } from "./extension.ts";
import { toKeyId } from "./key.ts";
import { type Content, type LeafTemplate, toPlainTbs } from "./leaf.ts";
import { is, sharedLints, toLinter } from "./lint.ts";
import { constraintsOf, type NameConstraints, type NameScope, toNameConstraints } from "./name-constraints.ts";
import { namedSecondsCap } from "./named-leaf.ts";

export interface NamedAuthority {
  /** The whole Name, as encoded; not empty (RFC 5280 4.1.2.6). */
  readonly subject: Uint8Array;
  readonly scope: NameScope;
}

export type NamedAuthorityContent = NamedAuthority & Content;

/** cA true, path length 0. */
const lastAuthority = fromHex("30060101ff020100");
const signsCertificatesAndCrls = fromHex("03020106");

/** The exact bytes to be signed, by any template of the authority above. */
export function toNamedAuthorityTbs(
  template: Pick<LeafTemplate, "issuer" | "after">,
  content: NamedAuthorityContent,
): Uint8Array {
  const extensions = [
    toExtension(extensionId.keyUsage, true, signsCertificatesAndCrls),
    toExtension(extensionId.basicConstraints, true, lastAuthority),
    toExtension(extensionId.subjectKeyIdentifier, false, toOctetString(toKeyId(content.spki))),
    template.after,
    toExtension(extensionId.nameConstraints, true, toNameConstraints(constraintsOf(content.scope))),
  ];
  return toPlainTbs(template, content, extensions);
}

export interface NamedAuthorityExpected extends NamedAuthority {
  readonly spki: Uint8Array;
  /** The certificate of the authority that is to sign. */
  readonly authority: Certificate;
}

/** Whether the bytes keep the rule: those of every certificate, and these. */
const lints: Readonly<Record<string, (tbs: Tbs, expected: NamedAuthorityExpected) => boolean>> = {
  ...sharedLints,
  "validity-cap": ({ notBefore, notAfter }) => +notAfter - +notBefore <= namedSecondsCap * 1000,
  "subject-exact": (tbs, { subject }) => subject.length > 2 && isSame(tbs.subject, subject),
  // Self-issued, it would not count towards the path length above it (RFC 5280 6.1.4).
  "subject-other": ({ subject, issuer }) => !isSame(subject, issuer),
  "basic-constraints": (tbs) => is(tbs, extensionId.basicConstraints, true, lastAuthority),
  // Of an authority that signs no leaves.
  "path-length": (_, { authority }) => authority.isCa && authority.pathLength === 1,
  "key-usage": (tbs) => is(tbs, extensionId.keyUsage, true, signsCertificatesAndCrls),
  "name-constraints": (tbs, { scope }) =>
    tbs.extensions.some(({ id, critical }) => id === extensionId.nameConstraints && critical) &&
    tbs.nameConstraints !== undefined &&
    isWithin(tbs.nameConstraints, scope),
  // The five that the lints above have found: no other names, no usages of leaves.
  "extensions-known": ({ extensions }) => extensions.length === 5,
};

/** @throws Error naming the lint that does not hold */
export const lintNamedAuthorityTbs = toLinter(lints);

/** Every kind of name is bound: the one trust domain, no DNS name but these, no address, and no e-mail that anybody has. */
function isWithin({ permitted, excluded }: NameConstraints, { trustDomain, dnsNames }: NameScope): boolean {
  const of = (list: NameConstraints["permitted"], wanted: string): string =>
    list.flatMap(({ kind, base }) => (kind === wanted ? [base] : [])).join();
  const noDns = of(permitted, "dns") === "" && excluded.some(({ kind, base }) => kind === "dns" && base === "");
  return (
    of(permitted, "uri") === trustDomain &&
    of(permitted, "email") === "invalid" &&
    of(permitted, "ip") === "" &&
    of(excluded, "ip") === `${"0".repeat(16)},${"0".repeat(64)}` &&
    (dnsNames.length === 0 ? noDns : of(permitted, "dns") === dnsNames.join())
  );
}
