/** What an issuer may rely on, and what happens when it is not there: nothing is promised, and it goes on by itself. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Database } from "../../src/ledger/database.ts";
import type { Intent } from "../../src/ledger/ledger.ts";
import { openPostgres } from "../../src/ledger/postgres.ts";
import type { PostgresConfig } from "../../src/ledger/postgres-pool.ts";
import { draft, sha256 } from "../contract/drafts.ts";
import { assertSound, intendOne } from "../contract/ledger.ts";
import { manual } from "../contract/sequencer.ts";
import { copyPostgres, type Server, startPostgres } from "../support/postgres.ts";
import { startStand } from "../support/postgres-stand.ts";
import { startRelay } from "../support/relay.ts";

const { signer, server } = await startStand();
const unavailable = { code: "unavailable" };

async function open(connection: PostgresConfig, now = () => new Date()): Promise<Database> {
  return await openPostgres({ connection, now, create: true, holder: "test", recordDelayMs: 2, silenceMs: 0 });
}

/** Asks until it is granted, as a client that is told UNAVAILABLE does. Anything else is a failure. */
async function intendAtLast(database: Database, tries = 300): Promise<Intent> {
  for (; ; tries -= 1) {
    try {
      return await intendOne(database);
    } catch (error) {
      assert.ok(error instanceof Error && "code" in error && error.code === "unavailable", String(error));
      if (tries === 0) throw error;
      await delay(200);
    }
  }
}

test("a server that is killed in the middle: UNAVAILABLE, and afterwards every promise is kept", async () => {
  await using database = await open(await server.database());
  const promised: Intent[] = [];
  const stopped = new AbortController();
  let refused = 0;
  const asking = Array.from({ length: 4 }, async () => {
    while (!stopped.signal.aborted) {
      try {
        const intent = await intendOne(database);
        promised.push(intent);
        database.ledger.record(intent, sha256("signature"));
      } catch (error) {
        assert.ok(error instanceof Error && "code" in error && error.code === "unavailable", String(error));
        refused += 1;
        await delay(20);
      }
    }
  });
  for (let round = 0; round < 2; round += 1) {
    await delay(200);
    await server.stop("SIGKILL");
    await delay(100);
    await server.start();
  }
  await intendAtLast(database);
  await delay(100);
  stopped.abort();
  await Promise.all(asking);
  while (database.counts().recordsQueued > 0) await delay(100);
  assert.ok(refused > 0 && promised.length > 10, `${refused} refused, ${promised.length} promised`);
  for (const { serial } of promised) assert.ok((await database.ledger.findSerial(serial))?.signature);
  assert.equal(database.counts().recordsDropped, 0);
  const sequencer = await database.startSequencer(signer, manual);
  await sequencer.sequence();
  await assertSound(database);
});

test("a database that takes no write in time refuses all that waits for it, and works again when it does", async () => {
  const connection = { ...(await server.database()), connectionsMax: 2, statementTimeoutMs: 500 };
  await using database = await open(connection);
  const sql = (text: string) => server.sql(text, connection.database);
  const holding = sql("BEGIN; LOCK TABLE espalier.entries IN EXCLUSIVE MODE; SELECT pg_sleep(60)").catch(
    () => undefined,
  );
  const held =
    "SELECT pid FROM pg_locks WHERE relation = 'espalier.entries'::regclass AND mode = 'ExclusiveLock' AND granted";
  while ((await sql(held)).rows.length === 0) await delay(20);
  const calls = Array.from({ length: 6 }, () => database.ledger.intend(Array.from({ length: 200 }, () => draft())));
  for (const { status } of await Promise.allSettled(calls)) assert.equal(status, "rejected");
  const { rows } = await sql(held);
  assert.equal(rows.length, 1, "it answered before the lock was gone");
  await sql(`SELECT pg_terminate_backend(${rows[0]["pid"]})`);
  await holding;
  await intendAtLast(database);
  await assertSound(database);
});

