import assert from "node:assert/strict";
import { test } from "node:test";
import { openBlindDoors } from "../../src/controller/blind-doors.ts";
import type { LeafFilter, LivingLeaf } from "../../src/ledger/state.ts";

const start = Date.parse("2026-01-01T00:00:00Z");
const at = (minutes: number): Date => new Date(start + minutes * 60_000);

function leaf(entry: number, overrides: Partial<LivingLeaf> = {}): LivingLeaf {
  return {
    entry,
    authority: "shop-1",
    log: "shop",
    cluster: "east",
    door: "istio",
    proof: "token",
    notAfter: at(60),
    bundleVersion: "b",
    renewable: false,
    ...overrides,
  };
}

/** A ledger of these leaves, and from where on it was last read. */
function open(leaves: LivingLeaf[]) {
  const seen = { after: -1 };
  const state = {
    async *livingLeaves({ at, after }: LeafFilter) {
      seen.after = after;
      yield* leaves.filter((one) => one.entry > after && one.notAfter > at);
    },
  };
  const doors = openBlindDoors(state);
  const look = async (minutes: number, kind: "root" | "serving" = "root"): Promise<readonly string[]> =>
    (await doors.look(kind, "main", at(minutes))).map(({ name }) => name);
  return { look, seen };
}

test("VMs and the doors of other people's controllers are blind, and a pod is not", async () => {
  const leaves = [
    leaf(1),
    leaf(2, { proof: "impersonated" }),
    leaf(3, { proof: "certificate" }),
    leaf(4, { cluster: "west", renewable: true }),
    leaf(5, { door: "certificate-request", proof: "request" }),
    leaf(6, { door: "csr", proof: "requester:istio-system/istiod", cluster: "west" }),
  ];
  const { look } = open(leaves);
  assert.deepEqual(await look(0), [
    "certificate-request:east",
    "csr:west",
    "istiod:east",
    "istiod:west",
    "vm:east",
    "vm:west",
  ]);
  assert.deepEqual(await look(0, "serving"), ["vm:east", "vm:west"], "only VMs keep copies of serving roots");
});

test("a door counts until the last certificate by it has ended", async () => {
  const { look } = open([leaf(1, { proof: "certificate" }), leaf(2, { proof: "certificate", notAfter: at(90) })]);
  assert.deepEqual(await look(0), ["istiod:east", "vm:east"]);
  assert.deepEqual(await look(89), ["istiod:east", "vm:east"]);
  assert.deepEqual(await look(90), []);
});

test("what becomes visible late is still seen, and what was seen long ago is not read again", async () => {
  const leaves = [leaf(7)];
  const { look, seen } = open(leaves);
  assert.deepEqual(await look(0), []);
  leaves.push(leaf(5, { proof: "certificate" }));
  assert.deepEqual(await look(0.5), ["istiod:east", "vm:east"]);
  for (const minutes of [1, 2, 3]) await look(minutes);
  assert.equal(seen.after, 7);
  assert.deepEqual(await look(4), ["istiod:east", "vm:east"]);
});
