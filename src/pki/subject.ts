/** A subject that somebody has chosen: its attributes, read to be judged. Its bytes are copied into the leaf as they are. */
import { type Cursor, enter, leave, malformed, readContent, tag } from "./der.ts";

/** The attributes that may stand in a subject, as cert-manager calls them. */
export type SubjectKind = (typeof subjectKinds)[number];
export const subjectKinds = [
  "commonNames",
  "organizations",
  "organizationalUnits",
  "countries",
  "provinces",
  "localities",
  "streetAddresses",
  "postalCodes",
  "serialNumbers",
  "domainComponents",
  "userIds",
] as const;

export interface SubjectAttribute {
  readonly kind: SubjectKind;
  readonly value: string;
}

export interface Subject {
  /** The whole Name, as encoded. */
  readonly der: Uint8Array;
  readonly attributes: readonly SubjectAttribute[];
}

/** The OID's content octets in hex (X.520; RFC 4519 2.4, 2.39). */
const kindOf: ReadonlyMap<string, SubjectKind> = new Map([
  ["550403", "commonNames"],
  ["55040a", "organizations"],
  ["55040b", "organizationalUnits"],
  ["550406", "countries"],
  ["550408", "provinces"],
  ["550407", "localities"],
  ["550409", "streetAddresses"],
  ["550411", "postalCodes"],
  ["550405", "serialNumbers"],
  ["0992268993f22c640119", "domainComponents"],
  ["0992268993f22c640101", "userIds"],
]);
/** RFC 5280 appendix A.1: ub-common-name and the like are 64 for most; 128 for the longest. */
const lengthsMax: Readonly<Record<SubjectKind, number>> = {
  commonNames: 64,
  organizations: 64,
  organizationalUnits: 64,
  countries: 2,
  provinces: 128,
  localities: 128,
  streetAddresses: 128,
  postalCodes: 40,
  serialNumbers: 64,
  domainComponents: 63,
  userIds: 256,
};
const attributesMax = 32;

/** @throws Refusal `malformed` naming the rule, also for an attribute that is none of `subjectKinds` */
export function readSubject(cursor: Cursor): Subject {
  const start = cursor.at;
  const whole = enter(cursor, tag.sequence, "the subject");
  const attributes: SubjectAttribute[] = [];
  while (cursor.at < cursor.end) {
    const set = enter(cursor, tag.set, "the subject");
    do {
      if (attributes.length === attributesMax) throw malformed(`a subject of more than ${attributesMax} attributes`);
      attributes.push(readAttribute(cursor));
    } while (cursor.at < cursor.end);
    leave(cursor, set, "the subject");
  }
  leave(cursor, whole, "the subject");
  return { der: cursor.bytes.subarray(start, cursor.at), attributes };
}

function readAttribute(cursor: Cursor): SubjectAttribute {
  const attribute = enter(cursor, tag.sequence, "a subject's attribute");
  const type = Buffer.from(readContent(cursor, tag.oid, "a subject's attribute")).toString("hex");
  const kind = kindOf.get(type);
  if (kind === undefined) throw malformed(`a subject's attribute that is none of ${subjectKinds.join(", ")}`);
  const value = readText(cursor);
  leave(cursor, attribute, "a subject's attribute");
  if (value === "" || value.length > lengthsMax[kind])
    throw malformed(
      `a subject with ${kind} of none or more than ${lengthsMax[kind]} characters (RFC 5280 appendix A.1)`,
    );
  return { kind, value };
}

/** What Go and OpenSSL write; a control character in a name has only ever been an attack. */
function readText(cursor: Cursor): string {
  for (const type of [tag.utf8String, tag.printableString, tag.ia5String]) {
    if (cursor.bytes[cursor.at] !== type) continue;
    const bytes = readContent(cursor, type, "a subject's value");
    const text = decode(bytes, type === tag.utf8String);
    if (text === undefined || /\p{Cc}/u.test(text)) break;
    return text;
  }
  throw malformed("a subject's value that is no UTF8String, PrintableString or IA5String of printable text");
}

function decode(bytes: Uint8Array, isUtf8: boolean): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return isUtf8 || bytes.every((octet) => octet < 0x80) ? text : undefined;
  } catch {
    return undefined;
  }
}
