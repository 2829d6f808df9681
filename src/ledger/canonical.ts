/**
 * RFC 8785 (JCS) for what the ledger needs: objects of strings, lists of strings, safe integers and such objects. One value has one
 * representation, so bytes can be hashed, signed and compared.
 */

export interface CanonicalObject {
  readonly [name: string]: string | number | readonly string[] | CanonicalObject | undefined;
}

/** What `JSON.stringify` would leave as it is: printable ASCII without `"` and `\`. */
const plain = /^[ !#-[\]-~]*$/;

/** Members that are undefined are left out. Throws a plain error for what has no canonical form. */
export function canonical(value: CanonicalObject): string {
  const members: string[] = [];
  // The default sort compares UTF-16 code units, as RFC 8785 3.2.3 asks.
  for (const name of Object.keys(value).sort()) {
    const member = value[name];
    if (member !== undefined) members.push(`${canonicalString(name)}:${canonicalMember(member)}`);
  }
  return `{${members.join(",")}}`;
}

/** RFC 8785 3.2.2.2: what `JSON.stringify` writes, but for lone surrogates, which have no UTF-8. */
export function canonicalString(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw new Error("a string with a lone surrogate has no canonical form");
  return JSON.stringify(text);
}

/** An object of JSON, or undefined for any other value. */
export function toObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return isObject(value) ? value : undefined;
}

function canonicalMember(member: string | number | readonly string[] | CanonicalObject): string {
  if (typeof member === "string") return canonicalString(member);
  if (isList(member)) return `[${member.map(canonicalString).join(",")}]`;
  if (typeof member === "object") return canonical(member);
  if (!Number.isSafeInteger(member)) throw new Error(`${member} is not a safe integer`);
  // String(-0) is "0", as RFC 8785 has it.
  return String(member);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(member: number | readonly string[] | CanonicalObject): member is readonly string[] {
  return Array.isArray(member);
}
