/** What comes next for a CertificateRequest, as a pure function of what is known. requests.ts does it. */
import { Refusal, refusals } from "../errors.ts";
import type { Namespace } from "../kube/meta.ts";
import { type NamedCsr, readNamedCsr } from "../pki/named-csr.ts";
import { csrLabels, readPem } from "../pki/pem.ts";
import { type CertificateRequest, isFinal, type RequestAsk, tooLong } from "./certificate-request.ts";
import { type Guards, unguarded } from "./guard.ts";
import type { KeptTrust } from "./kept-trust.ts";
import { decideIssuer, mayUse, type TenantIssuer } from "./tenant-issuer.ts";

export type Step =
  /** Not ours, done, or not approved. */
  | { readonly kind: "none" }
  /** Something that others can mend is missing. */
  | { readonly kind: "wait"; readonly event: string; readonly message: string }
  | End
  | {
      readonly kind: "sign";
      readonly der: Uint8Array;
      readonly csr: NamedCsr;
      readonly tenant: string;
      readonly profile: string;
      readonly usages: readonly string[];
      /** 0 where none is asked for. */
      readonly validitySeconds: number;
    };

/** For good: cert-manager makes a new request when it tries again. */
export interface End {
  readonly kind: "end";
  readonly reason: "Failed" | "Denied";
  /** Whether no request like it can ever succeed. */
  readonly invalid: boolean;
  readonly event: string;
  readonly message: string;
}

export interface Known {
  /** Undefined while the namespace is not in the list yet. */
  readonly namespace: Namespace | undefined;
  readonly guards: Guards;
  readonly issuer: TenantIssuer | undefined;
  readonly trust: KeptTrust | undefined;
}

/** cert-manager's own, where a request states none. */
const defaultUsages = ["digital signature", "key encipherment"];

export function decideRequest({ ask, namespace }: CertificateRequest, known: Known): Step {
  if (ask === undefined) return { kind: "none" };
  if (isFinal(ask.conditions)) return { kind: "none" };
  // Before its approval, too: what is made here is worth nothing, also when a guard stands here later.
  const open = known.namespace && unguarded(known.namespace, known.guards);
  if (open !== undefined) return failed("NamespaceNotGuarded", open);
  if (isTrue(ask, "Denied")) {
    const message = ask.conditions.get("Denied")?.message ?? "";
    return {
      kind: "end",
      reason: "Denied",
      invalid: false,
      event: "Denied",
      message: `the request was denied: ${message}`,
    };
  }
  if (isTrue(ask, "InvalidRequest"))
    return invalid(ask.conditions.get("InvalidRequest")?.message ?? "somebody has found the request invalid");
  if (!isTrue(ask, "Approved")) return { kind: "none" };
  if (known.namespace === undefined) return wait("NamespaceNotFound", `namespace "${namespace}" is not known yet`);
  const { issuer } = known;
  const name = `${ask.issuer.kind} "${ask.issuer.name}"`;
  if (issuer === undefined)
    return wait("IssuerNotFound", `there is no ${name} that namespace "${namespace}" could use`);
  if (!mayUse(issuer, namespace))
    return failed(
      "IssuerNotForNamespace",
      `${name} is not for namespace "${namespace}": its spec.namespaces does not name it`,
    );
  const readiness = decideIssuer(issuer, known.trust);
  if (readiness.status !== "True") return wait("IssuerNotReady", `${name} is not ready: ${readiness.message}`);
  return toSign(ask, issuer);
}

/** What a refusal, of the hub or of our own reading, means for the request. Undefined: it is asked again. */
export function toEnd(refusal: Refusal): End | undefined {
  const { code, message } = refusal;
  if (refusals[code].retry) return undefined;
  const isInvalid = code === "malformed" || code === "csr-key" || code === "csr-signature";
  return isInvalid ? invalid(message) : failed("Refused", `${message} (${code})`);
}

function toSign(ask: RequestAsk, { tenant, profile }: TenantIssuer): Step {
  const { usages } = ask;
  try {
    if (ask.request === tooLong) throw new Refusal("malformed", "the CSR is longer than any that is read");
    const der = readPem(Buffer.from(ask.request, "base64").toString("latin1"), csrLabels);
    const csr = readNamedCsr(der);
    const validitySeconds = readDuration(ask.duration);
    return {
      kind: "sign",
      der,
      csr,
      tenant,
      profile,
      validitySeconds,
      usages: usages.length > 0 ? usages : defaultUsages,
    };
  } catch (error) {
    if (error instanceof Refusal) return toEnd(error) ?? wait("NotRead", error.message);
    throw error;
  }
}

/** Go's time.Duration as JSON has it; fractions of a second are dropped. @throws Refusal `malformed`. */
export function readDuration(text: string): number {
  if (text === "") return 0;
  const [, hours, minutes, seconds] = /^(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,10})(?:\.\d+)?s)?$/.exec(text) ?? [];
  const total = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0);
  if (total < 1 || total > 0x7fffffff) throw new Refusal("malformed", "the duration is not one from 1 s to 68 years");
  return total;
}

function isTrue({ conditions }: RequestAsk, type: string): boolean {
  return conditions.get(type)?.status === "True";
}

function wait(event: string, message: string): Step {
  return { kind: "wait", event, message };
}

function failed(event: string, message: string): End {
  return { kind: "end", reason: "Failed", invalid: false, event, message };
}

function invalid(message: string): End {
  return { kind: "end", reason: "Failed", invalid: true, event: "InvalidRequest", message };
}
