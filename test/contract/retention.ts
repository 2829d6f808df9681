/** What any database lets go, and what it never does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Signer } from "../../src/custody/signer.ts";
import type { Database } from "../../src/ledger/database.ts";
import type { Draft } from "../../src/ledger/ledger.ts";
import { leafHash } from "../../src/ledger/merkle.ts";
import { act, draft, sha256 } from "./drafts.ts";
import { intendOne, type OpenDatabase, plain, verbsOf, verifyAll } from "./ledger.ts";
import { manual } from "./sequencer.ts";

const expiredBefore = new Date("2026-11-21T11:00:00Z");
const idempotency = { key: "east/istio/old", digest: sha256("digest") };
const always = (): boolean => true;

function expired(overrides: Partial<Draft> = {}): Draft {
  return draft({
    notBefore: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2026-01-02T00:00:00Z"),
    ...overrides,
  });
}

async function faultsOf(database: Database): Promise<readonly string[]> {
  return [...(await verifyAll(database)).values()].flatMap(({ faults }) => faults);
}

async function prunedOf(database: Database): Promise<number> {
  return [...(await verifyAll(database)).values()].reduce((sum, { pruned }) => sum + pruned, 0);
}

async function acts(database: Database, verb: string): Promise<number> {
  return (await verbsOf(database)).filter((one) => one === verb).length;
}

export function retentionContract(kind: string, open: OpenDatabase, signer: Signer): void {
  test(`${kind}: bodies go in order up to the first that has to stay; hashes, trees, heads and acts stay`, async () => {
    await using database = await open();
    const { ledger, state } = database;
    const sequencer = await database.startSequencer(signer, manual);
    const old = await intendOne(database, expired({ idempotency }));
    ledger.record(old, sha256("signature"));
    await state.act(act());
    const other = await intendOne(database, expired({ log: "bank" }));
    const live = await intendOne(database);
    const behind = await intendOne(database, expired());
    await sequencer.sequence();
    const before = await verifyAll(database);

    assert.equal(await state.prune(expiredBefore, always), 3);
    assert.equal(await prunedOf(database), 2);
    await sequencer.sequence();
    assert.deepEqual(await faultsOf(database), []);
    for (const log of ["shop", "bank"]) {
      assert.deepEqual(plain((await verifyAll(database)).get(log)?.rootHash), plain(before.get(log)?.rootHash), log);
    }
    const gone = await ledger.entry("shop/0");
    assert.deepEqual([gone?.body.length, gone?.tbs, plain(gone?.serial)], [0, undefined, plain(old.serial)]);
    assert.equal(await ledger.findSerial(other.serial), undefined);
    for (const { serial } of [live, behind]) assert.ok(await ledger.findSerial(serial));
    for await (const { kind: what, body, leafHash: hash } of ledger.entries({ log: "@hub", limit: 10 })) {
      assert.equal(what, "act");
      assert.deepEqual(plain(leafHash(body)), plain(hash));
    }
  });

  test(`${kind}: what has no body is neither replayed nor given again`, async () => {
    await using database = await open();
    const sequencer = await database.startSequencer(signer, manual);
    const old = await intendOne(database, expired({ idempotency }));
    await sequencer.sequence();
    await database.state.prune(expiredBefore, always);
    const [replayed] = await database.ledger.intend([draft({ idempotency })]);
    assert.deepEqual(replayed, { kind: "replay-pruned" });
    await assert.rejects(database.ledger.intend([draft({ serial: old.serial })]), /a serial was drawn twice/);
    assert.ok(await intendOne(database));
  });

  test(`${kind}: nothing goes that has no position, and nothing for nobody; going on does no more than is left`, async () => {
    await using database = await open();
    const sequencer = await database.startSequencer(signer, manual);
    await intendOne(database, expired());
    assert.equal(await database.state.prune(expiredBefore, always), 0);
    assert.equal(await acts(database, "prune-bodies"), 0);
    for (let batch = 0; batch < 3; batch += 1)
      await database.ledger.intend(Array.from({ length: 200 }, () => expired()));
    await sequencer.sequence();
    assert.equal(await database.state.prune(expiredBefore, () => false), 0);

    // Stopped after the first of several writes: the act has been written, and the next pass goes on without another.
    let writes = 0;
    const some = await database.state.prune(expiredBefore, () => writes++ < 1);
    assert.ok(some > 0 && some < 601, String(some));
    assert.equal(await prunedOf(database), some);
    assert.deepEqual(await faultsOf(database), []);
    assert.equal(await database.state.prune(expiredBefore, always), 601 - some);
    assert.equal(await acts(database, "prune-bodies"), 1);
    await sequencer.sequence();
    assert.equal(await database.state.prune(expiredBefore, always), 0);
    assert.equal(await acts(database, "prune-bodies"), 1);
    assert.equal(await prunedOf(database), 601);
    assert.deepEqual(await faultsOf(database), []);
  });
}
