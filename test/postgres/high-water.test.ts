/** A server that was given an older copy of its database, and an issuer that remembers more. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { checkHighWater, readLost, startHighWater } from "../../src/issuer/high-water.ts";
import { openPostgres } from "../../src/ledger/postgres.ts";
import { silentLog } from "../../src/ops/log.ts";
import { act } from "../contract/drafts.ts";
import { assertSound } from "../contract/ledger.ts";
import { manual } from "../contract/sequencer.ts";
import { toConfig } from "../support/postgres.ts";
import { startStand } from "../support/postgres-stand.ts";

const { path, signer, server } = await startStand();
const now = (): Date => new Date();

test("an older copy of the database is refused until what it lacks is given up", async () => {
  const file = join(path, "newest");
  const connection = await server.database();
  {
    await using first = await openPostgres({ connection, now, create: true, holder: "test" });
    await first.state.act(act());
    await (await first.startSequencer(signer, manual)).sequence();
  }
  await server.sql(`CREATE DATABASE older TEMPLATE ${connection.database} OWNER espalier`);
  {
    await using database = await openPostgres({ connection, now, create: false, holder: "test" });
    await database.state.act(act());
    {
      await using _ = startHighWater(file, { marks: database.marks, now, log: silentLog }, 1e6);
    }
    await checkHighWater(file, database.marks);
  }
  await using older = await openPostgres({
    connection: toConfig(server.port, "older"),
    now,
    create: false,
    holder: "test",
  });
  await assert.rejects(checkHighWater(file, older.marks), { code: "config", message: /lacks entry 2/ });
  // The copy goes on under the numbers of the lost one.
  for (let i = 0; i < 5; i += 1) await older.state.act(act({ verb: "another" }));
  await assert.rejects(checkHighWater(file, older.marks), { code: "config", message: /lacks entry 2/ });

  const lost = await readLost(file, older.marks);
  await older.state.adopt(now(), (lost?.epoch ?? 0) + 7, act({ verb: "adopt-database" }));
  await checkHighWater(file, older.marks);
  const sequencer = await older.startSequencer(signer, manual);
  assert.ok(sequencer.epoch > (lost?.epoch ?? 0) + 7);
  await sequencer.sequence();
  await assertSound(older);
});
