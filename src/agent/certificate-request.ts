/** A CertificateRequest (cert-manager.io/v1) as far as we look at it: of another issuer's, that it is there and nothing else. */
import { type Condition, readConditions } from "../kube/condition.ts";
import { type JsonRecord, recordAt, textAt, textsAt } from "../kube/json.ts";
import { type Meta, readMeta } from "../kube/meta.ts";
import { orTooLong, requestLengthMax, textLengthMax, tooLong, usagesMax } from "./request-step.ts";
import { type IssuerName, isIssuerKind, issuerResources } from "./tenant-issuer.ts";

export interface CertificateRequest extends Meta {
  /** Undefined where it is another issuer's. */
  readonly ask: RequestAsk | undefined;
}

export interface RequestAsk {
  readonly issuer: IssuerName;
  readonly conditions: ReadonlyMap<string, Condition>;
  /** Base64 of a CSR in PEM; empty once nothing is to be done with it any more. */
  readonly request: string;
  /** Go's, such as `2160h0m0s`; empty where none is asked for. */
  readonly duration: string;
  readonly usages: readonly string[];
  readonly isCa: boolean;
  /** As cert-manager's webhook recorded who made it. */
  readonly username: string;
  readonly groups: readonly string[];
}

/** @throws Refusal `malformed`. */
export function readCertificateRequest(object: unknown): CertificateRequest {
  const spec = recordAt(object, "spec");
  const meta = readMeta(object);
  const issuer = readIssuer(recordAt(spec, "issuerRef"), meta.namespace);
  if (issuer === undefined) return { ...meta, ask: undefined };
  const conditions = readConditions(recordAt(object, "status"));
  const request = isFinal(conditions) ? "" : (textAt(spec, "request") ?? "");
  const usages = textsAt(spec, "usages");
  return {
    ...meta,
    ask: {
      issuer,
      conditions,
      request: orTooLong(request, requestLengthMax),
      duration: orTooLong(textAt(spec, "duration") ?? "", textLengthMax),
      usages: usages.length > usagesMax ? [tooLong] : usages,
      isCa: spec["isCA"] === true,
      username: textAt(spec, "username") ?? "",
      groups: textsAt(spec, "groups"),
    },
  };
}

/** Whoever ended it: a request is never taken up again. */
export function isFinal(conditions: ReadonlyMap<string, Condition>): boolean {
  const ready = conditions.get("Ready");
  if (ready?.status === "True") return true;
  return ready?.status === "False" && (ready.reason === "Failed" || ready.reason === "Denied");
}

/** The group exactly: an empty one is cert-manager's own. */
function readIssuer(issuerRef: JsonRecord, own: string): IssuerName | undefined {
  const kind = textAt(issuerRef, "kind") ?? "";
  if (!isIssuerKind(kind) || issuerRef["group"] !== issuerResources[kind].group) return undefined;
  const namespace = issuerResources[kind].namespaced ? own : "";
  return { kind, namespace, name: orTooLong(textAt(issuerRef, "name") ?? "", textLengthMax) };
}
