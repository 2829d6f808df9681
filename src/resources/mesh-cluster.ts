/** `MeshCluster`: one Kubernetes cluster that may ask, and the keys that sign its service-account tokens. */
import { posix } from "node:path";
import * as z from "zod";
import { Refusal } from "../errors.ts";
import type { Requester } from "../policy/requester.ts";
import { type Jwk, jwksKeysMax, readJwks, secretMembers } from "../token/jwk.ts";
import { accountName, accountRef, dnsName, name, resource } from "./fields.ts";
import type { Path, Report } from "./problem.ts";
import { distinct, holds, type Keywords, withKeywords } from "./rule.ts";

/** Where a cluster's token keys come from: the document, a join, its agent after a join, or an address the hub asks. */
export type ClusterKeys =
  | { readonly kind: "static"; readonly keys: readonly Jwk[] }
  | { readonly kind: "joined" }
  /** `taken`: what the agent proposes counts at once. Otherwise an operator approves it. */
  | { readonly kind: "proposed"; readonly taken: boolean }
  | { readonly kind: "url"; readonly url: string };

export interface MeshCluster {
  readonly name: string;
  readonly tokens: { readonly issuer: string; readonly keys: ClusterKeys; readonly audiences: readonly string[] };
  readonly agent: { readonly namespace: string; readonly serviceAccount: string };
  /** `namespace/account`: whose word counts as proof `impersonated`. */
  readonly ztunnelAccounts: readonly string[];
  /** Whose word counts as proof `requester:<namespace>/<account>`, and where. */
  readonly requesters: readonly Requester[];
  readonly aliases: readonly string[];
  readonly servingNames: readonly string[];
  readonly suspended: boolean;
}

/** The text of a file beside the document, by relative path; undefined when there is none. */
export type Beside = (path: string) => string | undefined;

/** As far as an API server can judge it, and so that no private key comes to lie in one; which keys are good is `readJwks`' to say. */
const jwksKeywords: Keywords = {
  type: "object",
  required: ["keys"],
  "x-kubernetes-preserve-unknown-fields": true,
  properties: {
    keys: {
      type: "array",
      minItems: 1,
      maxItems: jwksKeysMax,
      items: {
        type: "object",
        required: ["kty"],
        "x-kubernetes-preserve-unknown-fields": true,
        properties: {
          kty: { type: "string", enum: ["RSA", "EC"] },
          ...Object.fromEntries(secretMembers.map((member) => [member, { type: "string" }])),
        },
        "x-kubernetes-validations": [
          {
            rule: `!(${secretMembers.map((member) => `has(self.${member})`).join(" || ")})`,
            message: "a key is private: only public keys belong here, and this one must be replaced where it is used",
          },
        ],
      },
    },
  },
};

/** A host and perhaps a port, for CEL. */
const authority = String.raw`^https://([^/?#]*@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?#]|$)`;

