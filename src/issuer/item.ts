/** One request on its way through the issuer. */

import type { Refusal } from "../errors.ts";
import type { Door, RequestedBy } from "../ledger/ledger.ts";
import type { AnyProfileName } from "../pki/profile.ts";
import type { Workload } from "../policy/workload.ts";
import type { IssuedChain } from "./authorities.ts";

/** What an agent forwards, whatever the wire. */
export interface Asked {
  readonly door: Door;
  /** DER of the PKCS #10 request. */
  readonly csr: Uint8Array;
  readonly validitySeconds: number;
  /** The tenant that the caller asks for by CertSigner; empty for none. */
  readonly signer: string;
  readonly deadline: Date;
  readonly idempotencyKey: string;
  readonly proof: Shown;
}

/** What was shown to prove who asks. */
export type Shown =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "certificate"; readonly certificate: Uint8Array }
  | { readonly kind: "impersonated"; readonly token: string; readonly identity: string }
  | { readonly kind: "serving" }
  | { readonly kind: "request"; readonly request: ObjectRequest };

/** What an object of the cluster's API asks, beside its CSR: the word of the cluster's agent. */
export interface ObjectRequest extends RequestedBy {
  readonly door: Extract<Door, "certificate-request" | "csr">;
  readonly namespace: string;
  /** In the words of cert-manager. */
  readonly usages: readonly string[];
  readonly isCa: boolean;
}

/** A caller whose proof the issuer itself has checked: a workload, or an agent, for its own cluster or for who asks by an object there. */
export type Proven =
  | {
      readonly kind: "workload";
      readonly workload: Workload;
      readonly tokenSha256?: Uint8Array;
      /** When the unbound token was shown from which renewals count; missing where there can be none. */
      readonly renewableSince?: Date;
    }
  | { readonly kind: "agent"; readonly cluster: string }
  | { readonly kind: "request"; readonly cluster: string; readonly request: ObjectRequest };

export interface Admitted {
  readonly asked: Asked;
  readonly cluster: string;
  readonly proven: Proven;
}

/** What became of it. */
export type Outcome =
  | {
      readonly kind: "issued";
      readonly leaf: Uint8Array;
      readonly chain: IssuedChain;
      readonly tenant: string;
      readonly profile: AnyProfileName;
      readonly identity: string;
      /** Hex. */
      readonly serial: string;
    }
  | { readonly kind: "refused"; readonly refusal: Refusal; readonly tenant: string };
