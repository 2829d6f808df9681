/** What a tenant gives to requests: names, subjects, usages and a duration. What it does not list, nobody gets. */
import type { GeneralName } from "../pki/general-name.ts";
import { isInRange, readIp, readIpRange } from "../pki/ip.ts";
import type { NamedUsage } from "../pki/named-usage.ts";
import type { SubjectAttribute, SubjectKind } from "../pki/subject.ts";
import { matches, type Pattern } from "./pattern.ts";

/** `{namespace}` in a name stands for the namespace of the request. */
export interface RequestLimits {
  /** A name, or `*.` and what names below it end with, wildcards among them. */
  readonly dnsNames: readonly string[];
  /** Addresses, or address/bits. */
  readonly ips: readonly string[];
  /** An address, or `*@` and a domain. */
  readonly emails: readonly string[];
  /** A URI, or a prefix and `*`; of no SPIFFE ID. */
  readonly uris: readonly string[];
  /** Whether a namespace may have the SPIFFE IDs of its own accounts. */
  readonly identities: boolean;
  /** Values, or a prefix and `*`. */
  readonly subject: Readonly<Record<SubjectKind, readonly string[]>>;
  readonly usages: readonly NamedUsage[];
  readonly maximumSeconds: number;
  /** Missing: nobody is given a CA certificate. */
  readonly authorities?: AuthorityLimits | undefined;
}

/** CA certificates, for a tenant whose TrustRoot and trust domain are its own. */
export interface AuthorityLimits {
  readonly namespaces: readonly Pattern[];
  /** What may stand below such a CA, beside the tenant's SPIFFE IDs: names, each with all below it. */
  readonly dnsNames: readonly string[];
  readonly maximumSeconds: number;
}

/** RFC 1123 2.1 in lower case, or such a name with a wildcard for its first label. */
const dnsGrammar = /^(?=.{1,253}$)(?:\*\.)?(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)*(?!-)[a-z0-9-]{1,63}(?<!-)$/;
const uriGrammar = /^[a-z][a-z0-9+.-]*:./;

/** Whether a name that is no SPIFFE ID is given. */
export function givesName({ kind, value }: GeneralName, limits: RequestLimits, namespace: string): boolean {
  const filled = (patterns: readonly string[]): readonly string[] =>
    patterns.map((pattern) => pattern.replaceAll("{namespace}", namespace));
  switch (kind) {
    case "dns":
      return dnsGrammar.test(value) && filled(limits.dnsNames).some((pattern) => endsAs(pattern, value));
    case "email":
      return /^[^@]+@[^@]+$/.test(value) && filled(limits.emails).some((pattern) => endsAs(pattern, value));
    case "uri":
      return uriGrammar.test(value) && filled(limits.uris).some((pattern) => matches(pattern, value));
    case "ip": {
      const address = readIp(value);
      return address !== undefined && limits.ips.some((text) => isIn(text, address));
    }
  }
}

/** A common name is also given where it would be as a name: clients took it for one. */
export function givesAttribute({ kind, value }: SubjectAttribute, limits: RequestLimits, namespace: string): boolean {
  if (limits.subject[kind].some((pattern) => matches(pattern, value))) return true;
  if (kind !== "commonNames") return false;
  const address = readIp(value);
  if (address !== undefined) return limits.ips.some((text) => isIn(text, address));
  return givesName({ kind: value.includes("@") ? "email" : "dns", value }, limits, namespace);
}

/** Whether a certificate for `asked`, which may be a wildcard (RFC 6125 6.4.3), would be taken for `name`. */
export function standsFor(asked: string, name: string): boolean {
  const lower = asked.toLowerCase().replace(/\.$/, "");
  if (!lower.startsWith("*.")) return lower === name;
  return name.indexOf(".") > 0 && name.slice(name.indexOf(".")) === lower.slice(1);
}

function endsAs(pattern: string, value: string): boolean {
  if (!pattern.startsWith("*")) return pattern === value;
  return value.length >= pattern.length && value.endsWith(pattern.slice(1));
}

function isIn(text: string, address: Uint8Array): boolean {
  const range = readIpRange(text);
  return range !== undefined && isInRange(range, address);
}
