import assert from "node:assert/strict";
import { test } from "node:test";
import { openVerifier } from "../../src/pki/chain.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { type Judge, simulate } from "./simulation.ts";

/** Each verifies the other as its own agent would. `npm run simulate:rotations` has Go's TLS do it. */
const verify = openVerifier();
const judge: Judge = async (at, pairs) =>
  pairs.flatMap(([{ name, leaf, intermediates, spki: key, uri }, peer]) => {
    try {
      verify({ leaf, intermediates, roots: peer.roots, at, key, names: { uri, dns: [] } });
      return [];
    } catch (error) {
      return [`${name} to ${peer.name}: ${String(error)}`];
    }
  });

test("root after root is rotated, and nobody who is alive fails to verify anybody else", async () => {
  using directory = temporaryDirectory();
  const report = await simulate({ directory: directory.path, rotations: 4, seed: 7, scales: [600, 1800], judge });
  assert.deepEqual(report.failures, []);
  const { rotations, rolledBack, rolledBackLate, jumps, issued, handshakes } = report;
  assert.deepEqual(
    { rotations, rolledBack, rolledBackLate, jumps },
    { rotations: 4, rolledBack: 1, rolledBackLate: 1, jumps: 1 },
  );
  assert.ok(issued > 500 && handshakes > 200, JSON.stringify(report));
});

test("where a root is rotated without its gates, the same simulation finds who is cut off", async () => {
  using directory = temporaryDirectory();
  const report = await simulate({
    directory: directory.path,
    rotations: 3,
    seed: 7,
    scales: [600],
    judge,
    reckless: true,
  });
  assert.notEqual(report.failures.length, 0);
});
