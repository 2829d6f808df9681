/** A walk along one log's leaves: it grows the tree as they come and compares it with every signed root on the way. */
import type { Faults } from "./faults.ts";
import { emptyTree, encodeFrontier, grow, rootOf, type Tree } from "./merkle.ts";
import { sameBytes } from "./octets.ts";
import { blob, integer, type Row } from "./rows.ts";

export interface Walk {
  tree(): Tree;
  /** The last position seen, or -1. */
  last(): number;
  place(position: number, leaf: Uint8Array): void;
  /** Compares what is stored of the tree, if anything, with what has grown. */
  end(stored: Row | undefined): void;
}

/** `roots` are those of the signed heads, by tree size. */
export function createWalk(log: string, roots: ReadonlyMap<number, Uint8Array>, faults: Faults): Walk {
  let tree = emptyTree;
  let last = -1;

  return {
    tree: () => tree,
    last: () => last,

    place(position, leaf) {
      if (position !== last + 1) faults.add(`${log}/${last + 1}: positions up to ${position} are missing`);
      last = position;
      tree = grow(tree, leaf);
      const root = roots.get(tree.size);
      if (root === undefined || sameBytes(root, rootOf(tree))) return;
      faults.add(`${log}: a signed head has another root at size ${tree.size}`);
    },

    end(stored) {
      for (const size of roots.keys()) {
        if (size > tree.size) faults.add(`${log}: a signed head has ${size} entries and the log ${tree.size}`);
      }
      if (stored === undefined) {
        if (tree.size > 0) faults.add(`${log}: its tree is missing`);
        return;
      }
      const size = integer(stored, "size");
      if (size !== tree.size) faults.add(`${log}: its tree has ${size} leaves and the log ${tree.size} entries`);
      if (!sameBytes(blob(stored, "root"), rootOf(tree))) faults.add(`${log}: its tree has another root`);
      if (!sameBytes(blob(stored, "frontier"), encodeFrontier(tree)))
        faults.add(`${log}: its tree has another frontier`);
    },
  };
}
