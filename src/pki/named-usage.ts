/**
 * What a request may want a key for, in the words of cert-manager and Kubernetes. Closed: what signs certificates or CRLs is for
 * authorities; an "ocsp signing" leaf could vouch for all of its authority's leaves, and "any" is all of that.
 */
import { tag } from "./der.ts";
import { toElement, toSequence } from "./encode.ts";
import { type KeyUsage, usageOids } from "./usage.ts";

export const namedUsages = [
  "signing",
  "digital signature",
  "content commitment",
  "key encipherment",
  "data encipherment",
  "key agreement",
  "encipher only",
  "decipher only",
  "server auth",
  "client auth",
  "code signing",
  "email protection",
  "s/mime",
  "ipsec end system",
  "ipsec tunnel",
  "ipsec user",
  "timestamping",
] as const;

export type NamedUsage = (typeof namedUsages)[number];

type Meaning =
  | { readonly kind: "key"; readonly usage: KeyUsage; readonly bit: number }
  /** `name` as `readUsages` calls it. */
  | { readonly kind: "extended"; readonly oid: Uint8Array; readonly name: string };

/** RFC 5280 4.2.1.3 and 4.2.1.12; the IPsec ones of RFC 4945's predecessors, as cert-manager maps them. */
const meanings: Readonly<Record<NamedUsage, Meaning>> = {
  signing: key("digitalSignature", 0),
  "digital signature": key("digitalSignature", 0),
  "content commitment": key("nonRepudiation", 1),
  "key encipherment": key("keyEncipherment", 2),
  "data encipherment": key("dataEncipherment", 3),
  "key agreement": key("keyAgreement", 4),
  "encipher only": key("encipherOnly", 7),
  "decipher only": key("decipherOnly", 8),
  "server auth": { kind: "extended", oid: usageOids.serverAuth, name: "serverAuth" },
  "client auth": { kind: "extended", oid: usageOids.clientAuth, name: "clientAuth" },
  "code signing": extended(3),
  "email protection": extended(4),
  "s/mime": extended(4),
  "ipsec end system": extended(5),
  "ipsec tunnel": extended(6),
  "ipsec user": extended(7),
  timestamping: extended(8),
};

/** Usages as a certificate has them. */
export interface LeafUsages {
  /** In the order of their bits; none, no extension. */
  readonly keyUsage: readonly KeyUsage[];
  /** As `readUsages` calls them, in the order they were asked for, each once; none, no extension. */
  readonly extended: readonly string[];
}

export function isNamedUsage(text: string): text is NamedUsage {
  return Object.hasOwn(meanings, text);
}

export function toLeafUsages(usages: readonly NamedUsage[]): LeafUsages {
  const all = usages.map((usage) => meanings[usage]);
  const keys = new Map(all.flatMap((one) => (one.kind === "key" ? [[one.bit, one.usage] as const] : [])));
  return {
    keyUsage: [...keys].sort(([a], [b]) => a - b).map(([, usage]) => usage),
    extended: [...new Set(all.flatMap((one) => (one.kind === "extended" ? [one.name] : [])))],
  };
}

/** The value of the extension: a named bit list without trailing zero bits (X.690 11.2.2). */
export function toKeyUsage(usages: readonly NamedUsage[]): Uint8Array | undefined {
  const bits = usages.flatMap((usage) => {
    const meaning = meanings[usage];
    return meaning.kind === "key" ? [meaning.bit] : [];
  });
  if (bits.length === 0) return undefined;
  const last = Math.max(...bits);
  const octets = new Uint8Array(2 + (last >> 3));
  octets[0] = 7 - (last & 7);
  for (const bit of bits) octets[1 + (bit >> 3)] = (octets[1 + (bit >> 3)] ?? 0) | (0x80 >> (bit & 7));
  return toElement(tag.bitString, octets);
}

export function toExtendedUsage(usages: readonly NamedUsage[]): Uint8Array | undefined {
  const oids = new Map<string, Uint8Array>();
  for (const usage of usages) {
    const meaning = meanings[usage];
    if (meaning.kind === "extended") oids.set(meaning.name, meaning.oid);
  }
  return oids.size === 0 ? undefined : toSequence(...oids.values());
}

function key(usage: KeyUsage, bit: number): Meaning {
  return { kind: "key", usage, bit };
}

/** id-kp under 1.3.6.1.5.5.7.3. */
function extended(arc: number): Meaning {
  const content = Uint8Array.of(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, arc);
  return { kind: "extended", oid: toElement(tag.oid, content), name: Buffer.from(content).toString("hex") };
}
