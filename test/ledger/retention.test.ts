import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { openFileCustody } from "../../src/custody/file.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { draft } from "../contract/drafts.ts";
import { intendOne, verifyAll } from "../contract/ledger.ts";
import { retentionContract } from "../contract/retention.ts";
import { manual } from "../contract/sequencer.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
let made = 0;
const now = () => new Date("2026-11-21T11:00:00Z");
const freshPath = () => join(base.path, `ledger-${made++}.db`);
const custody = await openFileCustody({ directory: join(base.path, "keys") });
const signer = await custody.createKey("ledger", "P-256");

retentionContract("sqlite", () => openSqlite({ path: freshPath(), now, create: true }), signer);

test("whoever takes a body away that retention has not let go is named, also where they say that it has", async () => {
  const original = freshPath();
  {
    await using database = await openSqlite({ path: freshPath(), now, create: true });
    const sequencer = await database.startSequencer(signer, manual);
    for (let i = 0; i < 3; i += 1) await intendOne(database, draft({ notAfter: new Date("2026-01-02T00:00:00Z") }));
    await intendOne(database);
    await sequencer.sequence();
    await database.state.prune(now(), () => true);
    await sequencer.sequence();
    new DatabaseSync(join(base.path, `ledger-${made - 1}.db`)).exec(`VACUUM INTO '${original}'`);
  }
  const cases: Readonly<Record<string, RegExp | undefined>> = {
    "SELECT 1": undefined,
    "UPDATE entries SET body = x'' WHERE id = 4": /entry 4: its body does not have its leaf hash/,
    "UPDATE entries SET body = x'' WHERE id = 5": /entry 5: its body does not have its leaf hash/,
    "UPDATE entries SET body = x'' WHERE id = 4; UPDATE retention SET due_to = 4":
      /retention: bodies up to entry 4 may go, and no act/,
    "UPDATE entries SET body = x'' WHERE id = 5; UPDATE retention SET due_to = 5": /entry 5: its body does not have/,
    "UPDATE entries SET leaf_hash = CAST(substr(leaf_hash, 2) || x'00' AS BLOB) WHERE id = 2":
      /a signed head has another root/,
    "UPDATE entries SET body = x'7b7d' WHERE id = 2": /entry 2: its body does not have its leaf hash/,
  };
  for (const [sql, fault] of Object.entries(cases)) {
    const path = freshPath();
    copyFileSync(original, path);
    new DatabaseSync(path).exec(sql);
    await using database = await openSqlite({ path, now, create: false });
    const faults = [...(await verifyAll(database)).values()].flatMap((report) => report.faults);
    if (fault === undefined) assert.deepEqual(faults, []);
    else assert.match(faults.join("\n"), fault, sql);
  }
});

for (const how of ["lost", "kept"] as const) {
  test(`a write of retention that is ${how} and reported lost leaves a ledger that holds, and the next pass goes on`, async () => {
    for (let failing = 1; failing <= 4; failing += 1) {
      const path = freshPath();
      let writes = 0;
      {
        await using database = await openSqlite({
          path,
          now,
          create: true,
          write: (name, commit) => {
            const fails = name === "state" && ++writes === failing;
            if (!fails || how === "kept") commit();
            if (fails) throw new Error("disk I/O error");
          },
        });
        const sequencer = await database.startSequencer(signer, manual);
        for (let batch = 0; batch < 3; batch += 1) {
          const notAfter = new Date("2026-01-02T00:00:00Z");
          await database.ledger.intend(Array.from({ length: 200 }, () => draft({ notAfter })));
        }
        await sequencer.sequence();
        await assert.rejects(
          database.state.prune(now(), () => true),
          String(failing),
        );
      }
      await using again = await openSqlite({ path, now, create: false });
      const faults = async (): Promise<readonly string[]> =>
        [...(await verifyAll(again)).values()].flatMap((report) => report.faults);
      assert.deepEqual(await faults(), [], `write ${failing}`);
      await again.state.prune(now(), () => true);
      assert.equal((await verifyAll(again)).get("shop")?.pruned, 600);
      assert.deepEqual(await faults(), []);
    }
  });
}
