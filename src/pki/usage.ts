/** Key usage and extended key usage (RFC 5280 4.2.1.3, 4.2.1.12), read in their one DER form. */
import { type Cursor, enter, leave, malformed, readContent, tag, take } from "./der.ts";
import { fromHex } from "./encode.ts";

export type KeyUsage =
  | "digitalSignature"
  | "nonRepudiation"
  | "keyEncipherment"
  | "dataEncipherment"
  | "keyAgreement"
  | "keyCertSign"
  | "cRLSign"
  | "encipherOnly"
  | "decipherOnly";

/** In the order of their bits. */
const keyUsages: readonly KeyUsage[] = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
];

/** Of a CA, and nothing else. */
export const authorityUsages: readonly KeyUsage[] = ["keyCertSign", "cRLSign"];

export type Usage = "serverAuth" | "clientAuth";

/** The OIDs, encoded (RFC 5280 4.2.1.12). */
export const usageOids: Readonly<Record<Usage, Uint8Array>> = {
  serverAuth: fromHex("06082b06010505070301"),
  clientAuth: fromHex("06082b06010505070302"),
};

/** A named bit list: at least one bit, no trailing zero bits (X.690 11.2.2). */
export function readKeyUsage(cursor: Cursor): readonly KeyUsage[] {
  const content = readContent(cursor, tag.bitString, "the key usage");
  const unused = content[0] ?? 0;
  const last = content.length > 1 ? (content.at(-1) ?? 0) : 0;
  if (((last >> unused) & 1) === 0)
    throw malformed("a key usage without bits or with trailing zero bits (X.690 11.2.2)");
  const bits = (content.length - 1) * 8 - unused;
  if (bits > keyUsages.length) throw malformed("a key usage with unknown bits");
  return keyUsages.filter((_, bit) => ((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0);
}

/** Usages in their order, each once: a name for the two we know, the OID's hex for any other. */
export function readUsages(cursor: Cursor): readonly string[] {
  const list = enter(cursor, tag.sequence, "the extended key usage");
  const usages: string[] = [];
  while (cursor.at < cursor.end) {
    const usage = readUsage(cursor);
    if (usages.includes(usage)) throw malformed("the same extended key usage twice");
    if (usages.length >= 16) throw malformed("more than 16 extended key usages");
    usages.push(usage);
  }
  if (usages.length === 0) throw malformed("an empty extended key usage (RFC 5280 4.2.1.12)");
  leave(cursor, list, "the extended key usage");
  return usages;
}

function readUsage(cursor: Cursor): string {
  if (take(cursor, usageOids.serverAuth)) return "serverAuth";
  if (take(cursor, usageOids.clientAuth)) return "clientAuth";
  return Buffer.from(readContent(cursor, tag.oid, "an extended key usage")).toString("hex");
}
