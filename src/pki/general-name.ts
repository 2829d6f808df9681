/** The names of a certificate that somebody has chosen: DNS, IP, e-mail and URI (RFC 5280 4.2.1.6), in their order. */
import { type Cursor, enter, leave, malformed, peek, readContent, tag } from "./der.ts";
import { toAscii, toElement, toSequence } from "./encode.ts";
import { readIp, toIpText } from "./ip.ts";

export type GeneralNameKind = "dns" | "ip" | "email" | "uri";

export interface GeneralName {
  readonly kind: GeneralNameKind;
  /** Printable ASCII; an address as `toIpText` writes it. */
  readonly value: string;
}

/** More than anybody's certificate has, and few enough to be judged one by one. */
export const namesMax = 100;
export const nameTags: Readonly<Record<GeneralNameKind, number>> = { email: 0x81, dns: 0x82, uri: 0x86, ip: 0x87 };
export const kindOfTag: ReadonlyMap<number, GeneralNameKind> = new Map([
  [nameTags.email, "email"],
  [nameTags.dns, "dns"],
  [nameTags.uri, "uri"],
  [nameTags.ip, "ip"],
]);
const printable = /^[!-~]+$/;

/** @throws Refusal `malformed` naming the rule, also for a name of another kind */
export function readGeneralNames(cursor: Cursor): readonly GeneralName[] {
  const whole = enter(cursor, tag.sequence, "the subject alternative name");
  const names: GeneralName[] = [];
  while (cursor.at < cursor.end) {
    if (names.length === namesMax) throw malformed(`more than ${namesMax} names`);
    names.push(readGeneralName(cursor));
  }
  if (names.length === 0) throw malformed("a subject alternative name without names (RFC 5280 4.2.1.6)");
  leave(cursor, whole, "the subject alternative name");
  return names;
}

/** The SEQUENCE that `readGeneralNames` reads. */
export function toGeneralNames(names: readonly GeneralName[]): Uint8Array {
  return toSequence(...names.map(({ kind, value }) => toElement(nameTags[kind], toContent(kind, value))));
}

/** `dns:shop.example`, for messages and records. */
export function toNameText({ kind, value }: GeneralName): string {
  return `${kind}:${value}`;
}

function readGeneralName(cursor: Cursor): GeneralName {
  const type = peek(cursor);
  const kind = kindOfTag.get(type);
  if (kind === undefined) throw malformed("a name that is neither DNS, IP, e-mail nor URI");
  const bytes = readContent(cursor, type, "a name");
  if (kind === "ip") {
    if (bytes.length !== 4 && bytes.length !== 16) throw malformed("an IP address not of 4 or 16 octets");
    return { kind, value: toIpText(bytes) };
  }
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  if (!printable.test(value)) throw malformed("a name that is empty or not printable ASCII");
  return { kind, value };
}

function toContent(kind: GeneralNameKind, value: string): Uint8Array {
  if (kind !== "ip") return toAscii(value);
  const octets = readIp(value);
  if (octets === undefined) throw new Error(`${value} is no address`);
  return octets;
}
