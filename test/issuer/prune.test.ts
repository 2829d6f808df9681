import assert from "node:assert/strict";
import { test } from "node:test";
import { startPruning } from "../../src/issuer/prune.ts";
import { openKeptLog } from "../support/kept-log.ts";
import { eventually } from "../support/patience.ts";

const now = (): Date => new Date("2026-11-21T11:00:00Z");

interface Asked {
  readonly before: string;
  readonly going: boolean;
}

/** What the ledger is asked to let go. */
function openAsked(answer: () => Promise<number> = async () => 0) {
  const asked: Asked[] = [];
  const prune = async (before: Date, going: () => boolean): Promise<number> => {
    asked.push({ before: before.toISOString(), going: going() });
    return await answer();
  };
  return { asked, state: { prune } };
}

test("what expired longer ago than is kept may go, where this issuer leads", async () => {
  for (const leads of [true, false]) {
    const { asked, state } = openAsked();
    await using _ = startPruning({ keepDays: 400 }, { state, leads: () => leads, now, log: openKeptLog() }, 5);
    await eventually(() => assert.ok(asked.length > 1));
    assert.deepEqual(asked[0], { before: "2025-10-17T11:00:00.000Z", going: leads });
  }
});

test("an issuer that keeps all lets nothing go", async () => {
  const { asked, state } = openAsked();
  const pruning = startPruning({ keepDays: "forever" }, { state, leads: () => true, now, log: openKeptLog() }, 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await pruning[Symbol.asyncDispose]();
  assert.deepEqual(asked, []);
});

test("a failure is told, and tried again; what went is told once", async () => {
  const log = openKeptLog();
  let tries = 0;
  const { state } = openAsked(async () => {
    tries += 1;
    if (tries === 1) throw new Error("the database is away");
    return tries === 2 ? 300 : 0;
  });
  await using _ = startPruning({ keepDays: 400 }, { state, leads: () => true, now, log }, 5);
  await eventually(() => assert.ok(tries > 3));
  assert.equal(log.of("bodies not pruned").length, 1);
  assert.deepEqual(
    log.of("bodies pruned").map(({ fields }) => fields["entries"]),
    [300],
  );
});