test("a server that has no connection left refuses, and it goes on by itself once there is one", async () => {
  const connection = await server.database();
  await using database = await open(connection);
  await intendOne(database);
  const limit = async (connections: number): Promise<unknown> =>
    await server.sql(`ALTER DATABASE ${connection.database} CONNECTION LIMIT ${connections}`);
  const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${connection.database}'`;
  await limit(0);
  while ((await server.sql(end)).rows.length > 0) await delay(20);
  await assert.rejects(intendOne(database), unavailable);
  await assert.rejects(open(connection), { code: "unavailable", message: /too many connections/ });
  await limit(-1);
  await intendAtLast(database);
  await assertSound(database);
});

test("what a server says of a full disk refuses, nothing counts as written, and it goes on by itself", async () => {
  const connection = await server.database();
  await using database = await open(connection);
  await intendOne(database);
  // That alone (53100), on any machine: full-disk.test.ts fills a disk.
  await server.sql(
    `CREATE FUNCTION espalier.full_disk() RETURNS trigger LANGUAGE plpgsql AS
       $$BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END$$;
     CREATE TRIGGER full_disk BEFORE INSERT ON espalier.entries EXECUTE FUNCTION espalier.full_disk()`,
    connection.database,
  );
  const refused = draft();
  await assert.rejects(database.ledger.intend([refused]), unavailable);
  assert.equal(await database.ledger.findSerial(refused.serial), undefined);
  await server.sql("DROP TRIGGER full_disk ON espalier.entries", connection.database);
  await intendOne(database);
  await assertSound(database);
});

