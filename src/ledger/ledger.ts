/**
 * The ledger: every certificate we meant to sign and every act of an operator. What is promised here holds for SQLite and
 * for PostgreSQL; one contract suite judges both.
 */
import type { AnyProfileName } from "../pki/profile.ts";
import type { Revocation } from "./state.ts";

declare const brand: unique symbol;

/** The log of what belongs to no tenant: agents' and issuers' certificates, serving certificates, operators' acts. */
export const hubLog = "@hub";

/** What `verify` calls the part that belongs to no single log: the signed heads, their key and the epoch. */
export const wholeLedger = "@ledger";

/** A grant turned to bytes, not yet written down. Nothing can sign it. */
export interface Draft {
  /** A tenant's name, or `hubLog`. */
  readonly log: string;
  /** Empty for a certificate of the hub itself. */
  readonly cluster: string;
  readonly door: Door;
  readonly profile: AnyProfileName;
  /** The id of the authority that is to sign. */
  readonly authority: string;
  readonly bundleVersion: string;
  /** The serial number's content octets. */
  readonly serial: Uint8Array;
  /** The URI name, or the DNS names joined by ","; of the profile `request`, what `identityOf` makes of its names. */
  readonly identity: string;
  /** Which rule decided, as `tenant/rule`, and the proof it accepted. */
  readonly rule: string;
  readonly proof: string;
  /** SHA-256 of the token that proved it; never the token. */
  readonly tokenSha256?: Uint8Array;
  /** SHA-256 of the leaf's SubjectPublicKeyInfo. */
  readonly keySha256: Uint8Array;
  /**
   * Set when the proof was a token bound to no pod, or a renewal that goes back to one: when that token was shown. Only
   * such a certificate can be renewed by showing it.
   */
  readonly renewableSince?: Date;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The exact bytes that will be signed. */
  readonly tbs: Uint8Array;
  readonly idempotency?: Idempotency;
  /** Of a request that an object of a cluster's API makes. */
  readonly request?: RequestedBy;
}

/** Who asked by an object, and through which issuer: the word of the cluster's agent. */
export interface RequestedBy {
  /** `namespace/name`. */
  readonly object: string;
  /** `TenantIssuer/name` or `TenantClusterIssuer/name`. */
  readonly issuer: string;
  readonly username: string;
  readonly groups: readonly string[];
}

export type Door = "istio" | "certificate-request" | "csr" | "own";

export interface Idempotency {
  /** Unique for one request for all time: cluster, door and UID. */
  readonly key: string;
  /** Digest of key, names, usages and duration: what must not differ between two requests of one idempotency key. */
  readonly digest: Uint8Array;
}

/** A draft that is durably written. Only a ledger makes one, and only an intent can be signed. */
export type Intent = Draft & { readonly id: number; readonly [brand]: "Intent" };

/** What became of one draft. */
export type Intended =
  | { readonly kind: "intent"; readonly intent: Intent }
  /** Its idempotency key was intended before with the same digest; `signature` is missing where none was recorded. */
  | { readonly kind: "replay"; readonly intent: Intent; readonly signature?: Uint8Array }
  /** Its idempotency key was intended before with another digest. Nothing was written. */
  | { readonly kind: "replay-differs" }
  /** It was intended before, so long ago that its body is gone. Nothing was written. */
  | { readonly kind: "replay-pruned" }
  /** What it is for, or was intended for before, gets nothing now. Nothing was written. */
  | { readonly kind: "suspended"; readonly what: SuspendedWhat };

/**
 * `certificate`: the one that was intended for this idempotency key is revoked, or its authority is. `generation`: the bundle or
 * the authority is of before a root was rotated.
 */
export type SuspendedWhat = "tenant" | "cluster" | "workload" | "authority" | "generation" | "certificate";

/** An act of an operator, or of Espalier on the database's made state. */
export interface Act {
  readonly log: string;
  readonly verb: string;
  /** Who: `unix:<user>` for the socket, `agent:<cluster>` for what an agent says, `espalier` for what the issuer does by itself. */
  readonly operator: string;
  readonly reason: string;
  /** What the verb was given, as strings. Never a secret. */
  readonly details: Readonly<Record<string, string>>;
}

