/**
 * `TenantIssuer` and `TenantClusterIssuer`: what a cert-manager `issuerRef` names in an agent's cluster. They ask for a tenant; whether
 * the namespace that uses one gets anything of it, the tenant's rules say at the hub.
 */
import * as z from "zod";
import { name, namespacePattern, resource } from "./fields.ts";

export type IssuerKind = "TenantIssuer" | "TenantClusterIssuer";

const tenant = name.describe("The MeshTenant at the hub whose authority is to sign.");
const profile = z
  .enum(["request"])
  .default("request")
  .describe(
    "What the certificates are: request (names, subject and usages as asked, within the tenant's spec.requests). Default request.",
  );

const tenantIssuer = z.strictObject({ tenant, profile }).describe("Which tenant, and which kind of certificate.");

const tenantClusterIssuer = z
  .strictObject({
    tenant,
    profile,
    namespaces: z
      .array(namespacePattern)
      .min(1)
      .max(256)
      .describe("The namespaces that may use it: names, or a prefix and *, or * for all."),
  })
  .describe("Which tenant, which kind of certificate, and who may use it.");

export const issuerSchemas = {
  TenantIssuer: resource(
    "TenantIssuer",
    "A tenant's authority as an issuer for its own namespace's CertificateRequests.",
    tenantIssuer,
  ),
  TenantClusterIssuer: resource(
    "TenantClusterIssuer",
    "A tenant's authority as an issuer for the CertificateRequests of the namespaces it names.",
    tenantClusterIssuer,
  ),
} as const satisfies Record<IssuerKind, z.ZodType>;
