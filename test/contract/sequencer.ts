/** What any database's sequencer promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Signer } from "../../src/custody/signer.ts";
import { emptyTree, grow, leafHash, rootOf } from "../../src/ledger/merkle.ts";
import { draft } from "./drafts.ts";
import { assertSound, intendOne, type OpenDatabase, plain, verifyAll } from "./ledger.ts";

/** Nothing happens but by hand. */
export const manual = { intervalMs: 1e6 };

export function sequencerContract(kind: string, open: OpenDatabase, signer: Signer, other: Signer): void {
  test(`${kind}: entries get positions of their own log, in the order they were written`, async () => {
    await using database = await open();
    const sequencer = await database.startSequencer(signer, manual);
    const logs = ["shop", "bank", "shop", "shop", "bank"];
    const serials: Uint8Array[] = [];
    for (const log of logs) serials.push((await intendOne(database, draft({ log }))).serial);
    await sequencer.sequence();
    const positions = await Promise.all(
      serials.map(async (serial) => (await database.ledger.entry(Buffer.from(serial).toString("hex")))?.position),
    );
    assert.deepEqual(positions, [0, 0, 1, 2, 1]);
    const entry = await database.ledger.entry("shop/2");
    assert.ok(Buffer.from(entry?.body ?? []).includes(Buffer.from(serials[3] ?? []).toString("hex")));
    await assertSound(database);
  });

  test(`${kind}: a log's root is the RFC 6962 tree hash over its bodies alone`, async () => {
    await using database = await open();
    const sequencer = await database.startSequencer(signer, manual);
    await database.ledger.intend(Array.from({ length: 100 }, (_, i) => draft({ log: i % 3 === 0 ? "bank" : "shop" })));
    await sequencer.sequence();
    let tree = emptyTree;
    for (let position = 0; ; position += 1) {
      const entry = await database.ledger.entry(`bank/${position}`);
      if (entry === undefined) break;
      tree = grow(tree, leafHash(entry.body));
    }
    const report = (await verifyAll(database, "bank")).get("bank");
    assert.deepEqual(plain(report?.rootHash), plain(rootOf(tree)));
    assert.deepEqual([report?.entries, tree.size], [34, 34]);
  });

  test(`${kind}: more than one write's worth is placed, and a head is signed only for what is new`, async () => {
    await using database = await open();
    const sequencer = await database.startSequencer(signer, manual);
    await sequencer.sequence();
    for (let batch = 0; batch < 5; batch += 1) {
      await database.ledger.intend(Array.from({ length: 200 }, () => draft()));
    }
    await sequencer.sequence();
    await sequencer.sequence();
    const reports = await verifyAll(database);
    assert.deepEqual([reports.get("@ledger")?.entries, reports.get("shop")?.entries], [1, 1000]);
    await assertSound(database);
  });

  test(`${kind}: a signer that fails leaves the trees without a newer head, and the next pass signs one`, async () => {
    await using database = await open();
    let broken = true;
    const sequencer = await database.startSequencer(
      { ...signer, sign: async (bytes) => (broken ? new Uint8Array(70) : signer.sign(bytes)) },
      manual,
    );
    await intendOne(database);
    await assert.rejects(sequencer.sequence(), /does not verify/);
    await assertSound(database);
    broken = false;
    await sequencer.sequence();
    assert.equal((await verifyAll(database)).get("@ledger")?.entries, 1);
  });

  test(`${kind}: another key than the ledger's own is refused, and fences nobody`, async () => {
    await using database = await open();
    const sequencer = await database.startSequencer(signer, manual);
    await assert.rejects(database.startSequencer(other), { code: "config" });
    await intendOne(database);
    await sequencer.sequence();
  });
}
