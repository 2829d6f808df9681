/** What judging comes to: everything a leaf is made of. */
import { Refusal } from "../errors.ts";
import type { Door, Idempotency, RequestedBy } from "../ledger/ledger.ts";
import type { AuthorityUnder } from "../ledger/state.ts";
import type { SelfSigned } from "../pki/csr.ts";
import type { NamedAuthority } from "../pki/named-authority.ts";
import type { NamedLeaf } from "../pki/named-leaf.ts";
import type { LeafNames, ProfileName } from "../pki/profile.ts";
import type { LiveAuthority } from "./authorities.ts";
import type { Asked } from "./item.ts";
import type { World } from "./world.ts";

/** A CSR, read, and what its sender may have. */
export interface Judged {
  readonly csr: SelfSigned;
  readonly allowed: Allowed;
}

export type Allowed = AllowedNames | AllowedRequest | AllowedAuthority;

/** Of a profile that has a template: the names are all there is to say. */
export interface AllowedNames extends AllowedLeaf {
  readonly profile: ProfileName;
  readonly names: LeafNames;
  /** Where a requester asked for the workload by an object. */
  readonly request?: RequestedBy;
}

/** Of the profile `request`. */
export interface AllowedRequest extends AllowedLeaf {
  readonly profile: "request";
  readonly leaf: NamedLeaf;
  readonly request: RequestedBy;
}

/** A CA certificate for whoever asked. */
export interface AllowedAuthority extends AllowedLeaf {
  readonly profile: "authority";
  readonly named: NamedAuthority;
  /** Its subject, for people. */
  readonly name: string;
  readonly request: RequestedBy;
}

/** What is allowed, and who signs it. */
interface AllowedLeaf {
  /** The tenant, or `hubLog`. */
  readonly log: string;
  readonly cluster: string;
  readonly door: Door;
  readonly validitySeconds: number;
  readonly rule: string;
  readonly proof: string;
  readonly authority: LiveAuthority;
  readonly tokenSha256?: Uint8Array;
  readonly renewableSince?: Date;
  readonly idempotency?: Idempotency;
}

/** The authority that signs for an owner now. @throws Refusal `unavailable` */
export function active(world: World, kind: "hub" | "serving" | AuthorityUnder, owner: string): LiveAuthority {
  const authority = world.authorities.active(kind, owner);
  // An outage of ours and no fault of the caller's: it comes back once an operator has made the root.
  if (authority === undefined) throw new Refusal("unavailable", `${signsFor[kind]} yet: it has no active authority`);
  return authority;
}

const signsFor = {
  hub: "nothing can sign for this hub",
  serving: "nothing can sign for this serving",
  tenant: "nothing can sign for this tenant",
  delegating: "nothing can sign CA certificates for this tenant",
} as const;

/** One request for all time: the UID that an API server gives an object is given to no other. */
export function toKey({ door, idempotencyKey }: Asked, cluster: string): string {
  return `${cluster}/${door}/${idempotencyKey}`;
}
