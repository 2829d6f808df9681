/**
 * The Merkle tree of RFC 6962 2.1, kept as its frontier: the roots of the full subtrees a size is made of, largest first.
 * Growing costs one hash on average and the root a hash per subtree, however long the log is.
 */
import { hash } from "node:crypto";

export const hashBytes = 32;

export interface Tree {
  readonly size: number;
  /** One hash for each bit set in `size`. */
  readonly frontier: readonly Uint8Array[];
}

export const emptyTree: Tree = { size: 0, frontier: [] };

/** SHA-256(0x00 || body). */
export function leafHash(body: Uint8Array): Uint8Array {
  const input = Buffer.allocUnsafe(body.length + 1);
  input[0] = 0;
  input.set(body, 1);
  return sha256(input);
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  const input = Buffer.allocUnsafe(1 + 2 * hashBytes);
  input[0] = 1;
  input.set(left, 1);
  input.set(right, 1 + hashBytes);
  return sha256(input);
}

/** By way of a string: a buffer that comes out of native code costs more than the hash. */
function sha256(bytes: Uint8Array): Uint8Array {
  return Buffer.from(hash("sha256", bytes, "latin1"), "latin1");
}

/** The tree with these leaves more. */
export function grow(tree: Tree, ...leaves: readonly Uint8Array[]): Tree {
  const frontier = [...tree.frontier];
  let { size } = tree;
  for (const leaf of leaves) {
    let right = leaf;
    // Each low bit that is set is a full subtree of the size reached, and the two become one.
    for (let full = size; full % 2 === 1; full = (full - 1) / 2) {
      const left = frontier.pop();
      if (left === undefined) throw new Error(`a frontier of ${frontier.length} hashes is none of ${size} leaves`);
      right = nodeHash(left, right);
    }
    frontier.push(right);
    size += 1;
  }
  return { size, frontier };
}

/** The tree hash; of an empty tree, the hash of nothing. */
export function rootOf(tree: Tree): Uint8Array {
  const last = tree.frontier.at(-1);
  if (last === undefined) return sha256(new Uint8Array());
  return tree.frontier.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last);
}

export function encodeFrontier(tree: Tree): Uint8Array {
  return Buffer.concat(tree.frontier);
}

/** Throws a plain error when these bytes are no frontier of a tree of this size. */
export function readTree(size: number, frontier: Uint8Array): Tree {
  const count = size.toString(2).replaceAll("0", "").length;
  if (frontier.length !== count * hashBytes)
    throw new Error(`${frontier.length} bytes are no frontier of ${size} leaves`);
  const hashes = Array.from({ length: count }, (_, index) =>
    frontier.slice(index * hashBytes, (index + 1) * hashBytes),
  );
  return { size, frontier: hashes };
}
