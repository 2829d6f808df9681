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
  const tails = new Map<string, readonly string[]>();

  const tailOf = ({ authority, bundleVersion, intermediates, bundle }: SignedLeaf["chain"]): readonly string[] => {
    const key = `${authority}/${bundleVersion}`;
    const known = tails.get(key);
    if (known !== undefined) return known;
    if (tails.size >= tailsMax) tails.clear();
    const tail = toChainTail(intermediates, bundle);
    tails.set(key, tail);
    return tail;
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
