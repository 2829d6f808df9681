/** A proven caller: facts the issuer has verified, never what a request says of itself. */

/** The proofs a rule may accept. `requester` names the account whose word is taken for others. */
export type ProofKind = "token" | "impersonated" | "certificate" | "request" | `requester:${string}/${string}`;

export interface Workload {
  readonly cluster: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly proof: ProofKind;
}
