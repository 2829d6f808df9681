/** The last look before a certificate is handed over, and the shape in which every client of Istio's protocol takes it. */
import { Refusal } from "../errors.ts";
import { openVerifier, toChainTail } from "../pki/chain.ts";
import { certificateLabel, toPem } from "../pki/pem.ts";
import type { LeafNames } from "../pki/profile.ts";
import type { SignedLeaf } from "./hub.ts";

export interface Expected {
  /** SubjectPublicKeyInfo, DER. */
  readonly key: Uint8Array;
  readonly names: LeafNames;
}

/** PEM elements: the leaf, one intermediate each, the bundle of roots. @throws Refusal `unavailable`: the issuer is at fault. */
export type Check = (issued: SignedLeaf, expected: Expected) => string[];

/** Tails kept: one for each authority and bundle in force. */
const tailsMax = 256;

export function openCheck(parts: { readonly now: () => Date; readonly onFault: (error: unknown) => void }): Check {
  const verify = openVerifier();
  const tails = new Map<string, Tail>();

  const tailOf = ({ authority, bundleVersion, intermediates, bundle }: SignedLeaf["chain"]): readonly string[] => {
    const key = `${authority}/${bundleVersion}`;
    const known = tails.get(key);
    // What is handed over is what was verified, whatever the issuer calls it.
    if (known !== undefined && isSame(known.intermediates, intermediates) && isSame(known.bundle, bundle))
      return known.elements;
    if (tails.size >= tailsMax) tails.clear();
    const elements = toChainTail(intermediates, bundle);
    // Copies: the issuer's are slices of whole messages.
    tails.set(key, { intermediates: intermediates.map(copy), bundle: bundle.map(copy), elements });
    return elements;
  };

  return ({ leaf, chain }, { key, names }) => {
    try {
      verify({ leaf, intermediates: chain.intermediates, roots: chain.bundle, at: parts.now(), key, names });
      return [toPem(certificateLabel, leaf), ...tailOf(chain)];
    } catch (error) {
      parts.onFault(error);
      throw new Refusal("unavailable", "the issuer's answer did not verify", { cause: error });
    }
  };
}

interface Tail extends Pick<SignedLeaf["chain"], "intermediates" | "bundle"> {
  readonly elements: readonly string[];
}

function copy(der: Uint8Array): Uint8Array {
  return Uint8Array.from(der);
}

function isSame(left: readonly Uint8Array[], right: readonly Uint8Array[]): boolean {
  return (
    left.length === right.length && left.every((der, at) => Buffer.compare(der, right[at] ?? new Uint8Array()) === 0)
  );
}
