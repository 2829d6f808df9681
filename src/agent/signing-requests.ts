/**
 * Kubernetes' own door: CertificateSigningRequests for the signers `tenantclusterissuers.espalier.dev/<name>` and
 * `tenantissuers.espalier.dev/<namespace>.<name>`, from ServiceAccounts for themselves, or from an istiod for the workloads of its mesh.
 */
import { startInformer } from "../kube/informer.ts";
import { resources } from "../kube/resource.ts";
import { decideSigningRequest } from "./decide-signing-request.ts";
import { byIssuer, type DoorParts, type Outcome, startRequestDoor } from "./request-door.ts";
import { readSigningRequest, type SigningRequest } from "./signing-request.ts";

export function startSigningRequests(parts: DoorParts): AsyncDisposable {
  const stack = new AsyncDisposableStack();
  const resource = resources.certificateSigningRequests;
  const requests = stack.use(startInformer({ resource, read: readSigningRequest, indexes: byIssuer }, parts));
  stack.use(
    startRequestDoor(
      {
        door: "csr",
        resource,
        requests,
        followed: [],
        decide: decideSigningRequest,
        // It has no condition for that: an Event says it, once while this agent leads.
        isTold: () => false,
        toStatus,
      },
      parts,
    ),
  );
  parts.log.info("serving CertificateSigningRequests", {});
  return stack;
}

/** The chain, without its root: there is no field for that. The API server keeps a certificate that stands there from being replaced. */
function toStatus(_: SigningRequest, outcome: Outcome): object | undefined {
  switch (outcome.kind) {
    case "issued":
      return { certificate: Buffer.from(outcome.certificate, "latin1").toString("base64") };
    case "end":
      return {
        conditions: [{ type: "Failed", status: "True", reason: outcome.event, message: outcome.message }],
      };
    case "wait":
      return undefined;
  }
}
