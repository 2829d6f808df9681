/** From the hub's answer to what a request's status holds, checked before anybody sees it. */
import { Refusal } from "../errors.ts";
import type { Certificate } from "../pki/certificate.ts";
import { type LeafVerifier, openVerifier } from "../pki/chain.ts";
import { emptySubject } from "../pki/csr.ts";
import { isSame } from "../pki/der.ts";
import type { NamedCsr } from "../pki/named-csr.ts";
import { isSameNames, namesOf, spiffeIdOf } from "../pki/named-leaf.ts";
import { isNamedUsage, toLeafUsages } from "../pki/named-usage.ts";
import { certificateLabel, toPem, toPemAll } from "../pki/pem.ts";
import { profiles } from "../pki/profile.ts";
import type { SignedLeaf } from "./hub.ts";

export interface Expected {
  readonly csr: NamedCsr;
  readonly usages: readonly string[];
  /** 0 where none was asked for. */
  readonly validitySeconds: number;
  readonly asker: { readonly isCa: boolean };
}

/** PEM. */
export interface RequestCertificate {
  /** The leaf, then each certificate that certifies the one before it, without the root. */
  readonly certificate: string;
  /** The root above them. */
  readonly ca: string;
}

export type CheckRequest = (signed: SignedLeaf, expected: Expected) => RequestCertificate;

/** @throws Refusal `unavailable`: the issuer is at fault. */
export function openRequestCheck(parts: {
  readonly now: () => Date;
  readonly onFault: (error: unknown) => void;
}): CheckRequest {
  const verify = openVerifier();
  return (signed, expected) => {
    try {
      return check(signed, expected, verify, parts.now());
    } catch (error) {
      parts.onFault(error);
      throw new Refusal("unavailable", "the issuer's answer did not verify", { cause: error });
    }
  };
}

function check({ leaf, chain }: SignedLeaf, expected: Expected, verify: LeafVerifier, at: Date): RequestCertificate {
  const { intermediates, bundle: roots } = chain;
  const key = expected.csr.spki;
  const path = { leaf, intermediates, at, key, handshakes: false, authority: expected.asker.isCa };
  checkAsked(verify({ ...path, roots }), expected);
  // cert-manager takes one, and a bundle may have several: the one this chain leads to.
  const root = roots.find((one) => leadsTo(() => verify({ ...path, roots: [one] })));
  if (root === undefined) throw new Error("no root of the bundle stands alone above the chain");
  const certificates = [leaf, ...intermediates].filter((der) => !isSame(der, root));
  return {
    certificate: toPemAll(certificateLabel, certificates),
    ca: toPem(certificateLabel, root),
  };
}

function checkAsked(leaf: Certificate, { csr, usages, validitySeconds, asker }: Expected): void {
  if (!isSameNames(namesOf(leaf), csr.names)) throw new Error("the leaf has other names");
  if (!isSame(leaf.subject, csr.subject.der)) throw new Error("the leaf has another subject");
  // Where the hub has taken a requester's word for a workload: what its key may do, and for how long, is the tenant's to say.
  if (isWorkload(leaf, csr)) return;
  // A CA's are the same whatever was asked, and were looked at with the path.
  const asked = toLeafUsages(usages.filter(isNamedUsage));
  if (!asker.isCa && !(isSameTexts(leaf.keyUsage, asked.keyUsage) && isSameTexts(leaf.usages, asked.extended)))
    throw new Error("the leaf has other usages");
  const seconds = (leaf.notAfter.getTime() - leaf.notBefore.getTime()) / 1000;
  if (validitySeconds > 0 && seconds > validitySeconds) throw new Error("the leaf is longer than was asked for");
}

function isWorkload(leaf: Certificate, { names }: NamedCsr): boolean {
  const isAlone = names.length === 1 && spiffeIdOf(names) !== undefined && isSame(leaf.subject, emptySubject);
  return (
    isAlone &&
    isSameTexts(leaf.keyUsage, ["digitalSignature", "keyEncipherment"]) &&
    isSameTexts(leaf.usages, profiles.workload.usages)
  );
}

function isSameTexts(list: readonly string[], wanted: readonly string[]): boolean {
  return list.join() === wanted.join();
}

function leadsTo(verify: () => unknown): boolean {
  try {
    verify();
    return true;
  } catch {
    return false;
  }
}
