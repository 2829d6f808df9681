/** Whose word counts for a workload's token: the cluster's keys, here and now, or the API server's. */
import { Refusal } from "../errors.ts";
import { readServiceAccount, type ServiceAccount } from "../token/account.ts";
import type { TokenKey } from "../token/jwt.ts";
import type { Review } from "./review.ts";

/** @throws Refusal `proof-invalid`, or `unavailable` when nobody can say now. */
export type Proof = (token: string) => Promise<ServiceAccount>;

export interface ProofConfig {
  readonly issuer: string;
  readonly audiences: readonly string[];
}

export interface ProofParts {
  readonly keys: () => readonly TokenKey[];
  /** In the place of the keys. */
  readonly review: Review | undefined;
  readonly now: () => Date;
}

export function openProof({ issuer, audiences }: ProofConfig, { keys, review, now }: ProofParts): Proof {
  return async (token) => {
    const rules = { issuer, audiences, at: now() };
    if (review !== undefined) return await review(token, rules);
    const known = keys();
    // Ours, not the caller's: UNAUTHENTICATED would not be retried.
    if (known.length === 0) throw new Refusal("unavailable", "the cluster's token keys have not been had yet");
    return readServiceAccount(token, { ...rules, keys: known });
  };
}
