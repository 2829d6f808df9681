/** One request on its way through the issuer. */

import type { Refusal } from "../errors.ts";
import type { Door } from "../ledger/ledger.ts";
import type { ProfileName } from "../pki/profile.ts";
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
  | { readonly kind: "serving" };

/** A caller whose proof the issuer itself has checked: a workload, or an agent for its own cluster. */
export type Proven =
  | {
      readonly kind: "workload";
      readonly workload: Workload;
      readonly tokenSha256?: Uint8Array;
      /** When the unbound token was shown from which renewals count; missing where there can be none. */
      readonly renewableSince?: Date;
    }
  | { readonly kind: "agent"; readonly cluster: string };

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
      readonly profile: ProfileName;
      readonly identity: string;
      /** Hex. */
      readonly serial: string;
    }
  | { readonly kind: "refused"; readonly refusal: Refusal; readonly tenant: string };
