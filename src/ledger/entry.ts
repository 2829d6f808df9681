/**
 * An entry's canonical bytes: an RFC 8785 object that holds everything about a draft or an act, and neither position,
 * predecessor nor signature. Never a token, a CSR or a key: those appear as SHA-256.
 */
import { Refusal } from "../errors.ts";
import type { AnyProfileName } from "../pki/profile.ts";
import { type CanonicalObject, canonical, canonicalString, toObject } from "./canonical.ts";
import type { Act, Door, Draft, RequestedBy } from "./ledger.ts";
import { readTime, sameBytes, toBase64, toHex, toTime } from "./octets.ts";

/** The format of the bytes. What they mean never changes under one number. */
export const entryVersion = 1;

export type Entry =
  | { readonly kind: "intent"; readonly draft: Draft; readonly time: Date }
  | { readonly kind: "act"; readonly act: Act; readonly time: Date };

const doors: Readonly<Record<Door, true>> = { istio: true, "certificate-request": true, csr: true, own: true };
const profileNames: Readonly<Record<AnyProfileName, true>> = {
  workload: true,
  serving: true,
  agent: true,
  operator: true,
  issuer: true,
  request: true,
  authority: true,
};

/** Written by hand with its names in order, for it is on every certificate's way; a test compares it with `canonical`. */
export function encodeIntent(draft: Draft, time: Date, write = toTime): Uint8Array {
  const { idempotency, renewableSince, request, tokenSha256 } = draft;
  const text =
    `{"authority":${canonicalString(draft.authority)},"bundleVersion":${canonicalString(draft.bundleVersion)}` +
    `,"cluster":${canonicalString(draft.cluster)},"door":"${draft.door}"` +
    (idempotency === undefined
      ? ""
      : `,"idempotencyDigest":"${toHex(idempotency.digest)}","idempotencyKey":${canonicalString(idempotency.key)}`) +
    `,"identity":${canonicalString(draft.identity)},"keySha256":"${toHex(draft.keySha256)}","kind":"intent"` +
    `,"log":${canonicalString(draft.log)},"notAfter":"${write(draft.notAfter)}"` +
    `,"notBefore":"${write(draft.notBefore)}","profile":"${draft.profile}","proof":${canonicalString(draft.proof)}` +
    (renewableSince === undefined ? "" : `,"renewableSince":"${write(renewableSince)}"`) +
    (request === undefined ? "" : `,"request":${canonical({ ...request })}`) +
    `,"rule":${canonicalString(draft.rule)},"serial":"${toHex(draft.serial)}","tbs":"${toBase64(draft.tbs)}"` +
    `,"time":"${write(time)}"` +
    (tokenSha256 === undefined ? "" : `,"tokenSha256":"${toHex(tokenSha256)}"`) +
    `,"version":${entryVersion}}`;
  return Buffer.from(text, "utf8");
}

export function encodeAct(act: Act, time: Date): Uint8Array {
  const { log, verb, operator, reason, details } = act;
  const kind = "act";
  const entry: CanonicalObject = {
    details,
    kind,
    log,
    operator,
    reason,
    time: toTime(time),
    verb,
    version: entryVersion,
  };
  return Buffer.from(canonical(entry), "utf8");
}

/** Reads what `encodeIntent` or `encodeAct` wrote, and nothing else. Refusal `malformed` says what is wrong. */
export function readEntry(bytes: Uint8Array): Entry {
  const fields = readObject(bytes);
  const time = timeIn(fields, "time");
  const entry: Entry =
    textIn(fields, "kind") === "act"
      ? { kind: "act", act: actIn(fields), time }
      : { kind: "intent", draft: draftIn(fields), time };
  // An unknown field, another order or another spelling of one value cannot come out of writing it again.
  const again = entry.kind === "act" ? encodeAct(entry.act, time) : encodeIntent(entry.draft, time);
  if (!sameBytes(again, bytes)) throw malformed("it is not in canonical form");
  return entry;
}

function draftIn(fields: Fields): Draft {
  const key = optionalTextIn(fields, "idempotencyKey");
  const renewable = fields["renewableSince"] !== undefined;
  return {
    log: textIn(fields, "log"),
    cluster: textIn(fields, "cluster"),
    door: memberIn(fields, "door", isDoor),
    profile: memberIn(fields, "profile", isProfileName),
    authority: textIn(fields, "authority"),
    bundleVersion: textIn(fields, "bundleVersion"),
    serial: hexIn(fields, "serial"),
    identity: textIn(fields, "identity"),
    rule: textIn(fields, "rule"),
    proof: textIn(fields, "proof"),
    keySha256: hexIn(fields, "keySha256"),
    notBefore: timeIn(fields, "notBefore"),
    notAfter: timeIn(fields, "notAfter"),
    tbs: Buffer.from(textIn(fields, "tbs"), "base64"),
    ...(fields["tokenSha256"] === undefined ? {} : { tokenSha256: hexIn(fields, "tokenSha256") }),
    ...(renewable ? { renewableSince: timeIn(fields, "renewableSince") } : {}),
    ...(fields["request"] === undefined ? {} : { request: requestIn(fields["request"]) }),
    ...(key === undefined ? {} : { idempotency: { key, digest: hexIn(fields, "idempotencyDigest") } }),
  };
}

function requestIn(value: unknown): RequestedBy {
  const fields = toObject(value);
  const groups = fields?.["groups"];
  if (fields === undefined || !Array.isArray(groups)) throw malformed('"request" is not one of ours');
  return {
    object: textIn(fields, "object"),
    issuer: textIn(fields, "issuer"),
    username: textIn(fields, "username"),
    groups: groups.map((group: unknown) => textIn({ group }, "group")),
  };
}

function actIn(fields: Fields): Act {
  const details = toObject(fields["details"]);
  if (details === undefined) throw malformed('"details" is not an object');
  return {
    log: textIn(fields, "log"),
    verb: textIn(fields, "verb"),
    operator: textIn(fields, "operator"),
    reason: textIn(fields, "reason"),
    details: Object.fromEntries(Object.keys(details).map((name) => [name, textIn(details, name)])),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function readObject(bytes: Uint8Array): Fields {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    const fields = toObject(value);
    if (fields !== undefined) return fields;
  } catch (cause) {
    throw malformed("it is not JSON in UTF-8", { cause });
  }
  throw malformed("it is not an object");
}

function optionalTextIn(fields: Fields, name: string): string | undefined {
  return fields[name] === undefined ? undefined : textIn(fields, name);
}

function textIn(fields: Fields, name: string): string {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (typeof value !== "string" || !value.isWellFormed()) throw malformed(`"${name}" is not a string`);
  return value;
}

function hexIn(fields: Fields, name: string): Uint8Array {
  return Buffer.from(textIn(fields, name), "hex");
}

function timeIn(fields: Fields, name: string): Date {
  const time = readTime(textIn(fields, name));
  if (time === undefined) throw malformed(`"${name}" is not a time`);
  return time;
}

function memberIn<T extends string>(fields: Fields, name: string, isMember: (text: string) => text is T): T {
  const text = textIn(fields, name);
  if (!isMember(text)) throw malformed(`"${name}" is not one we know`);
  return text;
}

function isDoor(text: string): text is Door {
  return Object.hasOwn(doors, text);
}

function isProfileName(text: string): text is AnyProfileName {
  return Object.hasOwn(profileNames, text);
}

function malformed(rule: string, options?: ErrorOptions): Refusal {
  return new Refusal("malformed", `not a ledger entry: ${rule}`, options);
}
