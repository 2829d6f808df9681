/** The chain that goes with a leaf: as Istio's clients want it written, and as an agent checks it before handing it over. */
import { createPublicKey, hash, type KeyObject, verify } from "node:crypto";
import { Refusal } from "../errors.ts";
import { goTogether, signatureAlgorithms } from "./algorithm.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { readPublicKey, toKeyInput } from "./key.ts";
import { certificateLabel, toPem, toPemAll } from "./pem.ts";
import type { LeafNames } from "./profile.ts";
import { authorityUsages } from "./usage.ts";

/**
 * The elements of a `cert_chain`: the leaf, each intermediate, and last the whole bundle in one element. ztunnel reads one
 * certificate of each element but the last, and takes the last for its trust anchors (istio-ca: ztunnel certificate.rs).
 */
export function toChain(
  leaf: Uint8Array,
  intermediates: readonly Uint8Array[],
  bundle: readonly Uint8Array[],
): string[] {
  return [toPem(certificateLabel, leaf), ...toChainTail(intermediates, bundle)];
}

/** What follows the leaf; the same text for every leaf of one authority and bundle, since clients compare it as text. */
export function toChainTail(intermediates: readonly Uint8Array[], bundle: readonly Uint8Array[]): string[] {
  if (bundle.length === 0) throw new Error("a chain without a root");
  const between = intermediates.filter(
    (certificate) => !bundle.some((root) => Buffer.compare(root, certificate) === 0),
  );
  return [...between.map((certificate) => toPem(certificateLabel, certificate)), toPemAll(certificateLabel, bundle)];
}

export interface Path {
  readonly leaf: Uint8Array;
  /** From the leaf's issuer upwards, without the root. */
  readonly intermediates: readonly Uint8Array[];
  readonly roots: readonly Uint8Array[];
  readonly at: Date;
  /** The SubjectPublicKeyInfo the leaf must have. */
  readonly key?: Uint8Array;
  /** The names the leaf must have, and no others. */
  readonly names?: LeafNames;
  /** False where the key may be for something else than handshakes. Default true. */
  readonly handshakes?: boolean;
  /** The path ends in a CA of path length 0 that somebody else holds, and not in a leaf. Default false. */
  readonly authority?: boolean;
}

export type LeafVerifier = (path: Path) => Certificate;

interface Known {
  readonly id: string;
  readonly certificate: Certificate;
  readonly publicKey: KeyObject;
}

/** CA certificates whose reading is kept, and signatures between two of them. Both are facts about bytes: time is none. */
const knownMax = 256;
const intermediatesMax = 8;

/** One check without a memory. @throws Error with the reason */
export function verifyLeaf(path: Path): Certificate {
  return openVerifier()(path);
}

/**
 * The strict path from a leaf over its intermediates, in their order, to one of the roots (RFC 5280 6.1, without policies and
 * name constraints: an issuer that has them is refused). Opened once, a check costs one signature: what is true of CA certificates
 * for good is remembered. A failure is the issuer's fault: a plain Error with the reason.
 */
export function openVerifier(): LeafVerifier {
  const known = new Map<string, Known>();
  const links = new Set<string>();

  function toKnown(der: Uint8Array): Known {
    const id = hash("sha256", der, "base64");
    const found = known.get(id);
    if (found !== undefined) return found;
    const certificate = readCertificate(Uint8Array.from(der));
    const entry = { id, certificate, publicKey: createPublicKey(toKeyInput(certificate.spki)) };
    if (known.size >= knownMax) known.clear();
    known.set(id, entry);
    return entry;
  }

  function checkLink(child: Known, parent: Known): void {
    const link = `${child.id}${parent.id}`;
    if (links.has(link)) return;
    checkSigned(child.certificate, parent);
    if (links.size >= knownMax) links.clear();
    links.add(link);
  }

  function verifyPath(path: Path): Certificate {
    if (path.intermediates.length > intermediatesMax) throw new Error(`more than ${intermediatesMax} intermediates`);
    const leaf = readCertificate(path.leaf);
    if (path.authority === true) checkLastAuthority(leaf, path);
    else checkLeaf(leaf, path);
    // How many CAs stand below the first of those above (RFC 5280 6.1.4 l).
    const ownBelow = path.authority === true ? 1 : 0;
    const authorities = path.intermediates.map(toKnown);
    const top = authorities.at(-1)?.certificate ?? leaf;
    const root = path.roots.map(toKnown).find((candidate) => isIssuer(top, candidate.certificate));
    if (root === undefined) throw new Error("no root of the bundle is the issuer of the chain's last certificate");
    const parents = [...authorities, root];
    parents.forEach((parent, below) => {
      checkAuthorityOf(parent.certificate, below + ownBelow, path.at);
      const child = authorities[below - 1];
      if (child === undefined) checkSigned(leaf, parent);
      else checkLink(child, parent);
    });
    return leaf;
  }

  return (path) => asFault(() => verifyPath(path));
}

