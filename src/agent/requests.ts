/** The doors whose requests are objects of the cluster's API, run by the one agent that leads: cert-manager's, and Kubernetes' own. */
import type { Informer } from "../kube/informer.ts";
import type { Namespace } from "../kube/meta.ts";
import { resources } from "../kube/resource.ts";
import { startCertificateRequests } from "./certificate-requests.ts";
import { startIssuerStatus } from "./issuer-status.ts";
import { startIssuers } from "./issuers.ts";
import type { DoorParts } from "./request-door.ts";
import { startSigningRequests } from "./signing-requests.ts";
import { startWhenServed } from "./when-served.ts";

export interface RequestsParts extends Omit<DoorParts, "issuers"> {
  /** Which of them are open. */
  readonly doors: { readonly certManager: boolean; readonly signingRequests: boolean };
  readonly namespaces: Informer<Namespace, never>;
}

/** Returns at once; each door begins when the definitions that it needs are there. */
export function startRequests(parts: RequestsParts): AsyncDisposable {
  const { certManager, signingRequests } = parts.doors;
  const begin = (): AsyncDisposable => {
    const stack = new AsyncDisposableStack();
    const issuers = stack.use(startIssuers(parts));
    stack.use(startIssuerStatus({ ...parts, issuers }));
    if (certManager) stack.use(startCertificateRequests({ ...parts, issuers }));
    if (signingRequests) stack.use(startSigningRequests({ ...parts, issuers }));
    return stack;
  };
  return startWhenServed([resources.tenantIssuers, resources.tenantClusterIssuers], begin, parts);
}
