/** The closed table of key algorithms as node:crypto has them. */
import type { KeyObject } from "node:crypto";
import type { KeyAlgorithm } from "./signer.ts";

/** The one digest that goes with each algorithm. */
export const digests: Readonly<Record<KeyAlgorithm, "sha256" | "sha384">> = {
  "P-256": "sha256",
  "P-384": "sha384",
  "RSA-2048": "sha256",
  "RSA-3072": "sha256",
  "RSA-4096": "sha256",
};

/** Undefined for a key that is none of the table. */
export function algorithmOf(key: KeyObject): KeyAlgorithm | undefined {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ec") return curves[namedCurve ?? ""];
  if (key.asymmetricKeyType === "rsa") return moduli[modulusLength ?? 0];
  return undefined;
}

export function isKeyAlgorithm(text: string): text is KeyAlgorithm {
  return Object.hasOwn(digests, text);
}

const curves: Readonly<Record<string, KeyAlgorithm>> = { prime256v1: "P-256", secp384r1: "P-384" };
const moduli: Readonly<Record<number, KeyAlgorithm>> = { 2048: "RSA-2048", 3072: "RSA-3072", 4096: "RSA-4096" };