/** What is wrong with our own side's certificates must reach no caller as a refusal of what it sent. */
export function asFault<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof Refusal ? new Error(error.message, { cause: error }) : error;
  }
}

/** Whether the issuer's key signed the certificate; nothing else about either. @throws Error when the issuer is no certificate */
export function verifySignature(certificate: Signed, issuer: Uint8Array): boolean {
  return asFault(() => {
    const { spki } = readCertificate(issuer);
    return hasSignatureOf(certificate, spki, createPublicKey(toKeyInput(spki)));
  });
}

/** A certificate, or a CRL. */
type Signed = Pick<Certificate, "tbs" | "signature" | "signatureAlgorithm">;

function hasSignatureOf({ tbs, signature, signatureAlgorithm }: Signed, spki: Uint8Array, key: KeyObject): boolean {
  const { hash: digest } = signatureAlgorithms[signatureAlgorithm];
  return goTogether(signatureAlgorithm, readPublicKey(spki)) && verify(digest, tbs, key, signature);
}

function checkLeaf(leaf: Certificate, { at, key, names, handshakes = true }: Path): void {
  if (leaf.isCa || leaf.keyUsage.includes("keyCertSign") || leaf.keyUsage.includes("cRLSign")) {
    throw new Error("the leaf may sign certificates");
  }
  if (handshakes && !leaf.keyUsage.includes("digitalSignature")) throw new Error("the leaf may not sign handshakes");
  checkValidity("the leaf", leaf, at);
  if (key !== undefined && Buffer.compare(leaf.spki, key) !== 0) throw new Error("the leaf has another key");
  if (names !== undefined && !hasNames(leaf, names)) throw new Error("the leaf has other names");
}

/** One that signs leaves alone: no names of its own, and none below it but those that it is bound to. */
function checkLastAuthority(authority: Certificate, { at, key }: Path): void {
  const { isCa, pathLength, keyUsage, usages, nameConstraints, spki } = authority;
  if (!isCa || pathLength !== 0) throw new Error("the certificate is no CA of path length 0");
  if (!isSame(keyUsage, authorityUsages) || usages.length > 0)
    throw new Error("the CA's key is for more than keyCertSign and cRLSign");
  if (nameConstraints === undefined) throw new Error("the CA has no name constraints");
  checkValidity("the CA", authority, at);
  if (key !== undefined && Buffer.compare(spki, key) !== 0) throw new Error("the CA has another key");
}

function hasNames({ uris, dns, otherNames }: Certificate, names: LeafNames): boolean {
  const expected = names.uri === undefined ? [] : [names.uri];
  return otherNames === 0 && isSame(uris, expected) && isSame(dns, names.dns);
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

/** RFC 5280 6.1.4 (k) to (n); `below` is how many authorities stand between it and the leaf. */
function checkAuthorityOf(authority: Certificate, below: number, at: Date): void {
  if (!authority.isCa) throw new Error("an issuer of the chain is no CA");
  if (!authority.keyUsage.includes("keyCertSign")) throw new Error("an issuer of the chain may not sign certificates");
  if (authority.nameConstraints !== undefined) throw new Error("an issuer of the chain has name constraints");
  if (authority.pathLength !== undefined && authority.pathLength < below) {
    throw new Error("the chain is longer than a path length in it allows");
  }
  checkValidity("an issuer of the chain", authority, at);
}

function checkValidity(what: string, { notBefore, notAfter }: Certificate, at: Date): void {
  if (at < notBefore) throw new Error(`${what} is not valid before ${notBefore.toISOString()}`);
  if (at > notAfter) throw new Error(`${what} is not valid after ${notAfter.toISOString()}`);
}

/** By name, and by key identifier where both have one: two roots of one name may stand in a bundle while they rotate. */
function isIssuer(child: Certificate, parent: Certificate): boolean {
  if (Buffer.compare(child.issuer, parent.subject) !== 0) return false;
  return child.aki === undefined || parent.ski === undefined || Buffer.compare(child.aki, parent.ski) === 0;
}

function checkSigned(child: Certificate, { certificate, publicKey }: Known): void {
  if (!isIssuer(child, certificate)) throw new Error("a certificate of the chain is not issued by the next");
  if (!hasSignatureOf(child, certificate.spki, publicKey)) {
    throw new Error("a signature of the chain is not by the next certificate's key");
  }
}
