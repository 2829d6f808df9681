/** Makes CSRs, in the two shapes that Istio's clients make them: our agents, the CLI and the tests ask with these. */
import { createPublicKey, type KeyObject, sign } from "node:crypto";
import { signatureAlgorithmOf, signatureAlgorithms } from "./algorithm.ts";
import { extensionRequest, istioSubject, uriName } from "./csr.ts";
import { tag } from "./der.ts";
import { fromHex, toAscii, toBitString, toElement, toOctetString, toSequence } from "./encode.ts";
import { readPublicKey } from "./key.ts";

export interface CsrRequest {
  readonly privateKey: KeyObject;
  /** The one name asked for; without it the CSR only proves its key. */
  readonly uri?: string;
  /** `empty` as ztunnel has it, or the O="" of pilot-agent. */
  readonly subject?: "empty" | "istio";
}

/** A signed CSR in DER. @throws Refusal `csr-key` for a key that we would not certify */
export function toCsr({ privateKey, uri, subject = "empty" }: CsrRequest): Uint8Array {
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const { der, hash } = signatureAlgorithms[signatureAlgorithmOf[readPublicKey(spki)]];
  const info = toSequence(
    fromHex("020100"),
    subject === "istio" ? istioSubject : toSequence(),
    spki,
    uri === undefined ? toElement(tag.context0) : toAttributes(uri),
  );
  return toSequence(info, der, toBitString(sign(hash, info, privateKey)));
}

function toAttributes(uri: string): Uint8Array {
  const names = toSequence(toElement(uriName, toAscii(uri)));
  const extension = toSequence(fromHex("0603551d11"), fromHex("0101ff"), toOctetString(names));
  const attribute = toSequence(extensionRequest, toElement(tag.set, toSequence(extension)));
  return toElement(tag.context0, attribute);
}
