/** A CertificateSigningRequest of Kubernetes, for object.ts. */
import { decideSigningRequest } from "../agent/decide-signing-request.ts";
import { readSigningRequest } from "../agent/signing-request.ts";
import { type Condition, readConditions } from "../kube/condition.ts";
import { type JsonRecord, recordAt, textAt } from "../kube/json.ts";
import { resources } from "../kube/resource.ts";
import type { Subject } from "./object.ts";
import { fail, ok, type Verdict } from "./verdict.ts";

export function signingRequest(name: string): Subject {
  return {
    door: "csr",
    resource: resources.certificateSigningRequests,
    one: { name },
    found: (object) => toFound(object, name),
    status: toStatus,
    isIssued,
    issuer: (object) => readSigningRequest(object).ask?.issuer,
    decide: async (object, known) => decideSigningRequest(readSigningRequest(object), known),
    unapproved: (object) =>
      conditionsOf(object).has("Denied")
        ? fail("it was denied", "make another request, and ask whoever denied this one")
        : fail(
            "nobody has approved it",
            `kubectl certificate approve ${name}: it takes the right to approve for its signer`,
          ),
  };
}

function toFound(object: JsonRecord | undefined, name: string): Verdict {
  if (object === undefined) return fail(`there is no CertificateSigningRequest ${name}`, "kubectl get csr");
  const { ask } = readSigningRequest(object);
  if (ask !== undefined) {
    const { kind, namespace, name: issuer } = ask.issuer;
    const place = namespace === "" ? "" : ` of namespace "${namespace}"`;
    return ok(`asks ${kind} "${issuer}"${place}; made by ${ask.username || "nobody"}`);
  }
  return fail(
    `asks the signer ${textAt(recordAt(object, "spec"), "signerName") ?? ""}, which is nothing of ours`,
    "signerName: tenantclusterissuers.espalier.dev/<name>, or tenantissuers.espalier.dev/<namespace>.<name>",
  );
}

function conditionsOf(object: JsonRecord): ReadonlyMap<string, Condition> {
  return readConditions(recordAt(object, "status"));
}

function isIssued(object: JsonRecord): boolean {
  return (textAt(recordAt(object, "status"), "certificate") ?? "") !== "";
}

function toStatus(object: JsonRecord): Verdict {
  if (isIssued(object)) return ok("it has its certificate");
  const conditions = conditionsOf(object);
  const last = conditions.get("Failed") ?? conditions.get("Denied");
  if (last === undefined) return ok(conditions.has("Approved") ? "approved" : "nobody has said anything about it yet");
  return fail(
    `${last.type}: ${last.reason}: ${last.message}`,
    "it is never taken up again. What stands below is how one made now would fare",
  );
}
