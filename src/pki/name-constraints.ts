/** Which names the certificates below a CA may have (RFC 5280 4.2.1.10). */
import { type Cursor, enter, leave, malformed, peek, readContent, tag } from "./der.ts";
import { toAscii, toElement, toSequence } from "./encode.ts";
import { type GeneralNameKind, kindOfTag, nameTags } from "./general-name.ts";

/** A host, domain or address range with its mask, as it is encoded: in ASCII, or of addresses in hex. */
export interface Subtree {
  readonly kind: GeneralNameKind;
  readonly base: string;
}

export interface NameConstraints {
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
}

/** What of a tenant's names stand below a CA that somebody else holds. */
export interface NameScope {
  readonly trustDomain: string;
  /** Names, each with all below it. */
  readonly dnsNames: readonly string[];
}

const permittedTag = 0xa0;
const excludedTag = 0xa1;
const subtreesMax = 256;
const printable = /^[!-~]*$/;

/**
 * A kind that is not mentioned is not constrained, so all four are: URIs to the trust domain, DNS to what is given, addresses to none, and
 * e-mail to what nobody has (RFC 6761 6.4), for there is no way to exclude all of it. An empty DNS name is above every other.
 */
export function constraintsOf({ trustDomain, dnsNames }: NameScope): NameConstraints {
  const all = "00";
  return {
    permitted: [
      { kind: "uri", base: trustDomain },
      { kind: "email", base: "invalid" },
      ...dnsNames.map((base): Subtree => ({ kind: "dns", base })),
    ],
    excluded: [
      ...(dnsNames.length === 0 ? [{ kind: "dns", base: "" } as const] : []),
      { kind: "ip", base: all.repeat(8) },
      { kind: "ip", base: all.repeat(32) },
    ],
  };
}

/** The value of the extension. */
export function toNameConstraints({ permitted, excluded }: NameConstraints): Uint8Array {
  const toSubtrees = (type: number, subtrees: readonly Subtree[]): readonly Uint8Array[] =>
    subtrees.length === 0 ? [] : [toElement(type, ...subtrees.map((one) => toSequence(toBase(one))))];
  return toSequence(...toSubtrees(permittedTag, permitted), ...toSubtrees(excludedTag, excluded));
}

/** @throws Refusal `malformed` naming the rule, also for a base of another kind. */
export function readNameConstraints(cursor: Cursor): NameConstraints {
  const whole = enter(cursor, tag.sequence, "the name constraints");
  if (cursor.at === cursor.end) throw malformed("name constraints without subtrees (RFC 5280 4.2.1.10)");
  const permitted = readSubtrees(cursor, permittedTag);
  const excluded = readSubtrees(cursor, excludedTag);
  leave(cursor, whole, "the name constraints");
  return { permitted, excluded };
}

function toBase({ kind, base }: Subtree): Uint8Array {
  return toElement(nameTags[kind], kind === "ip" ? Buffer.from(base, "hex") : toAscii(base));
}

function readSubtrees(cursor: Cursor, type: number): readonly Subtree[] {
  if (peek(cursor) !== type) return [];
  const list = enter(cursor, type, "the name constraints");
  const subtrees: Subtree[] = [];
  do {
    if (subtrees.length === subtreesMax) throw malformed(`more than ${subtreesMax} name constraints`);
    const subtree = enter(cursor, tag.sequence, "a name constraint");
    subtrees.push(readBase(cursor));
    leave(cursor, subtree, "a name constraint");
  } while (cursor.at < cursor.end);
  leave(cursor, list, "the name constraints");
  return subtrees;
}

function readBase(cursor: Cursor): Subtree {
  const type = peek(cursor);
  const kind = kindOfTag.get(type);
  if (kind === undefined) throw malformed("a name constraint that is neither DNS, IP, e-mail nor URI");
  const bytes = Buffer.from(readContent(cursor, type, "a name constraint"));
  if (kind === "ip") {
    if (bytes.length !== 8 && bytes.length !== 32) throw malformed("an address range not of 8 or 32 octets");
    return { kind, base: bytes.toString("hex") };
  }
  const base = bytes.toString("latin1");
  if (!printable.test(base)) throw malformed("a name constraint that is not printable ASCII");
  return { kind, base };
}
