/** A CertificateSigningRequest (certificates.k8s.io/v1) as far as we look at it: of another signer's, that it is there and nothing else. */
import { readConditions } from "../kube/condition.ts";
import { recordAt, textAt, textsAt } from "../kube/json.ts";
import { type Meta, readMeta } from "../kube/meta.ts";
import { orTooLong, requestLengthMax } from "./request-step.ts";
import type { IssuerName } from "./tenant-issuer.ts";

export interface SigningRequest extends Meta {
  /** Undefined where it is another signer's. */
  readonly ask: SigningAsk | undefined;
}

export interface SigningAsk {
  /** The one that the signer's name stands for. */
  readonly issuer: IssuerName;
  readonly approved: boolean;
  readonly denied: boolean;
  /** It has a certificate, or has failed: nothing is to be done with it any more. */
  readonly ended: boolean;
  /** Base64 of a CSR in PEM; empty once it has ended. */
  readonly request: string;
  /** 0 where none is asked for. */
  readonly validitySeconds: number;
  readonly usages: readonly string[];
  /** As the API server recorded who made it. */
  readonly username: string;
  readonly groups: readonly string[];
}

/** @throws Refusal `malformed`. */
export function readSigningRequest(object: unknown): SigningRequest {
  const spec = recordAt(object, "spec");
  const issuer = readSigner(textAt(spec, "signerName") ?? "");
  if (issuer === undefined) return { ...readMeta(object), ask: undefined };
  const status = recordAt(object, "status");
  const conditions = readConditions(status);
  const isTrue = (type: string): boolean => conditions.get(type)?.status === "True";
  const ended = isTrue("Failed") || (textAt(status, "certificate") ?? "") !== "";
  const request = ended ? "" : (textAt(spec, "request") ?? "");
  const { expirationSeconds } = spec;
  return {
    ...readMeta(object),
    ask: {
      issuer,
      approved: isTrue("Approved"),
      // Whatever it says of it, and beside whatever else: no CSR that anybody has denied is signed.
      denied: conditions.has("Denied"),
      ended,
      request: orTooLong(request, requestLengthMax),
      validitySeconds: typeof expirationSeconds === "number" ? expirationSeconds : 0,
      usages: textsAt(spec, "usages"),
      username: textAt(spec, "username") ?? "",
      groups: textsAt(spec, "groups"),
    },
  };
}

const signerNames = /^(tenantissuers|tenantclusterissuers)\.espalier\.dev\/(.*)$/;

/** `tenantclusterissuers.espalier.dev/<name>`, or `tenantissuers.espalier.dev/<namespace>.<name>`: a namespace has no dot. */
function readSigner(text: string): IssuerName | undefined {
  const [, plural, path = ""] = signerNames.exec(text) ?? [];
  if (plural === undefined) return undefined;
  if (plural === "tenantclusterissuers") return { kind: "TenantClusterIssuer", name: path, namespace: "" };
  const [namespace = "", ...name] = path.split(".");
  return { kind: "TenantIssuer", name: name.join("."), namespace };
}
