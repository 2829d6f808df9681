/** Made state: what Espalier and its operators made, in the same database as the ledger. Each change is one durable write with its act. */
import type { SealedKeys } from "../custody/sealed.ts";
import type { SealedKey } from "../custody/sealing-key.ts";
import type { KeyAlgorithm } from "../custody/signer.ts";
import type { Act, Draft } from "./ledger.ts";

/**
 * `hub` and `root` sign authorities and the hub's own; `serving` signs one cluster's; `tenant` signs workloads; `delegating` signs a
 * tenant's CA certificates for others, and no leaves.
 */
export type AuthorityKind = "hub" | "root" | "serving" | AuthorityUnder;
/** A tenant's, under its root. */
export type AuthorityUnder = "tenant" | "delegating";
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
  readonly kind: "tenant" | "cluster" | "workload";
  /** Of a workload `<tenant>/<identity>`. */
  readonly name: string;
}

/** By whose word: an operator's verb, or the resource's own `suspended`. */
export type SuspensionSource = "operator" | "document";

/** One that holds. */
export interface Suspension extends SuspensionKey {
  readonly source: SuspensionSource;
}

/** The reasons of RFC 5280 5.3.1 that mean something here: what is revoked stays so. */
export type RevocationReason =
  | "unspecified"
  | "keyCompromise"
  | "cACompromise"
  | "affiliationChanged"
  | "superseded"
  | "cessationOfOperation"
  | "privilegeWithdrawn";

export interface Revocation {
  readonly reason: RevocationReason;
  readonly at: Date;
}

/** A certificate that is not to be trusted any more, a CA's among them. */
export interface RevocationRecord extends Revocation {
  /** Content octets. */
  readonly serial: Uint8Array;
  /** The tenant's, or `hubLog`. */
  readonly log: string;
  /** The id of what signed it. */
  readonly authority: string;
  readonly notAfter: Date;
}

/** The newest CRL of an authority, or of a root. */
export interface CrlRecord {
  readonly authority: string;
  /** RFC 5280 5.2.3: one more each time. */
  readonly number: number;
  /** How many certificates of this authority had been revoked, ended ones too: another number makes another CRL due. */
  readonly revocations: number;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** DER. */
  readonly crl: Uint8Array;
}

/** What agents have put in force, kept for the rotation gates. */
export interface AcknowledgementRecord {
  readonly cluster: string;
  readonly agent: string;
  readonly version: string;
  readonly inForceSince: Date;
  /** The versions of the bundles in it; none where an issuer of before has written it. */
  readonly bundles: readonly string[];
}

/** Leaves that stand against a step of a root: those whose bundle lacks it, or those that chain to it; of the hub root, agents'. */
export interface Against {
  readonly kind: "without" | "under" | "agents";
  /** The root's id. */
  readonly root: string;
  /** Those that end after this. */
  readonly at: Date;
}

/** Some of them: of one tenant in one cluster, by one door. */
export interface LeafCount {
  readonly tenant: string;
  readonly cluster: string;
  /** Empty where an issuer of before has written them, which did not say. */
  readonly door: string;
  readonly count: number;
  readonly firstEnd: Date;
  readonly lastEnd: Date;
}

/** Some of the hub's own leaves: of the agents of one cluster, of one operator, or of issuers. */
export interface OwnCount extends Omit<LeafCount, "tenant" | "door"> {
  /** SPIFFE ID, or the DNS names of issuers. */
  readonly identity: string;
}

/** Transitions of a root and of what stands under it, and the leaves of which there must be none in that same write. */
export interface RootTurn {
  readonly changes: readonly AuthorityChange[];
  readonly against?: Against;
  /** The root that a hold is kept with; missing where an operator takes the step. */
  readonly unlessHeld?: string;
}

/** What a tenant's leaves that have not ended are of. */
export interface NamesInUse {
  readonly tenant: string;
  /** One of their SPIFFE IDs. */
  readonly identity: string;
  readonly lastEnd: Date;
}

/** What an operator said about the rotation of a root. */
export type RotationMark =
  | { readonly root: string; readonly kind: "hold" }
  | { readonly root: string; readonly kind: "acknowledged"; readonly name: string };

/** An unexpired leaf, recorded or not. */
export interface LivingLeaf extends Pick<Draft, "log" | "cluster" | "door" | "proof" | "notAfter" | "bundleVersion"> {
  /** Its entry's number. */
  readonly entry: number;
  readonly authority: string;
  /** A token without a pod was its proof, or the beginning of it: a VM's. */
  readonly renewable: boolean;
}

