/**
 * The story of a request, as Istio's agents and ztunnel make it, one line a step:
 *
 *   authenticate   the workload's token with the cluster's own keys, or the certificate it renews
 *   read           the CSR's shape and its one identity; possession of the key is proven at the issuer, once
 *   show           the proof itself, or, for a ztunnel that may, the workload of its node that it asks for
 *   sign           at the issuer, which proves the caller again, decides, writes down and signs
 *   check          that what came back is what was asked, before it is handed over
 */
import { workloadOf } from "../identity.ts";
import type { IstioCertificateRequest__Output } from "../rpc/gen/istio/v1/auth/IstioCertificateRequest.ts";
import type { IstioCertificateResponse } from "../rpc/gen/istio/v1/auth/IstioCertificateResponse.ts";
import type { Caller } from "../rpc/server.ts";
import { type Authenticated, type AuthenticateParts, authenticate } from "./authenticate.ts";
import type { Check } from "./check.ts";
import type { Hub } from "./hub.ts";
import { type ImpersonateParts, show } from "./impersonate.ts";
import { type IstioRequest, readRequest } from "./request.ts";

export interface CreateCertificateParts extends AuthenticateParts {
  readonly hub: Hub;
  readonly check: Check;
  /** Where there is a Kubernetes API to ask. */
  readonly impersonation?: ImpersonateParts | undefined;
}

/** @throws Refusal. */
export async function createCertificate(
  request: IstioCertificateRequest__Output,
  caller: Caller,
  parts: CreateCertificateParts,
): Promise<IstioCertificateResponse> {
  const authenticated = await authenticate(caller, parts);
  const asked = readRequest(request);
  const shown = await show(authenticated, asked, parts.impersonation);
  const { csr, validitySeconds, signer } = asked;
  const issued = await parts.hub.sign({ ...shown, csr, validitySeconds, signer }, namespaceOf(authenticated, asked));
  return { certChain: parts.check(issued, { key: asked.spki, names: { uri: asked.identity, dns: [] } }) };
}

/** What a storm of one namespace must not hold up is another. By the proof: a CSR could name all of them. */
function namespaceOf(by: Authenticated, { impersonated, identity }: IstioRequest): string {
  if (by.by === "certificate") return "";
  return (impersonated === "" ? by.account : workloadOf(identity))?.namespace ?? "";
}
