/** What comes next for an object that asks for a certificate, whichever kind it is: the words that every door's decision uses. */
import { Refusal, refusals } from "../errors.ts";
import { type NamedCsr, readNamedCsr } from "../pki/named-csr.ts";
import { csrLabels, readPem } from "../pki/pem.ts";
import { type IssuerName, mayUse, type ReadinessOf, type TenantIssuer } from "./tenant-issuer.ts";

export type Step =
  /** Not ours, done, or not approved. */
  { readonly kind: "none" } | Wait | End | Sign;

/** Something that others can mend is missing. */
export interface Wait {
  readonly kind: "wait";
  readonly event: string;
  readonly message: string;
}

/** For good: whoever tries again makes a new request. */
export interface End {
  readonly kind: "end";
  readonly reason: "Failed" | "Denied";
  /** Whether no request like it can ever succeed. */
  readonly invalid: boolean;
  readonly event: string;
  readonly message: string;
}

export interface Sign {
  readonly kind: "sign";
  readonly der: Uint8Array;
  readonly csr: NamedCsr;
  readonly tenant: string;
  readonly profile: string;
  readonly usages: readonly string[];
  /** 0 where none is asked for. */
  readonly validitySeconds: number;
  readonly asker: Asker;
}

/** Who asks, and through which issuer, as the hub is told. */
export interface Asker {
  readonly namespace: string;
  readonly issuer: IssuerName;
  /** As the cluster has recorded it. */
  readonly username: string;
  readonly groups: readonly string[];
  readonly isCa: boolean;
}

export interface Wanted extends Pick<Sign, "usages" | "validitySeconds" | "asker"> {
  /** Base64 of a CSR in PEM. */
  readonly request: string;
}

/** What is known of the issuer that a request names. */
export interface KnownIssuer {
  /** Undefined where it is not there. */
  readonly issuer: TenantIssuer | undefined;
  readonly readinessOf: ReadinessOf;
}

/** Of a request's base64: what is longer holds no CSR that we read. */
export const requestLengthMax = 64 * 1024;
/** Of a name, or of a duration. */
export const textLengthMax = 253;
export const usagesMax = 100;
/** Stands for what is longer, which is not kept: an object has room for a million times what it needs. It is no CSR, no name and no duration. */
export const tooLong = "too long";

export function orTooLong(text: string, lengthMax: number): string {
  return text.length > lengthMax ? tooLong : text;
}

/** The issuer is there, is for that namespace, and its tenant takes requests: then what is asked is read. */
export function toSign(wanted: Wanted, { issuer, readinessOf }: KnownIssuer): Step {
  const { namespace, issuer: named } = wanted.asker;
  const name = `${named.kind} "${named.name}"`;
  if (issuer === undefined)
    return wait("IssuerNotFound", `there is no ${name} that namespace "${namespace}" could use`);
  if (!mayUse(issuer, namespace))
    return failed(
      "IssuerNotForNamespace",
      `${name} is not for namespace "${namespace}": its spec.namespaces does not name it`,
    );
  const readiness = readinessOf(issuer);
  if (readiness.status !== "True") return wait("IssuerNotReady", `${name} is not ready: ${readiness.message}`);
  const { request, usages, validitySeconds, asker } = wanted;
  const { tenant, profile } = issuer;
  return orEnd(() => {
    if (request === tooLong) throw new Refusal("malformed", "the CSR is longer than any that is read");
    const der = readPem(Buffer.from(request, "base64").toString("latin1"), csrLabels);
    return { kind: "sign", der, csr: readNamedCsr(der), tenant, profile, usages, validitySeconds, asker };
  });
}

/** What cannot be read ends the request. */
export function orEnd(read: () => Step): Step {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) return toEnd(error) ?? wait("NotRead", error.message);
    throw error;
  }
}

/** What a refusal, of the hub or of our own reading, means for the request. Undefined: it is asked again. */
export function toEnd(refusal: Refusal): End | undefined {
  const { code, message } = refusal;
  if (refusals[code].retry) return undefined;
  const isInvalid = code === "malformed" || code === "csr-key" || code === "csr-signature";
  return isInvalid ? invalid(message) : failed("Refused", `${message} (${code})`);
}

export function wait(event: string, message: string): Wait {
  return { kind: "wait", event, message };
}

export function failed(event: string, message: string): End {
  return { kind: "end", reason: "Failed", invalid: false, event, message };
}

export function invalid(message: string): End {
  return { kind: "end", reason: "Failed", invalid: true, event: "InvalidRequest", message };
}
