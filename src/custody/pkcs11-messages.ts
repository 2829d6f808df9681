/** What the issuer asks of a token's process, and what that answers. Both are ours. */
import type { RefusalCode } from "../errors.ts";
import type { TokenAddress, TokenKey } from "./pkcs11-token.ts";
import type { KeyAlgorithm } from "./signer.ts";

export type Job =
  | { readonly verb: "create"; readonly name: string; readonly algorithm: KeyAlgorithm }
  | { readonly verb: "open"; readonly name: string }
  | { readonly verb: "sign"; readonly name: string; readonly bytes: Uint8Array };

/** One at a time to each process. */
export interface Request {
  readonly address: TokenAddress;
  readonly job: Job;
}

export type Answer =
  | { readonly kind: "key"; readonly key: TokenKey }
  | { readonly kind: "signature"; readonly signature: Uint8Array }
  /** `barred`: the token is not to be tried again before an operator has done something. */
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly message: string; readonly barred: boolean }
  /** The session is gone, and this process with it. */
  | { readonly kind: "lost"; readonly message: string };

export function isRequest(message: unknown): message is Request {
  return typeof message === "object" && message !== null && "job" in message;
}

export function isAnswer(message: unknown): message is Answer {
  return typeof message === "object" && message !== null && "kind" in message;
}
