/** What an agent has heard from its hub, for whatever rests on that. */
import type { KeptTrust } from "../../src/agent/kept-trust.ts";
import type { KnownIssuer } from "../../src/agent/request-step.ts";
import { decideIssuer } from "../../src/agent/tenant-issuer.ts";

export const noTrust: KeptTrust = {
  version: "1",
  servingRootsPem: "",
  servingNames: [],
  clusterSuspended: false,
  tokenKeysMissing: false,
  crlsPem: "",
  crlNamespaces: [],
  tenants: [],
};

/** It takes requests. */
export const shopTenant = {
  tenant: "shop",
  trustDomain: "shop.example",
  rootsPem: "",
  bundleVersion: "1",
  suspended: false,
  requests: true,
};

export const shopTrust: KeptTrust = { ...noTrust, tenants: [shopTenant] };

/** What the agent knows of any issuer that has heard this. */
export function heard(from: KeptTrust | undefined): Pick<KnownIssuer, "readinessOf"> {
  return { readinessOf: (issuer) => decideIssuer(issuer, from) };
}
