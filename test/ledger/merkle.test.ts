import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  emptyTree,
  encodeFrontier,
  grow,
  leafHash,
  nodeHash,
  readTree,
  rootOf,
  type Tree,
} from "../../src/ledger/merkle.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const treeOf = (bodies: readonly Uint8Array[]): Tree =>
  bodies.reduce((tree, body) => grow(tree, leafHash(body)), emptyTree);

/** The test data of Certificate Transparency's reference implementation (merkletree/merkle_tree_test). */
const bodies = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"].map(
  (body) => Buffer.from(body, "hex"),
);
const roots = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

test("roots are those of the published vectors at every size", () => {
  for (const [size, root] of roots.entries()) assert.equal(hex(rootOf(treeOf(bodies.slice(0, size)))), root);
});

/** MTH of RFC 6962 2.1, word for word. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (only === undefined) return Buffer.from(roots[0] ?? "", "hex");
  if (leaves.length === 1) return leafHash(only);
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return nodeHash(naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

test("a tree grown leaf by leaf has the root of RFC 6962's definition, also when it is stored in between", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 70 }), fc.nat(70), (leaves, stop) => {
      const first = treeOf(leaves.slice(0, stop));
      const stored = readTree(first.size, encodeFrontier(first));
      const tree = leaves.slice(stop).reduce((grown, body) => grow(grown, leafHash(body)), stored);
      assert.equal(hex(rootOf(tree)), hex(naiveRoot(leaves)));
      assert.equal(tree.size, leaves.length);
    }),
  );
});

test("a frontier of another size is an error", () => {
  assert.throws(() => readTree(3, new Uint8Array(32)));
  assert.throws(() => readTree(4, new Uint8Array(33)));
  assert.throws(() => grow({ size: 1, frontier: [] }, new Uint8Array(32)));
});