const url = holds(
  z
    .string()
    .max(2048)
    .regex(/^https:\/\//, "must be an https:// URL"),
  {
    says: "is not a URL",
    // What the API server calls a URL may have any host and any port. Some numbers in the place of a host are left to the issuer.
    cel: `isURL(self) && self.matches(r'${authority}') && (url(self).getPort() == '' || int(url(self).getPort()) < 65536)`,
    check: (url, broken) => {
      if (!URL.canParse(url)) broken();
    },
  },
  {
    says: "must not hold a user or a password",
    cel: "!self.matches('^https://[^/?#]*@')",
    check: (url, broken) => {
      const { username = "", password = "" } = URL.parse(url) ?? {};
      if (username !== "" || password !== "") broken();
    },
  },
  {
    says: "must not have a fragment",
    cel: "!self.contains('#')",
    check: (url, broken) => {
      if (url.includes("#")) broken();
    },
  },
);

const jwksFile = z
  .string()
  .max(512)
  .regex(
    /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\.json$/,
    "must be the path of a .json file below this document's directory",
  );

const keyFields = z
  .strictObject({
    jwks: withKeywords(z.record(z.string(), z.unknown()), jwksKeywords)
      .optional()
      .describe("The keys themselves: a JWKS of public keys (RSA from 2048 bits, EC P-256 or P-384)."),
    jwksFile: withKeywords(jwksFile, { absent: true })
      .optional()
      .describe("A .json file with the JWKS, relative to this document's directory."),
    joined: z.literal(true).optional().describe("true: the key is registered by a join token, once."),
    proposed: z
      .enum(["approved", "taken"])
      .optional()
      .describe(
        "The first key as with joined; then the agent proposes what its API server publishes. approved: nothing of it counts until an operator approves it. taken: it counts at once, so a stolen agent owns the cluster's identities.",
      ),
    url: url.optional().describe("An https:// URL of the JWKS, which the hub fetches and keeps fresh."),
  })
  .describe(
    "The keys that sign the cluster's tokens: exactly one of jwks, joined, proposed and url, or in a directory jwksFile. No two clusters have a key in common.",
  );

const keys = holds(keyFields, {
  says: "must have exactly one of jwks, joined, proposed and url, or in a directory jwksFile",
  cel: "[has(self.jwks), has(self.joined), has(self.proposed), has(self.url)].exists_one(given, given)",
  check: (keys, broken) => {
    if (Object.keys(keys).length !== 1) broken();
  },
});

const requester = z
  .strictObject({
    account: accountRef.describe(
      "Its account, as <namespace>/<service account>: cert-manager/cert-manager-istio-csr, istio-system/istiod.",
    ),
    namespace: name
      .optional()
      .describe(
        "The namespace of its CertificateRequests; one elsewhere is not taken for its own. Default the account's own; with istio-csr's chart istio-system.",
      ),
    servingNames: distinct(z.array(dnsName).max(32))
      .default([])
      .describe(
        "Names that this or another cluster serves with, and that requests of that namespace may have all the same, where the tenant gives them: what istio-csr and its istiod serve with. Default none.",
      ),
  })
  .describe("An account that asks for others.");

const spec = z
  .strictObject({
    tokens: z
      .strictObject({
        issuer: z
          .string()
          .min(1)
          .max(2048)
          .describe("The issuer of the cluster's service-account tokens, exactly as their iss has it."),
        keys,
        audiences: z
          .array(z.string().min(1).max(256))
          .min(1)
          .max(16)
          .default(["istio-ca"])
          .describe("A workload's token must be for one of these. Default istio-ca."),
      })
      .describe("How tokens of this cluster are verified."),
    agent: z
      .strictObject({
        namespace: name
          .default("espalier-system")
          .describe("The namespace of the cluster's agent. Default espalier-system."),
        serviceAccount: accountName
          .default("espalier-agent")
          .describe("The service account of the cluster's agent. Default espalier-agent."),
      })
      .prefault({})
      .describe("Who the cluster's agent is: nobody else gets an agent's certificate."),
    ztunnelAccounts: z
      .array(accountRef)
      .max(16)
      .default([])
      .describe(
        "Whose word counts as proof impersonated, as <namespace>/<service account>; with Istio's chart istio-system/ztunnel. Default none.",
      ),
    requesters: z
      .array(requester)
      .max(16)
      .default([])
      .describe(
        "Accounts that ask for others by CertificateRequests and CertificateSigningRequests, as istio-csr and istiod do; where a rule takes the proof requester:<account>, their word is all there is. Default none.",
      ),
    aliases: z
      .array(z.string().min(1).max(253))
      .max(16)
      .default([])
      .describe(
        "Other cluster ids its workloads may state besides its name (ISTIO_META_CLUSTER_ID), such as Kubernetes. Default none.",
      ),
    servingNames: distinct(z.array(dnsName).min(1).max(32)).describe(
      "The DNS names its agent and its istiod serve under; certificates for them carry these and no others.",
    ),
    suspended: z
      .boolean()
      .default(false)
      .describe("True: nothing for this cluster until it is false again. Default false."),
  })
  .describe("Token keys, agent and names of the cluster.");

export const meshClusterSchema = resource(
  "MeshCluster",
  "One Kubernetes cluster that may ask, with the keys that sign its service-account tokens.",
  spec,
);

/** The cluster as the rest of the code knows it; its keys are read on the way. */
export function toMeshCluster(
  { metadata, spec }: z.infer<typeof meshClusterSchema>,
  report: Report,
  beside: Beside,
): MeshCluster {
  const path = ["spec", "tokens", "keys"];
  return {
    name: metadata.name,
    ...spec,
    tokens: { ...spec.tokens, keys: toKeys(spec.tokens.keys, path, report, beside) },
    requesters: spec.requesters.map(({ account, namespace, servingNames }) => ({
      account,
      namespace: namespace ?? account.slice(0, account.indexOf("/")),
      servingNames,
    })),
  };
}

function toKeys(keys: z.infer<typeof spec>["tokens"]["keys"], path: Path, report: Report, beside: Beside): ClusterKeys {
  const { jwks, jwksFile, proposed, url } = keys;
  if (jwks !== undefined) return { kind: "static", keys: toStatic(jwks, [...path, "jwks"], report) };
  if (jwksFile !== undefined) {
    const text = beside(posix.normalize(jwksFile));
    if (text === undefined) report([...path, "jwksFile"], `there is no file "${jwksFile}"`);
    return { kind: "static", keys: text === undefined ? [] : toStatic(text, [...path, "jwksFile"], report) };
  }
  if (proposed !== undefined) return { kind: "proposed", taken: proposed === "taken" };
  return url === undefined ? { kind: "joined" } : { kind: "url", url };
}

function toStatic(jwks: unknown, path: Path, report: Report): readonly Jwk[] {
  try {
    return readJwks(jwks);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    report(path, error.message);
    return [];
  }
}
