/**
 * Kubernetes' own door: CertificateSigningRequests for the signers `tenantclusterissuers.espalier.dev/<name>` and
 * `tenantissuers.espalier.dev/<namespace>.<name>`, from ServiceAccounts for themselves, or from an istiod for the workloads of its mesh.
 */
import { type Informer, startInformer } from "../kube/informer.ts";
import { resources } from "../kube/resource.ts";
import { decideSigningRequest } from "./decide-signing-request.ts";
import type { Issuers } from "./issuers.ts";
import type { KeptTrust } from "./kept-trust.ts";
import { type DoorParts, type Outcome, startRequestDoor } from "./request-door.ts";
import { readSigningRequest, type Signer, type SigningRequest } from "./signing-request.ts";
import { decideIssuer } from "./tenant-issuer.ts";

export interface SigningRequestsParts extends DoorParts {
  readonly issuers: Issuers;
  readonly trust: () => KeptTrust | undefined;
}

export function startSigningRequests(parts: SigningRequestsParts): AsyncDisposable {
  const { issuers, trust, log } = parts;
  const stack = new AsyncDisposableStack();
  const resource = resources.certificateSigningRequests;
  const requests: Informer<SigningRequest, "signer"> = stack.use(
    startInformer(
      {
        resource,
        read: readSigningRequest,
        indexes: { signer: ({ ask }) => (ask === undefined ? [] : [toIndex(ask.signer)]) },
      },
      parts,
    ),
  );
  const door = stack.use(
    startRequestDoor(
      {
        door: "csr",
        resource,
        requests,
        followed: [requests, ...Object.values(issuers)],
        decide: (request) =>
          decideSigningRequest(request, {
            issuer: issuerOf(request, issuers),
            readinessOf: (issuer) => decideIssuer(issuer, trust()),
          }),
        // It has no condition for that: an Event says it, once while this agent leads.
        isTold: () => false,
        toStatus,
      },
      parts,
    ),
  );
  for (const informer of Object.values(issuers))
    stack.use(informer.subscribe(({ item }) => door.lookAt(requests.byIndex("signer", toIndex(item)))));
  log.info("serving CertificateSigningRequests", {});
  return stack;
}

function issuerOf({ ask }: SigningRequest, issuers: Issuers) {
  return ask && issuers[ask.signer.kind].get(ask.signer.name, ask.signer.namespace);
}

function toIndex({ kind, namespace, name }: Signer): string {
  return `${kind}/${namespace}/${name}`;
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
