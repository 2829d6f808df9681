/** SPIFFE IDs (SPIFFE-ID.md sections 2 and 2.3): the grammar is checked on bytes, once, where they come in. */
import { Refusal } from "./errors.ts";

declare const brand: unique symbol;

/** A well-formed SPIFFE ID with a non-root path. Made only by this file. */
export type SpiffeId = string & { readonly [brand]: "SpiffeId" };

/** The most a SPIFFE ID may be, in bytes (SPIFFE-ID.md 2.3). */
export const spiffeIdBytesMax = 2048;
/** The most a trust domain may be, in bytes (as SPIRE has it). */
export const trustDomainBytesMax = 255;

/** All the rules at once, but for the whole length: it is on every certificate's way several times. */
const grammar = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[a-zA-Z0-9._-]+)+$/;
const trustDomainGrammar = /^[a-z0-9._-]+$/;
const scheme = "spiffe://";

/** Which Istio workload an identity names. */
export interface WorkloadName {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Reads a URI name's bytes. Refusal `malformed` says which rule they break and quotes none of them. */
export function readSpiffeId(bytes: Uint8Array): SpiffeId {
  if (bytes.length > spiffeIdBytesMax) throw malformed(`longer than ${spiffeIdBytesMax} bytes`);
  // Latin-1 maps each byte to one character, so the grammars below see exactly the bytes.
  return parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1"));
}

/** Whether a text is a SPIFFE ID, spelled as one is. */
export function isSpiffeId(text: string): text is SpiffeId {
  return text.length <= spiffeIdBytesMax && grammar.test(text);
}

/** The identity Istio derives for a workload: `spiffe://<td>/ns/<ns>/sa/<sa>`. */
export function workloadId(name: WorkloadName): SpiffeId {
  return parse(`${scheme}${name.trustDomain}/ns/${name.namespace}/sa/${name.serviceAccount}`);
}

/** The identity of a cluster's agent at the hub. */
export function agentId(hub: string, cluster: string): SpiffeId {
  return parse(`${scheme}${hub}/cluster/${cluster}`);
}

/** The cluster an agent's identity names, or undefined when it is no agent of this hub. */
export function clusterOf(hub: string, id: SpiffeId): string | undefined {
  return nameBelow(`${scheme}${hub}/cluster/`, id);
}

/** The identity of an operator at the hub. */
export function operatorId(hub: string, name: string): SpiffeId {
  return parse(`${scheme}${hub}/operator/${name}`);
}

/** The operator an identity names, or undefined when it is none of this hub. */
export function operatorOf(hub: string, id: string): string | undefined {
  return nameBelow(`${scheme}${hub}/operator/`, id);
}

/** The workload an identity names, or undefined when it has not Istio's shape. */
export function workloadOf(id: SpiffeId): WorkloadName | undefined {
  const [trustDomain, ns, namespace, sa, serviceAccount, ...rest] = id.slice(scheme.length).split("/");
  if (trustDomain === undefined || namespace === undefined || serviceAccount === undefined) return undefined;
  if (ns !== "ns" || sa !== "sa" || rest.length > 0) return undefined;
  return { trustDomain, namespace, serviceAccount };
}

export function isTrustDomain(text: string): boolean {
  return text.length <= trustDomainBytesMax && trustDomainGrammar.test(text);
}

/** One segment and nothing after it. */
function nameBelow(prefix: string, id: string): string | undefined {
  const name = id.startsWith(prefix) ? id.slice(prefix.length) : "";
  return name !== "" && !name.includes("/") ? name : undefined;
}

function parse(text: string): SpiffeId {
  if (!isSpiffeId(text)) throw malformed(ruleBroken(text));
  return text;
}

/** For a text that the grammar refused. */
function ruleBroken(text: string): string {
  if (text.length > spiffeIdBytesMax) return `longer than ${spiffeIdBytesMax} bytes`;
  if (!text.startsWith(scheme)) return 'not of the scheme "spiffe"';
  const [trustDomain = "", ...segments] = text.slice(scheme.length).split("/");
  if (!isTrustDomain(trustDomain)) {
    return `its trust domain is not 1 to ${trustDomainBytesMax} of a-z, 0-9, ".", "-", "_"`;
  }
  if (segments.length === 0) return "it has no path";
  return 'a path segment is empty, ".", ".." or has characters other than a-z, A-Z, 0-9, ".", "-", "_"';
}

function malformed(rule: string): Refusal {
  return new Refusal("malformed", `not a SPIFFE ID: ${rule}`);
}
