/** The door of cert-manager: CertificateRequests for TenantIssuers and TenantClusterIssuers. */
import { toCondition, toSeconds } from "../kube/condition.ts";
import { type Informer, startInformer } from "../kube/informer.ts";
import type { Namespace } from "../kube/meta.ts";
import { resources } from "../kube/resource.ts";
import { type CertificateRequest, readCertificateRequest } from "./certificate-request.ts";
import { decideRequest } from "./decide-request.ts";
import { readGuard } from "./guard.ts";
import type { Issuers } from "./issuers.ts";
import type { KeptTrust } from "./kept-trust.ts";
import { type DoorParts, type Outcome, startRequestDoor } from "./request-door.ts";
import type { IssuerName, Step } from "./request-step.ts";
import { decideIssuer } from "./tenant-issuer.ts";
import { startWhenServed } from "./when-served.ts";

export interface CertificateRequestsParts extends DoorParts {
  readonly issuers: Issuers;
  readonly namespaces: Informer<Namespace, never>;
  readonly trust: () => KeptTrust | undefined;
}

/** Returns at once; begins when cert-manager's definitions are there. */
export function startCertificateRequests(parts: CertificateRequestsParts): AsyncDisposable {
  return startWhenServed([resources.certificateRequests], () => startServed(parts), parts);
}

function startServed(parts: CertificateRequestsParts): AsyncDisposable {
  const { issuers, namespaces, trust, now, log } = parts;
  const stack = new AsyncDisposableStack();
  const requests = stack.use(
    startInformer(
      {
        resource: resources.certificateRequests,
        read: readCertificateRequest,
        indexes: {
          issuer: ({ ask, namespace }) => (ask === undefined ? [] : [toIndex(ask.issuer, namespace)]),
          namespace: ({ namespace }) => [namespace],
        },
      },
      parts,
    ),
  );
  const webhooks = { resource: resources.validatingWebhooks, read: readGuard, indexes: {} };
  const validating = stack.use(startInformer(webhooks, parts));
  const mutating = stack.use(startInformer({ ...webhooks, resource: resources.mutatingWebhooks }, parts));

  const decide = (request: CertificateRequest): Step => {
    const { kind, name } = request.ask?.issuer ?? { kind: "TenantIssuer", name: "" };
    const namespace = kind === "TenantIssuer" ? request.namespace : undefined;
    return decideRequest(request, {
      namespace: namespaces.get(request.namespace),
      guards: { validating: validating.list(), mutating: mutating.list() },
      issuer: issuers[kind].get(name, namespace),
      readinessOf: (issuer) => decideIssuer(issuer, trust()),
    });
  };

  const door = stack.use(
    startRequestDoor(
      {
        door: "certificate-request",
        resource: resources.certificateRequests,
        requests,
        followed: [namespaces, requests, ...Object.values(issuers), validating, mutating],
        decide,
        isTold: ({ ask }, { event }) => {
          const ready = ask?.conditions.get("Ready");
          return ready?.reason === "Pending" && ready.message.startsWith(`${event}:`);
        },
        toStatus: (request, outcome) => toStatus(request, outcome, now()),
      },
      parts,
    ),
  );
  for (const informer of Object.values(issuers))
    stack.use(informer.subscribe(({ item }) => door.lookAt(requests.byIndex("issuer", toIndex(item, item.namespace)))));
  // Where a guard is taken away, if only for a moment, what was made by then does not count.
  for (const guards of [validating, mutating]) stack.use(guards.subscribe(() => door.lookAt(requests.list())));
  stack.use(namespaces.subscribe(({ item }) => door.lookAt(requests.byIndex("namespace", item.name))));
  log.info("serving CertificateRequests", {});
  return stack;
}

/** The index of requests by what they name; a cluster's issuer is named from every namespace. */
function toIndex({ kind, name }: IssuerName, namespace: string): string {
  return kind === "TenantIssuer" ? `${namespace}/${name}` : name;
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
