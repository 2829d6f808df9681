/** Made state: what Espalier and its operators made, in the same database as the ledger. Each change is one durable write with its act. */
import type { SealedKeys } from "../custody/sealed.ts";
import type { SealedKey } from "../custody/sealing-key.ts";
import type { KeyAlgorithm } from "../custody/signer.ts";
import type { Act } from "./ledger.ts";

/** `hub` and `root` sign authorities and the hub's own; `serving` signs one cluster's; `tenant` signs workloads. */
export type AuthorityKind = "hub" | "root" | "serving" | "tenant";
export type AuthorityState = "prepared" | "active" | "retiring" | "retired" | "revoked";

/** One generation of a CA key: a root or an authority. */
export interface AuthorityRecord {
  readonly id: string;
  readonly kind: AuthorityKind;
  /** The TrustRoot, MeshCluster or MeshTenant it belongs to; the hub's name for `hub`. */
  readonly owner: string;
  readonly state: AuthorityState;
  readonly algorithm: KeyAlgorithm;
  /** Its key in custody; empty for a root whose key is offline. */
  readonly keyName: string;
  /** DER. */
  readonly certificate: Uint8Array;
  /** The id of what signed it; missing for a self-signed root. */
  readonly parent?: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** An authority that waits for its certificate: its root's key is offline, and a person has to have it signed. */
export interface AuthorityRequest {
  /** The authority's id to be, and its key's name in custody. */
  readonly id: string;
  readonly tenant: string;
  /** The id of the root that is to sign it. */
  readonly root: string;
  readonly algorithm: KeyAlgorithm;
  /** PKCS #10 in DER. */
  readonly csr: Uint8Array;
  readonly validityDays: number;
  readonly requestedAt: Date;
}

/** One transition, and the state it goes out from. */
export interface AuthorityChange {
  readonly id: string;
  readonly from: AuthorityState;
  readonly to: AuthorityState;
}

export interface JoinTokenRecord {
  /** SHA-256 of the token. */
  readonly tokenSha256: Uint8Array;
  readonly cluster: string;
  /** RFC 7638, base64url: the one key it may register. */
  readonly keyThumbprint: string;
  readonly expiresAt: Date;
  readonly usedAt?: Date;
}

/** A cluster's token-signing key. */
export interface ClusterKey {
  readonly cluster: string;
  readonly keyThumbprint: string;
  /** The public JWK, as JSON. */
  readonly jwk: string;
}

/** All the keys that a cluster's agent last said there are, and what became of that. */
export interface KeyProposal {
  readonly cluster: string;
  readonly state: "pending" | "approved" | "rejected";
  readonly keys: readonly ClusterKey[];
  readonly proposedAt: Date;
}

/** A key that a cluster's address has shown, and that was in force. */
export interface FetchedKey extends ClusterKey {
  readonly url: string;
}

export interface SuspensionKey {
  readonly kind: "tenant" | "cluster";
  readonly name: string;
}

/** What agents have put in force, kept for the rotation gates. */
export interface AcknowledgementRecord {
  readonly cluster: string;
  readonly agent: string;
  readonly version: string;
  readonly inForceSince: Date;
}

/** Each may all that those before it may. */
export const operatorRoles = ["viewer", "operator", "admin"] as const;
export type OperatorRole = (typeof operatorRoles)[number];

/** Somebody who may call from elsewhere, with a certificate for one key. */
export interface OperatorRecord {
  readonly name: string;
  readonly role: OperatorRole;
  /** SHA-256 of the key's SubjectPublicKeyInfo. */
  readonly keySha256: Uint8Array;
  readonly madeAt: Date;
  readonly revokedAt?: Date;
}

export interface State extends SealedKeys {
  /** Writes an act that changes nothing else: the intention behind a CA certificate, before it is signed. */
  act(act: Act): Promise<void>;

  authorities(): Promise<readonly AuthorityRecord[]>;
  /** @throws Refusal `not-ready` when the id is taken, or when this is `prepared` or `active` and kind and owner have such a one. */
  addAuthority(record: AuthorityRecord, act: Act): Promise<void>;
  /**
   * All of these, in this order, or none.
   * @throws Refusal `not-ready` when one is not in the state it is to leave, as when another replica was first; or as above.
   */
  setAuthorityStates(changes: readonly AuthorityChange[], act: Act): Promise<void>;

