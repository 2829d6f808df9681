/**
 * The pieces our kinds are made of. Each must become OpenAPI as it is, so there are no transforms here; what
 * OpenAPI cannot say is a rule in each kind's own file (rule.ts).
 */
import * as z from "zod";
import type { KeyAlgorithm } from "../custody/signer.ts";
import { trustDomainBytesMax } from "../identity.ts";

export const apiVersion = "espalier.dev/v1alpha1";

const label = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?";
const subdomain = `${label}(?:\\.${label})*`;
const prefix = "[a-z0-9][-a-z0-9]{0,61}\\*";
const accountPrefix = "[a-z0-9][-.a-z0-9]{0,251}\\*";

function text(grammar: string, rule: string, lengthMax: number) {
  return z
    .string()
    .max(lengthMax)
    .regex(new RegExp(`^(?:${grammar})$`), rule);
}

/** RFC 1123 label: what Kubernetes lets namespaces be called, and we our resources. */
export const name = text(label, "must be a DNS label: 1 to 63 of a-z, 0-9 and -, with - not at an end", 63);
export const accountName = text(subdomain, "must be a DNS subdomain: labels of a-z, 0-9 and -, joined by dots", 253);
export const accountRef = text(`${label}/${subdomain}`, "must be <namespace>/<service account>", 317);
export const dnsName = text(subdomain, "must be a DNS name in lower case, without a wildcard", 253);
export const trustDomain = text("[a-z0-9._-]+", 'must be of a-z, 0-9, ".", "-" and "_"', trustDomainBytesMax);

export const clusterPattern = text(`${label}|\\*`, "must be the name of a MeshCluster, or *", 63);
export const namespacePattern = text(`${label}|${prefix}|\\*`, "must be a namespace, a prefix and *, or *", 63);
export const accountPattern = text(
  `${subdomain}|${accountPrefix}|\\*`,
  "must be a service account, a prefix and *, or *",
  253,
);

/** `{namespace}` is filled in when somebody asks (policy/requests.ts). */
const piece = `(?:${label}|\\{namespace\\})`;
const requested = `${piece}(?:\\.${piece})*`;
export const requestedDns = text(
  `(?:\\*\\.)?${requested}`,
  "must be a DNS name in lower case, or *. and one; a label may be {namespace}",
  253,
);
export const requestedEmail = text(
  `(?:\\*|[!-)+-?A-~]+)@${requested}`,
  "must be an e-mail address, or *@ and a domain in lower case",
  253,
);
export const requestedUri = text(
  "[a-z][a-z0-9+.-]*:[!-)+-~]+(?:[/:]\\*)?",
  "must be a URI, or its beginning up to a / or : and *",
  512,
);
export const subjectValue = text("[^*]+\\*?|\\*", "must be a value, a prefix and *, or * for all", 256);

export const proofGrammar = `token|impersonated|certificate|request|requester:${label}/${subdomain}`;
export const proof = text(
  proofGrammar,
  "must be token, impersonated, certificate, request or requester:<namespace>/<service account>",
  327,
);

export const algorithms = [
  "P-256",
  "P-384",
  "RSA-2048",
  "RSA-3072",
  "RSA-4096",
] as const satisfies readonly KeyAlgorithm[];
export const algorithm = z.enum(algorithms);

export function days(least: number, most: number) {
  return z.int().min(least).max(most);
}

/** A document of one kind, in the shape Kubernetes gives all of them. */
export function resource<K extends string, S extends z.ZodType>(kind: K, about: string, spec: S) {
  const document = z.strictObject({
    apiVersion: z.literal(apiVersion).describe(`Always ${apiVersion}.`),
    kind: z.literal(kind).describe(`Always ${kind}.`),
    metadata,
    spec,
    status: z.unknown().optional().describe("What Espalier reports. Ignored when read."),
  });
  return document.describe(about);
}

const metadata = z
  .strictObject({
    name: name.describe("A DNS label, unique among its kind. Others refer to it by this."),
    labels: z.record(z.string(), z.string()).optional().describe("For the operator's own use. Not read."),
    annotations: z.record(z.string(), z.string()).optional().describe("For the operator's own use. Not read."),
  })
  .describe("Name, labels and annotations, as Kubernetes has them.");