test("one draft that the database cannot hold is its own call's failure", async () => {
  await using database = await open(await server.database());
  const calls = [draft(), draft({ identity: "a\0b" }), draft()].map((one) => database.ledger.intend([one]));
  const settled = await Promise.allSettled(calls);
  assert.deepEqual(
    settled.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
});

test("who is refused, and where nothing is, is told so", async () => {
  const connection = await server.database();
  const wrong = { ...connection, password: async () => "wrong" };
  await assert.rejects(open(wrong), { code: "config", message: /password authentication failed/ });
  await assert.rejects(open({ ...connection, database: "nowhere" }), { code: "config", message: /does not exist/ });
  await assert.rejects(open({ ...connection, port: 1 }), { code: "unavailable", message: /ECONNREFUSED/ });
  await assert.rejects(open({ ...connection, tls: {} }), { code: "unavailable", message: /does not support SSL/ });
});

test("a server is reached by TLS under its own name, or not at all", async () => {
  await using secret = await startPostgres();
  const certificate = join(secret.directory, "data", "server.crt");
  const subject = ["-subj", "/CN=database", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", join(secret.directory, "data", "server.key"), "-out", certificate];
  const make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync("openssl", [...make, ...subject, ...files], { stdio: "ignore" });
  await secret.stop();
  secret.own();
  await secret.start("ssl=on");
  const ca = readFileSync(certificate, "utf8");
  const connection = await secret.database();
  await using database = await open({ ...connection, tls: { ca } });
  await intendOne(database);
  const { rows } = await secret.sql(
    "SELECT bool_and(s.ssl) AS all FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'espalier'",
  );
  assert.equal(rows[0]["all"], true);
  await assert.rejects(open({ ...connection, tls: {} }), { code: "unavailable", message: /self-signed certificate/ });
  const other = { ...connection, host: "localhost", tls: { ca } };
  await assert.rejects(open(other), { code: "unavailable", message: /does not match certificate's altnames/ });
});

test("a clock that is off by more than half a minute counts as an outage", async () => {
  let offMs = 0;
  const now = () => new Date(Date.now() + offMs);
  const connection = { ...(await server.database()), clockToleranceMs: 30_000 };
  await using database = await open(connection, now);
  await intendOne(database);
  offMs = -40_000;
  // What the answer takes to come counts for one or the other.
  const about = (which: string): RegExp => new RegExp(`clock is (3[5-9]|4[0-5]) s ${which} the database's`);
  await assert.rejects(intendOne(database), { code: "unavailable", message: about("behind") });
  offMs = 40_000;
  await assert.rejects(intendOne(database), { code: "unavailable", message: about("ahead of") });
  await assert.rejects(open(connection, now), { code: "unavailable", message: about("ahead of") });
  offMs = 0;
  await intendOne(database);
});

test("a server whose commits can be lost is not used", async () => {
  for (const [setting, rule] of [
    ["fsync=off", /fsync is off/],
    ["full_page_writes=off", /full_page_writes is off/],
  ] as const) {
    await using loose = await startPostgres([setting]);
    await assert.rejects(open(await loose.database()), { code: "unavailable", message: rule });
  }
  // Its own default does not matter: ours is said for every connection.
  await server.sql("ALTER ROLE espalier SET synchronous_commit = off");
  const connection = await server.database();
  await using database = await open(connection);
  await intendOne(database);
  await server.sql("ALTER ROLE espalier RESET synchronous_commit");
  const strict = { ...connection, synchronousStandby: true };
  await assert.rejects(open(strict), { code: "unavailable", message: /wait for no standby/ });
});

test("while the standby is away nothing is promised, not even when the server is told to wait no longer", async () => {
  await using lonely = await startPostgres();
  const connection = { ...(await lonely.database()), synchronousStandby: true, statementTimeoutMs: 3000 };
  await (await open({ ...connection, synchronousStandby: false }))[Symbol.asyncDispose]();
  await setStandby(lonely, "nobody");
  // The migrations are applied: opening only reads, but for its own transaction's commit, which has nothing to wait for.
  await using database = await open(connection);
  await assert.rejects(intendOne(database), unavailable);
  await using patient = await open({ ...connection, statementTimeoutMs: 60_000 });
  const told = performance.now();
  const answered = assert.rejects(intendOne(patient), unavailable).then(() => true);
  // All of them, and again: what was given up before may be waiting there still.
  const cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
  while (!(await Promise.race([answered, delay(50, false)]))) await lonely.sql(cancel);
  assert.ok(performance.now() - told < 60_000, "it was the cancellation, and not the deadline");
  await setStandby(lonely, "");
  await assert.rejects(intendOne(database), { code: "unavailable", message: /wait for no standby/ });
});

/** Returns when those who come have it; whoever is there has been told. */
async function setStandby({ sql }: Server, name: string): Promise<void> {
  await sql(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
  await sql("SELECT pg_reload_conf()");
  const setting = "SELECT current_setting('synchronous_standby_names') AS name";
  while ((await sql(setting)).rows[0]["name"] !== name) await delay(20);
  await delay(300);
}

test("a failover to the synchronous standby keeps every promise; one to an older copy is noticed", async () => {
  await using primary = await startPostgres(["synchronous_standby_names=standby"]);
  await primary.stop();
  const stale = await copyPostgres(primary, [], false);
  await stale.stop();
  const follow = `primary_conninfo=host=127.0.0.1 port=${primary.port} user=postgres application_name=standby`;
  await using standby = await copyPostgres(primary, [follow], true);
  await primary.start();
  await using relay = await startRelay(primary.port);
  const connection = { ...(await primary.database()), port: relay.port, synchronousStandby: true };
  await using database = await open(connection);
  await assert.rejects(open({ ...connection, port: standby.port }), { code: "unavailable", message: /is a standby/ });
  const promised = await Promise.all(Array.from({ length: 50 }, () => intendOne(database)));
  await primary.stop("SIGKILL");
  await assert.rejects(intendOne(database), unavailable);
  await standby.sql("SELECT pg_promote()");
  // What was promised is there; but nothing more is promised until its commits wait for a standby again.
  relay.to(standby.port);
  await assert.rejects(intendOne(database), { code: "unavailable" });
  await standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''");
  await using lax = await open({ ...connection, synchronousStandby: false });
  for (const { serial } of promised) assert.ok(await lax.ledger.findSerial(serial));
  await assertSound(lax);
  const sequencer = await lax.startSequencer(signer, manual);
  await intendOne(lax);
  await sequencer.sequence();
  await assertSound(lax);

  // An older copy in its place: it has not what this replica was told is there.
  await stale.start();
  await using _ = stale;
  await stale.sql(`CREATE DATABASE ${connection.database} OWNER espalier`);
  const empty = await open({ ...connection, port: stale.port, synchronousStandby: false });
  await empty[Symbol.asyncDispose]();
  relay.to(stale.port);
  await assert.rejects(
    async () => {
      for (let tries = 0; tries < 50; tries += 1) {
        await intendOne(lax).catch((error: unknown) => {
          if (String(error).includes("lost entry")) throw error;
        });
        await delay(100);
      }
    },
    { code: "unavailable", message: /has lost entry \d+, which was promised/ },
  );
});
