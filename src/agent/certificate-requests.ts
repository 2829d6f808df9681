/** The door of cert-manager: CertificateRequests for TenantIssuers and TenantClusterIssuers. */
import { toCondition, toSeconds } from "../kube/condition.ts";
import { type Informer, startInformer } from "../kube/informer.ts";
import type { Namespace } from "../kube/meta.ts";
import { resources } from "../kube/resource.ts";
import { type CertificateRequest, readCertificateRequest } from "./certificate-request.ts";
import { decideRequest } from "./decide-request.ts";
import { readGuard } from "./guard.ts";
import { byIssuer, type DoorParts, type Outcome, startRequestDoor } from "./request-door.ts";
import { startWhenServed } from "./when-served.ts";

export interface CertificateRequestsParts extends DoorParts {
  readonly namespaces: Informer<Namespace, never>;
}

/** Returns at once; begins when cert-manager's definitions are there. */
export function startCertificateRequests(parts: CertificateRequestsParts): AsyncDisposable {
  return startWhenServed([resources.certificateRequests], () => startServed(parts), parts);
}

function startServed(parts: CertificateRequestsParts): AsyncDisposable {
  const { namespaces, now, log } = parts;
  const resource = resources.certificateRequests;
  const stack = new AsyncDisposableStack();
  const requests = stack.use(
    startInformer(
      {
        resource,
        read: readCertificateRequest,
        indexes: { ...byIssuer, namespace: ({ namespace }) => [namespace] },
      },
      parts,
    ),
  );
  const webhooks = { resource: resources.validatingWebhooks, read: readGuard, indexes: {} };
  const validating = stack.use(startInformer(webhooks, parts));
  const mutating = stack.use(startInformer({ ...webhooks, resource: resources.mutatingWebhooks }, parts));

  const door = stack.use(
    startRequestDoor(
      {
        door: "certificate-request",
        resource,
        requests,
        followed: [namespaces, validating, mutating],
        decide: (request, issuer) =>
          decideRequest(request, {
            ...issuer,
            namespace: namespaces.get(request.namespace),
            guards: { validating: validating.list(), mutating: mutating.list() },
          }),
        isTold: ({ ask }, { event }) => {
          const ready = ask?.conditions.get("Ready");
          return ready?.reason === "Pending" && ready.message.startsWith(`${event}:`);
        },
        toStatus: (request, outcome) => toStatus(request, outcome, now()),
      },
      parts,
    ),
  );
  // Where a guard is taken away, if only for a moment, what was made by then does not count.
  for (const guards of [validating, mutating]) stack.use(guards.subscribe(() => door.lookAt(requests.list())));
  stack.use(namespaces.subscribe(({ item }) => door.lookAt(requests.byIndex("namespace", item.name))));
  log.info("serving CertificateRequests", {});
  return stack;
}

function toStatus({ ask }: CertificateRequest, outcome: Outcome, now: Date): object {
  const toOne = (type: string, status: string, reason: string, message: string) =>
    toCondition({ type, status, reason, message }, ask?.conditions.get(type), now);
  const { message } = outcome;
  switch (outcome.kind) {
    case "issued": {
      const base64 = (pem: string): string => Buffer.from(pem, "latin1").toString("base64");
      const { certificate, ca } = outcome;
      // Certificate, root and condition in one: who waits for one of them takes all three.
      const conditions = [toOne("Ready", "True", "Issued", message)];
      return { certificate: base64(certificate), ca: base64(ca), conditions };
    }
    case "end": {
      const { reason, invalid, event } = outcome;
      const conditions = [
        toOne("Ready", "False", reason, message),
        ...(invalid ? [toOne("InvalidRequest", "True", event, message)] : []),
      ];
      // Without the time, cert-manager would never take the request away and try anew.
      return { conditions, failureTime: toSeconds(now) };
    }
    case "wait":
      return { conditions: [toOne("Ready", "False", "Pending", `${outcome.event}: ${message}`)] };
  }
}
