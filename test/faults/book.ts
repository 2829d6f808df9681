/** What the world outside an issuer knows: what it holds, what it was told, and what it cannot know because nobody answered. */
import type { AuthorityRecord } from "../../src/ledger/state.ts";

/** A certificate that a client has. */
export interface Held {
  /** DER. */
  readonly leaf: Uint8Array;
  readonly idempotencyKey: string;
  readonly authority: string;
  readonly notAfter: Date;
}

/** What made state says, as `what: how it is`: see facts.ts. */
export type Facts = ReadonlyMap<string, string>;

export interface Book {
  readonly held: Held[];
  /** Everything that any key but the ledger's has put its signature on. */
  readonly signed: Uint8Array[];
  /** Reasons of the acts that an operator was told are done. */
  readonly told: Set<string>;
  /** Join tokens that were spent, for all that their holder knows. */
  readonly spent: Map<string, boolean | undefined>;
  /** As they were after the last step; missing before the first. */
  facts: Facts | undefined;
  records: readonly AuthorityRecord[];
  readonly crls: Map<string, number>;
  /** What the step that goes on may change, and how a fact is then; without it, a fact stays. */
  readonly may: ((fact: string, value: string) => boolean)[];
  /** What was told to whoever asked is so from then on. */
  readonly must: Map<string, string>;
  /** Whether bodies may have gone: then a request of then is not answered again. */
  pruned: boolean;
  /** What does not hold. */
  readonly faults: string[];
  /** What was done, a line each. */
  readonly steps: string[];
}

export function openBook(): Book {
  return {
    held: [],
    signed: [],
    told: new Set(),
    spent: new Map(),
    facts: undefined,
    records: [],
    crls: new Map(),
    may: [],
    must: new Map(),
    pruned: false,
    faults: [],
    steps: [],
  };
}

/** As whoever was told has it: from then on, and else as it was after the last step. */
export function isSo({ must, facts }: Book, fact: string): boolean {
  return (must.get(fact) ?? facts?.get(fact)) === "yes";
}

/** One fact that a verb sets: until it is told, it is as it was or so, whatever was told before. */
export function expect(book: Book, fact: string, value: string): void {
  book.must.delete(fact);
  book.may.push((one, now) => one === fact && now === value);
}