export interface LeafFilter {
  /** Of tenants under this TrustRoot. */
  readonly trustRoot?: string;
  readonly cluster?: string;
  /** Those that end after this. */
  readonly at: Date;
  /** Those that were written after this entry. */
  readonly after: number;
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

/** Whether a tenant owns it, and it stands under a root. */
export function isUnder(kind: AuthorityKind): kind is AuthorityUnder {
  return kind === "tenant" || kind === "delegating";
}

/** Whose successor somebody has decided on. */
export interface Predecessor {
  /** The id of the active one; undefined where there was none. */
  readonly active: string | undefined;
}

export interface State extends SealedKeys {
  /** Writes an act that changes nothing else: the intention behind a CA certificate, before it is signed. */
  act(act: Act): Promise<void>;

  authorities(): Promise<readonly AuthorityRecord[]>;
  /**
   * @throws Refusal `not-ready` when the id is taken, when this is `prepared` or `active` and kind and owner have such a one, or when the
   * active one is not the one that it was made to follow.
   */
  addAuthority(record: AuthorityRecord, act: Act, follows?: Predecessor): Promise<void>;
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

  suspensions(): Promise<readonly Suspension[]>;
  /**
   * By an operator's word, or a document's; one does not lift the other. False when it was so already; then nothing is written.
   * @throws Refusal `not-ready` for a workload when `deniedWorkloadsMax` are suspended.
   */
  setSuspended(key: SuspensionKey, suspended: boolean, act: Act, source?: SuspensionSource): Promise<boolean>;

  /** Revokes those of these certificates that the ledger has. Returns how many were not revoked before; for none nothing is written. */
  revoke(serials: readonly Uint8Array[], reason: RevocationReason, act: Act): Promise<number>;
  /**
   * The authority is `revoked` and so is its certificate, from whatever state. From then on no intent is written for it, and none
   * is given out again. False when it was so already. @throws Refusal `not-found`.
   */
  revokeAuthority(id: string, certificate: Omit<RevocationRecord, "at">, act: Act): Promise<boolean>;
  /** What this authority has signed, was revoked and has not ended at that time. */
  revocations(authority: string, at: Date): Promise<readonly RevocationRecord[]>;
  /** How many certificates of each authority were ever revoked. */
  revocationCounts(): Promise<ReadonlyMap<string, number>>;
  /** Agents' and issuers' certificates, serial numbers in hex, that have not ended at that time. */
  revokedOwn(at: Date): Promise<ReadonlySet<string>>;
  /** Newest first. */
  lastRevocations(limit: number): Promise<readonly RevocationRecord[]>;

  crls(): Promise<readonly CrlRecord[]>;
  /** In the place of the one before. @throws Refusal `not-ready` when one with this number or a higher one is there. */
  keepCrl(record: CrlRecord, act: Act): Promise<void>;

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

  /** Of one cluster's agents the 64 newest stand; one that speaks for the whole cluster stands alone. */
  acknowledge(record: AcknowledgementRecord, wholeCluster?: boolean): Promise<void>;
  acknowledgements(): Promise<readonly AcknowledgementRecord[]>;

  /** The versions of the bundles that hold a root. One that is not known holds none. */
  bundlesWith(root: string): Promise<readonly string[]>;
  leavesAgainst(against: Against): Promise<readonly LeafCount[]>;
  /** Of the hub root's. Without those that are revoked: whoever is shown one reads that. */
  ownAgainst(against: Against & { readonly kind: "without" | "under" }): Promise<readonly OwnCount[]>;
  /** Of each authority of a tenant that has signed some; of none that is revoked. */
  namesInUse(at: Date): Promise<readonly NamesInUse[]>;
  /** In the order in which they were written, a few at a time. */
  livingLeaves(filter: LeafFilter): AsyncIterable<LivingLeaf>;
  /**
   * All of these transitions or none. From then on no intent is written whose bundle lacks the owner's active root, nor one
   * by an authority under a root that is retired, whatever the issuer that drafts it has not heard yet.
   * @throws Refusal `not-ready` as `setAuthorityStates`, and when a leaf stands against it.
   */
  turnRoot(turn: RootTurn, act: Act): Promise<void>;
  rotationMarks(): Promise<readonly RotationMark[]>;
  /** False when it is held already; then nothing is written. */
  holdRotation(root: string, act: Act): Promise<boolean>;
  /** Lifts a hold and acknowledges these. False when neither was to be done; then nothing is written. */
  continueRotation(root: string, names: readonly string[], act: Act): Promise<boolean>;

  /**
   * Puts these in the place of all sealed keys, which `from` has sealed; both in the order of their names.
   * @throws Refusal `not-ready` when others are there by now.
   */
  resealKeys(from: string, to: readonly SealedKey[], act: Act): Promise<void>;
}
