/** What the world outside an issuer knows: what it holds, what it was told, and what it cannot know because nobody answered. */
import type { AuthorityState, SuspensionKey } from "../../src/ledger/state.ts";

/** A certificate that a client has. */
export interface Held {
  /** DER. */
  readonly leaf: Uint8Array;
  readonly idempotencyKey: string;
}

export interface Book {
  readonly held: Held[];
  /** Everything that any key but the ledger's has put its signature on. */
  readonly signed: Uint8Array[];
  /** Reasons of the acts that an operator was told are done. */
  readonly told: Set<string>;
  /** Join tokens that were spent, for all that their holder knows. */
  readonly spent: Map<string, boolean | undefined>;
  /** Undefined where a verb was not answered. */
  suspended(key: SuspensionKey): boolean | undefined;
  suspend(key: SuspensionKey, suspended: boolean | undefined): void;
  /** Each authority's last state; one that goes back is a fault. */
  readonly states: Map<string, AuthorityState>;
  /** What does not hold. */
  readonly faults: string[];
  /** What was done, a line each. */
  readonly steps: string[];
}

export function openBook(): Book {
  const suspensions = new Map<string, boolean | undefined>();
  const toKey = ({ kind, name }: SuspensionKey): string => `${kind}/${name}`;
  return {
    held: [],
    signed: [],
    told: new Set(),
    spent: new Map(),
    states: new Map(),
    faults: [],
    steps: [],
    suspended: (key) => (suspensions.has(toKey(key)) ? suspensions.get(toKey(key)) : false),
    suspend: (key, suspended) => void suspensions.set(toKey(key), suspended),
  };
}
