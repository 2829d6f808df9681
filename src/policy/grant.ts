import type { SpiffeId } from "../identity.ts";
import type { ProfileName } from "../pki/profile.ts";
import type { ProofKind } from "./workload.ts";

/** What policy allows for one request. The identity is derived from the proof, never read from the request. */
export interface Grant {
  readonly tenant: string;
  readonly profile: ProfileName;
  readonly identity: SpiffeId;
  /** From now; already within the tenant's minimum and maximum. */
  readonly validitySeconds: number;
  /** `tenant/rule`. */
  readonly rule: string;
  readonly proof: ProofKind;
}
