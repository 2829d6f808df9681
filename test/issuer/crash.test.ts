import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { WriteName } from "../../src/ledger/connection.ts";
import { migrations } from "../../src/ledger/schema.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { certificateLabel, readPem } from "../../src/pki/pem.ts";
import { call, openAdmin } from "../../src/rpc/client.ts";
import { countMigrations, makeOlder } from "../support/older.ts";
import { callMs, eventually } from "../support/patience.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type Child, type Moment, moments, spawnIssuer } from "../support/spawn-issuer.ts";
import { startAgentOf, startIssuerOn, startStack } from "../support/stack.ts";
import { assertIssued, csrFor, newKey, openWorkload, tlsOf, type WorkloadClient } from "../support/workload.ts";

/** Every certificate that a client holds is what the ledger has, byte for byte. */
async function assertInLedger(site: Site, leaves: readonly Uint8Array[]): Promise<void> {
  await using database = await openSqlite({ path: site.databasePath, now: () => new Date(), create: false });
  for (const leaf of leaves) {
    const { serial, tbs } = readCertificate(leaf);
    const found = await database.ledger.findSerial(serial);
    assert.ok(found, "a certificate without an intent");
    assert.deepEqual(Buffer.from(found.intent.tbs), Buffer.from(tbs));
  }
}

/** Asks without a pause until it is told to stop, and keeps what it gets. */
function startLoad(workload: WorkloadClient, leaves: Uint8Array[]): { stop(): Promise<void> } {
  const stop = new AbortController();
  const key = newKey();
  const ask = async (): Promise<void> => {
    for (let n = 0; !stop.signal.aborted && n < 2_000; n++) {
      const answered = await workload.ask({ csr: csrFor(undefined, key) });
      if ("chain" in answered) leaves.push(readPem(answered.chain[0] ?? "", [certificateLabel]));
      else assert.equal(answered.status, "UNAVAILABLE", answered.message);
    }
  };
  const asking = Promise.all([ask(), ask(), ask()]);
  return {
    stop: async () => {
      stop.abort();
      await asking;
    },
  };
}

test("an issuer killed around any durable write leaves no certificate without its intent, and goes on", {
  concurrency: 2,
}, async (t) => {
  // Each with a hub of its own, side by side: most of it is waiting for processes.
  await Promise.all(moments.map(async (moment) => await t.test(moment, async (t) => await killAround(moment, t))));
});

async function killAround(moment: Moment, t: TestContext): Promise<void> {
  using site = await makeSite();
  await using stack = new AsyncDisposableStack();
  const first = await startIssuerOn(site);
  const listen = first.address;
  const config = { deadlineMs: 500 };
  const agent = stack.use(await startAgentOf(site, "east", { issuers: [listen], config }));
  const workload = stack.use(openWorkload(await agent.address(), tlsOf(site, "east"), "east"));
  const leaves: Uint8Array[] = [];
  await eventually(async () => assertIssued(await workload.ask()));
  await first[Symbol.asyncDispose]();
  const spawned = async (name: WriteName | "none"): Promise<Child> => {
    const child = await spawnIssuer(site, listen, name, moment);
    stack.defer(() => void child.process.kill("SIGKILL"));
    return child;
  };

  for (const name of ["intend", "record", "place", "head"] as const) {
    await t.test(`"${name}"`, async () => {
      const child = await spawned(name);
      assert.notEqual(child.port, "");
      const held = leaves.length;
      {
        // One that begins now: the one above waits longer and longer for an issuer that dies again and again.
        await using fresh = await startAgentOf(site, "east", { issuers: [listen], config });
        using asking = openWorkload(await fresh.address(), tlsOf(site, "east"), "east");
        const load = startLoad(asking, leaves);
        await eventually(() => assert.ok(leaves.length > held));
        await child.arm();
        await child.dead;
        assert.equal(child.process.signalCode, "SIGKILL");
        await load.stop();
      }
      await site.verify();
      await assertInLedger(site, leaves.slice(held));
    });
  }
  await t.test('"epoch", while it starts', async () => {
    const child = await spawned("epoch");
    assert.equal(child.port, "");
    await site.verify();
  });
  await t.test('"state", as an operator suspends a tenant', async () => {
    const child = await spawned("state");
    const admin = openAdmin(site.config.adminSocket);
    const request = { act: { operator: "test", reason: "" }, kind: "tenant", name: "media", suspended: true };
    await child.arm();
    await assert.rejects(call<object, unknown>(admin.setSuspended.bind(admin), request, callMs), {
      code: "unavailable",
    });
    admin.close();
    await child.dead;
    await site.verify();
    await using database = await openSqlite({ path: site.databasePath, now: () => new Date(), create: false });
    const suspended = await database.state.suspensions();
    assert.deepEqual(suspended, moment === "before" ? [] : [{ kind: "tenant", name: "media", source: "operator" }]);
  });
  await t.test('"migrate", while it starts on the database of one before it', async () => {
    const [older, entries] = [makeOlder(site.databasePath), site.entries()];
    assert.ok(older < migrations.length);
    const child = await spawned("migrate");
    assert.equal(child.port, "");
    await child.dead;
    assert.equal(child.process.signalCode, "SIGKILL");
    assert.equal(countMigrations(site.databasePath), moment === "before" ? older : migrations.length);
    assert.equal(site.entries(), entries);
  });
  await t.test("and the next request succeeds", async () => {
    await spawned("none");
    await eventually(async () => assertIssued(await workload.ask()));
    assert.equal(countMigrations(site.databasePath), migrations.length);
    assert.ok(leaves.length >= 4);
    await assertInLedger(site, leaves);
    await site.verify();
  });
}

test("with a full disk nothing is signed, clients hear UNAVAILABLE, and it recovers by itself", async (t) => {
  let full: "no" | "lost" | "kept" = "no";
  await using stack = await startStack({
    write: (_, commit) => {
      if (full !== "lost") commit();
      if (full !== "no") throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
    },
  });
  const workload = await stack.workload("east");
  assertIssued(await workload.ask());
  for (const how of ["lost", "kept"] as const) {
    await t.test(`when the write is ${how}`, async () => {
      await eventually(() => assert.equal(stack.site.unrecorded(), 0));
      const [intents, signed] = [stack.site.intents(), stack.issuer.log.of("issued").length];
      full = how;
      const answers = await Promise.all(Array.from({ length: 20 }, async () => await workload.ask()));
      for (const answered of answers) {
        assert.ok("code" in answered, "it was signed");
        assert.deepEqual([answered.status, answered.code], ["UNAVAILABLE", "unavailable"], answered.message);
      }
      assert.equal(stack.issuer.log.of("issued").length, signed);
      assert.equal(stack.site.intents(), how === "lost" ? intents : intents + 20);
      full = "no";
      assertIssued(await workload.ask());
      await eventually(() => assert.equal(stack.site.unrecorded(), how === "lost" ? 0 : 20));
      await stack.site.verify();
    });
  }
});

test("a second issuer on a living one's files does not start", async () => {
  using site = await makeSite();
  await using living = await startIssuerOn(site);
  await assert.rejects(startIssuerOn(site), { code: "config" });
  assert.ok(living.running.port > 0);
});
