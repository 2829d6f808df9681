import assert from "node:assert/strict";
import { test } from "node:test";
import { openLeafEnds } from "../../src/agent/leaf-ends.ts";
import { makeAuthority, makeLeaf } from "../support/pki.ts";

const hour = 3_600_000;
const start = Date.now();
const authority = await makeAuthority("P-256");

async function leaf(from: number, hours: number): Promise<Uint8Array> {
  return await makeLeaf(authority, { notBefore: new Date(from), notAfter: new Date(from + hours * hour) });
}

test("the first to end is the first that was not to be renewed while the hub was there", async () => {
  let at = start;
  const ends = openLeafEnds(() => new Date(at));
  assert.equal(ends.first(true), undefined);
  ends.see(await leaf(start, 2));
  at = start + 0.5 * hour;
  ends.see(await leaf(at, 2));
  const near = (expected: number, reachable: boolean): void => {
    const left = (ends.first(reachable)?.getTime() ?? Number.NaN) - expected;
    assert.ok(Math.abs(left) <= 60_000, String(left));
  };
  near(start + 2 * hour, true);
  // The first is renewed at one hour; the hub goes a little later, and the second has not been.
  at = start + 1.1 * hour;
  near(start + 2.5 * hour, true);
  at = start + 2 * hour;
  near(start + 2.5 * hour, false);
  at = start + 3 * hour;
  near(start + 2.5 * hour, false);
  // It is back: who is still there has a new one.
  assert.equal(ends.first(true), undefined);
});

test("a short one is not hidden by a long one that ends in the same minute", async () => {
  let at = start;
  const ends = openLeafEnds(() => new Date(at));
  ends.see(await leaf(start, 4));
  at = start + 3 * hour;
  ends.see(await leaf(start + 3 * hour, 1));
  at = start + 3.2 * hour;
  assert.ok(ends.first(true));
});