/** An entry as it is read back. `position` is missing until the sequencer has placed it. */
export interface StoredEntry {
  /** Its number in this database: later entries have higher ones. */
  readonly id: number;
  readonly log: string;
  readonly position?: number;
  readonly kind: "intent" | "act";
  /** The canonical bytes: an RFC 8785 JSON object. Empty where retention has let them go. */
  readonly body: Uint8Array;
  /** Of an intent: its column, which alone says so when the body is gone. */
  readonly serial?: Uint8Array;
  /** RFC 6962 2.1: SHA-256(0x00 || body). */
  readonly leafHash: Uint8Array;
  /** The TBS and the recorded signature of an intent. */
  readonly tbs?: Uint8Array;
  readonly signature?: Uint8Array;
  readonly authority?: string;
  readonly revocation?: Revocation;
}

/** An intent that has not ended: a certificate that somebody may show, recorded or not. */
export interface LiveIntent {
  readonly serial: Uint8Array;
  readonly log: string;
  readonly identity: string;
  readonly cluster: string;
  readonly authority: string;
  readonly notAfter: Date;
  readonly isRevoked: boolean;
}

export interface LiveFilter {
  readonly log?: string;
  readonly identity?: string;
  readonly cluster?: string;
  readonly authority?: string;
  /** The walk ends where entries are older than this. Default never: what is revoked must be all there is. */
  readonly since?: Date;
}

export interface EntryFilter {
  readonly log?: string;
  readonly identity?: string;
  readonly cluster?: string;
  readonly unrecordedOnly?: boolean;
  /** Newest first, at most this many. */
  readonly limit: number;
  /** Only entries with a lower number. */
  readonly before?: number;
}

export interface Ledger {
  /**
   * Writes all drafts with one durable write, in which suspensions are read too; when it returns, a crash cannot lose them.
   * The answers are in the order of the drafts.
   * @throws Refusal `unavailable` when nothing counts as written (disk full, database away): then nothing may be signed.
   * Refusal `overloaded` when too many drafts wait already. A serial that is taken is a plain error of this call alone.
   */
  intend(drafts: readonly Draft[]): Promise<readonly Intended[]>;
  /** Writes a signature down, behind the reply: with the next durable write or within `recordDelayMs`. Never throws. */
  record(intent: Intent, signature: Uint8Array): void;
  /** The intent of a serial, with its signature where one is recorded, and its revocation where there is one; undefined also where its body is gone. */
  findSerial(serial: Uint8Array): Promise<FoundIntent | undefined>;
  /** Looks at the whole ledger, newest first: a step says how many entries it looked at and which of them are live at that time. */
  live(
    filter: LiveFilter,
    at: Date,
  ): AsyncIterable<{ readonly looked: number; readonly intents: readonly LiveIntent[] }>;
  /** Newest first. */
  entries(filter: EntryFilter): AsyncIterable<StoredEntry>;
  /** By serial in hex, or `log/position`. */
  entry(id: string): Promise<StoredEntry | undefined>;
  /**
   * Recomputes every hash, tree and head from the stored bytes, of one log or of all. Yields as it goes; the last report of
   * `wholeLedger`, which comes first, and of each log has `done`.
   */
  verify(log?: string, check?: CheckSignature): AsyncIterable<LogReport>;
}

export interface FoundIntent {
  readonly intent: Intent;
  readonly signature?: Uint8Array;
  readonly revocation?: Revocation;
}

/** Whether an authority's key made this signature over these bytes. The ledger itself knows no certificates. */
export type CheckSignature = (authority: string, tbs: Uint8Array, signature: Uint8Array) => boolean;

/** How many faults one report names. */
export const faultsMax = 1000;

/** How far the check of one log has come. Of `wholeLedger`, `entries` counts the heads. */
export interface LogReport {
  readonly log: string;
  readonly entries: number;
  readonly unrecorded: number;
  /** Intents whose body retention has let go: of them the hash alone is verified. */
  readonly pruned: number;
  /** RFC 6962 2.1 tree hash over the sequenced entries so far. */
  readonly rootHash: Uint8Array;
  /** Each names the row and what is wrong with it; at most `faultsMax`. */
  readonly faults: readonly string[];
  readonly done: boolean;
}
