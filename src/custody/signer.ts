/**
 * Keys we may use and not read. A signer signs bytes; where its key lives (a file, the database, a token) is its own
 * affair, and so is how long it takes.
 */

/** The closed table of keys an authority, a root or the ledger may have. */
export type KeyAlgorithm = "P-256" | "P-384" | "RSA-2048" | "RSA-3072" | "RSA-4096";

export interface Signer {
  readonly algorithm: KeyAlgorithm;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /**
   * Signs with the one digest that goes with the algorithm: SHA-256, or SHA-384 for P-384. ECDSA signatures are DER
   * (RFC 3279 2.2.3), RSA ones PKCS #1 v1.5 (RFC 8017 8.2).
   * @throws Refusal `unavailable` when the key cannot be used now.
   */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** Where keys are made and kept. A key is named by whoever made it and never leaves. */
export interface Custody {
  /** Makes a key; the name must be new. @throws Refusal `not-ready` when it is taken. */
  createKey(name: string, algorithm: KeyAlgorithm): Promise<Signer>;
  /** @throws Refusal `not-found`, or `config` when the key is there and must not be used (others can read it). */
  openKey(name: string): Promise<Signer>;
  /**
   * Takes in a key that was made elsewhere, PKCS #8 in DER; missing where keys can only be made. The name must be new.
   * @throws Refusal `not-ready` when it is taken, `config` for a key of no algorithm of the table.
   */
  importKey?(name: string, pkcs8: Uint8Array): Promise<Signer>;
}

/** A custody that holds the keys themselves, and can give them to another of its kind. Only moving them does. */
export interface MovableCustody extends Custody {
  importKey(name: string, pkcs8: Uint8Array): Promise<Signer>;
  /** PKCS #8 in DER. @throws Refusal as `openKey`. */
  readKey(name: string): Promise<Uint8Array>;
}
