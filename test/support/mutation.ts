/** What hostile hands make of bytes: some of them flipped, set, cut off, added, put in, or taken from something else. */
import * as fc from "fast-check";
import { flipBit } from "./pki.ts";

export interface Mutation {
  readonly how: "flip" | "set" | "truncate" | "extend" | "insert" | "splice";
  readonly at: number;
  readonly with: number;
}

const hows = ["flip", "set", "truncate", "extend", "insert", "splice"] as const;

export const mutations: fc.Arbitrary<readonly Mutation[]> = fc.array(
  fc.record({ how: fc.constantFrom(...hows), at: fc.nat(), with: fc.nat(255) }),
  { maxLength: 3 },
);

/** One after the other; what is spliced in is the end of one of `others`. */
export function mutate(bytes: Uint8Array, done: readonly Mutation[], others: readonly Uint8Array[]): Uint8Array {
  return done.reduce((so, mutation) => mutateOnce(so, mutation, others), bytes);
}

function mutateOnce(bytes: Uint8Array, { how, at, with: value }: Mutation, others: readonly Uint8Array[]): Uint8Array {
  const index = bytes.length === 0 ? 0 : at % bytes.length;
  const [before, after] = [bytes.subarray(0, index), bytes.subarray(index)];
  switch (how) {
    case "flip":
      return bytes.length === 0 ? bytes : flipBit(bytes, at % (bytes.length * 8));
    case "set":
      return Buffer.concat([before, Uint8Array.of(value), after.subarray(1)]);
    case "truncate":
      return before;
    case "extend":
      return Buffer.concat([bytes, Uint8Array.of(value)]);
    case "insert":
      return Buffer.concat([before, Uint8Array.of(value), after]);
    case "splice":
      return Buffer.concat([before, (others[value % others.length] ?? bytes).subarray(index)]);
  }
}
