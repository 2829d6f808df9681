/** `MeshCluster`: one Kubernetes cluster that may ask, and the keys that sign its service-account tokens. */
import { posix } from "node:path";
import * as z from "zod";
import { Refusal } from "../errors.ts";
import { type Jwk, readJwks } from "../token/jwk.ts";
import { accountName, accountRef, dnsName, name, resource } from "./fields.ts";
import type { Path, Report } from "./problem.ts";

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
  readonly aliases: readonly string[];
  readonly servingNames: readonly string[];
  readonly suspended: boolean;
}

/** The text of a file beside the document, by relative path; undefined when there is none. */
export type Beside = (path: string) => string | undefined;

const keys = z
  .strictObject({
    jwks: z
      .record(z.string(), z.unknown())
      .optional()
      .describe("The keys themselves: a JWKS of public keys (RSA from 2048 bits, EC P-256 or P-384)."),
    jwksFile: z
      .string()
      .max(512)
      .regex(
        /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\.json$/,
        "must be the path of a .json file below this document's directory",
      )
      .optional()
      .describe("A .json file with the JWKS, relative to this document's directory."),
    joined: z.literal(true).optional().describe("true: the key is registered by a join token, once."),
    proposed: z
      .enum(["approved", "taken"])
      .optional()
      .describe(
        "The first key as with joined; then the agent proposes what its API server publishes. approved: nothing of it counts until an operator approves it. taken: it counts at once, so a stolen agent owns the cluster's identities.",
      ),
    url: z
      .string()
      .max(2048)
      .regex(/^https:\/\//, "must be an https:// URL")
      .optional()
      .describe("An https:// URL of the JWKS, which the hub fetches and keeps fresh."),
  })
  .describe(
    "The keys that sign the cluster's tokens: exactly one of jwks, jwksFile, joined, proposed and url. No two clusters have a key in common.",
  );

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
    aliases: z
      .array(z.string().min(1).max(253))
      .max(16)
      .default([])
      .describe(
        "Other cluster ids its workloads may state besides its name (ISTIO_META_CLUSTER_ID), such as Kubernetes. Default none.",
      ),
    servingNames: z
      .array(dnsName)
      .min(1)
      .max(32)
      .describe("The DNS names its agent and its istiod serve under; certificates for them carry these and no others."),
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
  const repeated = spec.servingNames.findIndex((name, at) => spec.servingNames.indexOf(name) < at);
  if (repeated >= 0) report(["spec", "servingNames", repeated], `"${spec.servingNames[repeated]}" is listed twice`);
  const path = ["spec", "tokens", "keys"];
  return {
    name: metadata.name,
    ...spec,
    tokens: { ...spec.tokens, keys: toKeys(spec.tokens.keys, path, report, beside) },
  };
}

function toKeys(keys: z.infer<typeof spec>["tokens"]["keys"], path: Path, report: Report, beside: Beside): ClusterKeys {
  const { jwks, jwksFile, proposed, url } = keys;
  if (Object.keys(keys).length !== 1) report(path, "must have exactly one of jwks, jwksFile, joined, proposed and url");
  if (jwks !== undefined) return { kind: "static", keys: toStatic(jwks, [...path, "jwks"], report) };
  if (jwksFile !== undefined) {
    const text = beside(posix.normalize(jwksFile));
    if (text === undefined) report([...path, "jwksFile"], `there is no file "${jwksFile}"`);
    return { kind: "static", keys: text === undefined ? [] : toStatic(text, [...path, "jwksFile"], report) };
  }
  if (proposed !== undefined) return { kind: "proposed", taken: proposed === "taken" };
  if (url === undefined) return { kind: "joined" };
  checkUrl(url, (rule) => report([...path, "url"], rule));
  return { kind: "url", url };
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

function checkUrl(text: string, report: (rule: string) => void): void {
  const url = URL.parse(text);
  if (url === null) return report("is not a URL");
  if (url.username !== "" || url.password !== "") return report("must not hold a user or a password");
  if (url.hash !== "") return report("must not have a fragment");
}
