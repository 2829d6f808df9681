/** A CertificateRequest of cert-manager, for object.ts. */
import { type CertificateRequest, readCertificateRequest } from "../agent/certificate-request.ts";
import { decideRequest } from "../agent/decide-request.ts";
import { type Guard, readGuard } from "../agent/guard.ts";
import type { KnownIssuer, Step } from "../agent/request-step.ts";
import { type JsonRecord, recordAt, textAt } from "../kube/json.ts";
import { readNamespace } from "../kube/meta.ts";
import { type Resource, resources } from "../kube/resource.ts";
import type { Subject } from "./object.ts";
import { fail, ok, type Verdict } from "./verdict.ts";
import type { View } from "./view.ts";

export function certificateRequest(namespace: string, name: string): Subject {
  const one = { namespace, name };
  return {
    door: "certificate-request",
    resource: resources.certificateRequests,
    one,
    found: (object) => toFound(object, namespace, name),
    status: toStatus,
    isIssued: (object) => isIssued(readCertificateRequest(object)),
    issuer: (object) => readCertificateRequest(object).ask?.issuer,
    decide: async (object, known, view) => await decide(readCertificateRequest(object), known, view),
    unapproved: () =>
      fail(
        "nobody has approved it",
        `cmctl approve ${name} -n ${namespace}, or let its approver approve signers of espalier.dev (approver.namespace and approver.serviceAccount of the agent's chart; with approver-policy a CertificateRequestPolicy)`,
      ),
  };
}

function toFound(object: JsonRecord | undefined, namespace: string, name: string): Verdict {
  if (object === undefined)
    return fail(
      `there is no CertificateRequest ${namespace}/${name}`,
      `kubectl -n ${namespace} get certificaterequests; a Certificate's own are called <certificate>-<number>`,
    );
  const { ask } = readCertificateRequest(object);
  if (ask !== undefined) return ok(`asks ${ask.issuer.kind} "${ask.issuer.name}"; made by ${ask.username || "nobody"}`);
  const issuerRef = recordAt(recordAt(object, "spec"), "issuerRef");
  const [kind = "Issuer", issuer = "", group = ""] = ["kind", "name", "group"].map((key) => textAt(issuerRef, key));
  return fail(
    `asks ${kind} "${issuer}" of the group ${group || "cert-manager.io"}, which is nothing of ours`,
    "issuerRef: { group: espalier.dev, kind: TenantIssuer or TenantClusterIssuer, name: … }",
  );
}

function isIssued({ ask }: CertificateRequest): boolean {
  return ask?.conditions.get("Ready")?.status === "True";
}

function toStatus(object: JsonRecord): Verdict {
  const request = readCertificateRequest(object);
  const ready = request.ask?.conditions.get("Ready");
  if (isIssued(request)) return ok("it has its certificate");
  if (ready === undefined) return ok("nobody has said anything about it yet");
  const says = `${ready.reason}: ${ready.message}`;
  if (ready.reason === "Pending") return ok(says);
  return fail(
    says,
    "it is never taken up again. What stands below is how one made now would fare; cert-manager makes one when its Certificate is edited, or at cmctl renew",
  );
}

async function decide(request: CertificateRequest, known: KnownIssuer, view: View): Promise<Step> {
  const namespace = await view.get(resources.namespaces, { name: request.namespace });
  const guards = async (resource: Resource): Promise<readonly Guard[]> =>
    (await view.list({ resource })).map(readGuard);
  return decideRequest(request, {
    ...known,
    namespace: namespace && readNamespace(namespace),
    guards: {
      validating: await guards(resources.validatingWebhooks),
      mutating: await guards(resources.mutatingWebhooks),
    },
  });
}