  /** At most one of each tenant. */
  authorityRequests(): Promise<readonly AuthorityRequest[]>;
  /** @throws Refusal `not-ready` when its tenant has one. */
  addAuthorityRequest(request: AuthorityRequest, act: Act): Promise<void>;
  /** Adds the authority in the place of the request of its id. @throws Refusal `not-ready` when there is none, or as `addAuthority`. */
  answerAuthorityRequest(record: AuthorityRecord, act: Act): Promise<void>;
  /** False when there is none; then nothing is written. */
  withdrawAuthorityRequest(id: string, act: Act): Promise<boolean>;

  addJoinToken(record: JoinTokenRecord, act: Act): Promise<void>;
  joinToken(tokenSha256: Uint8Array): Promise<JoinTokenRecord | undefined>;
  /**
   * Marks the token used and registers the key, in one write.
   * @throws Refusal `proof-invalid` when the token is unknown, used, expired or another cluster's, or the thumbprint is not
   * its own; Refusal `not-this-caller` when the key already belongs to another cluster.
   */
  useJoinToken(tokenSha256: Uint8Array, key: ClusterKey, at: Date, act: Act): Promise<void>;
  /** Keys that joins and approvals have registered; each belongs to one cluster. */
  registeredKeys(): Promise<readonly ClusterKey[]>;
  /**
   * Takes keys away, all of the cluster's if none are named, and with them every unused join token that could bring one back;
   * a proposal that has one of them counts as rejected. False when there was nothing of that; then nothing is written.
   */
  removeKeys(cluster: string, keyThumbprints: readonly string[] | undefined, act: Act): Promise<boolean>;

  /** The last of each cluster. */
  keyProposals(): Promise<readonly KeyProposal[]>;
  /** Puts it in the place of the cluster's last one. False when that had the same keys, whatever became of it; then nothing is written. */
  proposeKeys(proposal: KeyProposal, act: Act): Promise<boolean>;
  /**
   * Makes the keys of the cluster's last proposal its registered keys, and no others.
   * @throws Refusal `not-ready` when it does not have exactly these thumbprints; Refusal `not-this-caller` when one of them
   * belongs to another cluster.
   */
  approveKeys(cluster: string, keyThumbprints: readonly string[], act: Act): Promise<void>;
  /** False when none is pending; then nothing is written. */
  rejectKeys(cluster: string, act: Act): Promise<boolean>;

  /** What clusters' addresses have shown last, as it was in force. */
  fetchedKeys(): Promise<readonly FetchedKey[]>;
  keepFetchedKeys(keys: readonly FetchedKey[]): Promise<void>;

  suspensions(): Promise<readonly SuspensionKey[]>;
  /** False when it was so already; then nothing is written. */
  setSuspended(key: SuspensionKey, suspended: boolean, act: Act): Promise<boolean>;

  /**
   * Gives up what was remembered elsewhere until then and is not here. Whoever led that history leads no more: its epochs up to this
   * one have ended.
   */
  adopt(lostUntil: Date, epoch: number, act: Act): Promise<void>;

  /**
   * Lets go of bodies of intents that expired before then, one small write after the other for as long as `going`: see retention.ts.
   * Returns how many entries it went over.
   */
  prune(expiredBefore: Date, going: () => boolean): Promise<number>;

  operators(): Promise<readonly OperatorRecord[]>;
  operator(name: string): Promise<OperatorRecord | undefined>;
  /** In the place of what stood under the name. */
  setOperator(record: OperatorRecord, act: Act): Promise<void>;
  /** False when it was so already; then nothing is written. @throws Refusal `not-found`. */
  revokeOperator(name: string, at: Date, act: Act): Promise<boolean>;

  /** Of one cluster's agents the 64 newest stand. */
  acknowledge(record: AcknowledgementRecord): Promise<void>;
  acknowledgements(): Promise<readonly AcknowledgementRecord[]>;

  /**
   * Puts these in the place of all sealed keys, which `from` has sealed; both in the order of their names.
   * @throws Refusal `not-ready` when others are there by now.
   */
  resealKeys(from: string, to: readonly SealedKey[], act: Act): Promise<void>;
}
