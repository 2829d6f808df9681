/**
 * The one error a caller may see. Its code is a closed table: what the gRPC status is, and whether asking again can help,
 * is decided here and nowhere else.
 */

/** A gRPC status by name; `rpc/` owns the numbers. */
export type StatusName =
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "UNAUTHENTICATED";

interface Meaning {
  readonly status: StatusName;
  /** Whether the same request can succeed later without anybody changing anything. */
  readonly retry: boolean;
}

/**
 * UNAUTHENTICATED is never one of our own outages: Istio's agents do not retry it (istio security/pkg/nodeagent).
 */
export const refusals = {
  "proof-missing": { status: "UNAUTHENTICATED", retry: false },
  "proof-invalid": { status: "UNAUTHENTICATED", retry: false },
  "impersonation-refused": { status: "UNAUTHENTICATED", retry: false },
  malformed: { status: "INVALID_ARGUMENT", retry: false },
  "csr-key": { status: "INVALID_ARGUMENT", retry: false },
  "csr-signature": { status: "INVALID_ARGUMENT", retry: false },
  "no-rule": { status: "PERMISSION_DENIED", retry: false },
  "proof-not-accepted": { status: "PERMISSION_DENIED", retry: false },
  "signer-denied": { status: "PERMISSION_DENIED", retry: false },
  "identity-denied": { status: "PERMISSION_DENIED", retry: false },
  "request-denied": { status: "PERMISSION_DENIED", retry: false },
  suspended: { status: "PERMISSION_DENIED", retry: false },
  "not-this-caller": { status: "PERMISSION_DENIED", retry: false },
  "role-missing": { status: "PERMISSION_DENIED", retry: false },
  "replay-differs": { status: "ALREADY_EXISTS", retry: false },
  quota: { status: "RESOURCE_EXHAUSTED", retry: true },
  overloaded: { status: "RESOURCE_EXHAUSTED", retry: true },
  unavailable: { status: "UNAVAILABLE", retry: true },
  "not-found": { status: "NOT_FOUND", retry: false },
  "not-ready": { status: "FAILED_PRECONDITION", retry: false },
  config: { status: "INVALID_ARGUMENT", retry: false },
  internal: { status: "INTERNAL", retry: true },
} as const satisfies Record<string, Meaning>;

export type RefusalCode = keyof typeof refusals;

export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: RefusalCode;

  /** `message` names the rule and the offending value; never a token, a key or a CSR. */
  constructor(code: RefusalCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What an edge may tell its caller: a refusal as it is, anything else as an internal error without details. */
export function toRefusal(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal("internal", "internal error", { cause: error });
}

export function isRefusalCode(code: string): code is RefusalCode {
  return Object.hasOwn(refusals, code);
}
