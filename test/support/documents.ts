/** What is declared at the hub of most tests, and the tokens of the clusters that are declared there. */
import { generateKeyPairSync } from "node:crypto";
import { workloadId } from "../../src/identity.ts";
import { daySeconds } from "./clock.ts";
import { createTokenIssuer, type TokenIssuer, type TokenRequest } from "./kubernetes.ts";

export const hubName = "hub.example";
export const tokenIssuerUrl = "https://kubernetes.default.svc.cluster.local";

/** Documents as a directory holds them; JSON is YAML. */
export type Document = Readonly<Record<string, unknown>>;

export function document(kind: string, name: string, spec: object): Document {
  return { apiVersion: "espalier.dev/v1alpha1", kind, metadata: { name }, spec };
}

/** As a file has them. */
export function toYaml(documents: readonly Document[]): string {
  return documents.map((one) => JSON.stringify(one)).join("\n---\n");
}

/** A tenant of the root `main`, with the trust domain `<name>.example`. */
export function tenantDocument(name: string, spec: object): Document {
  return document("MeshTenant", name, { trustDomain: `${name}.example`, root: "main", ...spec });
}

/** Keys of clusters are made once for a test file: nothing here depends on them being fresh. */
const tokenIssuers = new Map<string, TokenIssuer>();

export function clusterTokens(cluster: string): TokenIssuer {
  const made =
    tokenIssuers.get(cluster) ?? createTokenIssuer(tokenIssuerUrl, generateKeyPairSync("ec", { namedCurve: "P-256" }));
  tokenIssuers.set(cluster, made);
  return made;
}

export function servingName(cluster: string): string {
  return `ca.${cluster}.example`;
}

export function clusterDocument(name: string, spec: object = {}): Document {
  return document("MeshCluster", name, {
    tokens: { issuer: tokenIssuerUrl, keys: { jwks: clusterTokens(name).jwks } },
    servingNames: [servingName(name), "istiod.istio-system.svc"],
    ...spec,
  });
}

/** Two tenants: `payments` in two clusters and with VMs, `media` in one. */
export function usualDocuments(): readonly Document[] {
  return [
    document("TrustRoot", "main", {}),
    document("MeshTenant", "payments", {
      trustDomain: "payments.example",
      root: "main",
      rules: [
        { name: "pods", clusters: ["east", "west"], namespaces: ["pay-*"], proofs: ["token", "certificate"] },
        { name: "vault", clusters: ["east"], namespaces: ["pay-vault"], proofs: ["token"] },
      ],
      profiles: { workload: { maximumSeconds: 60 * daySeconds } },
    }),
    document("MeshTenant", "media", {
      trustDomain: "media.example",
      root: "main",
      rules: [{ name: "pods", clusters: ["east"], namespaces: ["media"] }],
    }),
    clusterDocument("east"),
    clusterDocument("west"),
  ];
}

export function agentToken(cluster: string, overrides: Partial<TokenRequest> = {}): string {
  return clusterTokens(cluster).token({
    namespace: "espalier-system",
    serviceAccount: "espalier-agent",
    audience: `espalier:${hubName}`,
    ...overrides,
  });
}

/** Who asks when a test does not say. */
export const checkout = { namespace: "pay-shop", serviceAccount: "checkout" } as const;
export const checkoutId = workloadId({ trustDomain: "payments.example", ...checkout });

export function podToken(cluster = "east", overrides: Partial<TokenRequest> = {}): string {
  return clusterTokens(cluster).token({ ...checkout, ...overrides });
}
