/** From SQLite to PostgreSQL. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type DatabaseConfig, openDatabase } from "../../src/issuer/database.ts";
import { type MoveStep, moveDatabase, readDatabaseStatus } from "../../src/issuer/database-verbs.ts";
import type { Database } from "../../src/ledger/database.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { issuerSchema } from "../../src/ops/config.ts";
import { act, draft, sha256 } from "../contract/drafts.ts";
import { assertSound, intendOne, plain, verifyAll } from "../contract/ledger.ts";
import { manual } from "../contract/sequencer.ts";
import { password } from "../support/postgres.ts";
import { startStand } from "../support/postgres-stand.ts";

const { path: base, signer, server } = await startStand();
const now = () => new Date();
const passwordFile = join(base, "password");
writeFileSync(passwordFile, `${password}\n`);
let made = 0;

async function newServerDatabase(): Promise<DatabaseConfig & { readonly name: string }> {
  const { database: name, port } = await server.database();
  const database = `postgres://espalier@127.0.0.1:${port}/${name}`;
  const postgres = { passwordFile, tls: false, synchronousStandby: false };
  return { ...issuerSchema.parse({ hub: "hub.example", database, postgres }), name };
}

/** A ledger with everything in it: placed and not, recorded and not, acts and made state. */
async function makeFile(entries = 1200): Promise<string> {
  const path = join(base, `ledger-${(made += 1)}.db`);
  await using database = await openSqlite({ path, now, create: true, recordDelayMs: 1 });
  await addHub(database);
  const sequencer = await database.startSequencer(signer, manual);
  for (let count = 0; count < entries; count += 200) {
    const drafts = Array.from({ length: 200 }, (_, index) => draft({ log: index % 3 === 0 ? "bank" : "shop" }));
    for (const answer of await database.ledger.intend(drafts)) {
      if (answer.kind === "intent" && answer.intent.id % 5 !== 0) database.ledger.record(answer.intent, sha256("s"));
    }
    await sequencer.sequence();
  }
  await database.state.setSuspended({ kind: "tenant", name: "bank" }, true, act());
  await database.state.acknowledge({ cluster: "east", agent: "a", version: "b1", inForceSince: now(), bundles: ["b"] });
  const thumb = {
    tokenSha256: sha256("t"),
    cluster: "east",
    keyThumbprint: "thumb",
    expiresAt: new Date("2100-01-01"),
  };
  await database.state.addJoinToken(thumb, act());
  await database.state.useJoinToken(sha256("t"), { cluster: "east", keyThumbprint: "thumb", jwk: "{}" }, now(), act());
  const keys = [{ cluster: "west", keyThumbprint: "other", jwk: "{}" }];
  await database.state.proposeKeys({ cluster: "west", state: "pending", keys, proposedAt: now() }, act());
  await database.state.addSealedKey({ name: "k", spki: sha256("k"), sealedBy: "s", sealed: sha256("sealed") });
  return path;
}

async function addHub(database: Database): Promise<void> {
  const times = { notBefore: now(), notAfter: new Date("2100-01-01") };
  const names = { id: "hub-1", owner: "hub.example", keyName: "hub-1", certificate: sha256(String(made)) };
  await database.state.addAuthority({ ...names, ...times, kind: "hub", state: "active", algorithm: "P-256" }, act());
}

async function move(from: string, config: DatabaseConfig, dryRun = false): Promise<readonly MoveStep[]> {
  const steps: MoveStep[] = [];
  for await (const step of moveDatabase(from, config, now, dryRun)) steps.push(step);
  return steps;
}

/** All of what a database says, in words that can be compared. */
async function contents(database: Database): Promise<unknown> {
  const { state } = database;
  const reports = [...(await verifyAll(database)).values()];
  return plain([
    reports.map(({ log, entries, unrecorded, rootHash, faults }) => ({ log, entries, unrecorded, rootHash, faults })),
    await state.authorities(),
    await state.suspensions(),
    await state.lastRevocations(10),
    await state.crls(),
    await state.acknowledgements(),
    await state.registeredKeys(),
    await state.keyProposals(),
    await state.joinToken(sha256("t")),
    await state.sealedKeys(),
  ]);
}

test("a ledger that is moved is the same in everything, goes on, and its file is put aside", async () => {
  const [from, config] = [await makeFile(), await newServerDatabase()];
  const before = await openSqlite({ path: from, now, create: false });
  const expected = await contents(before);
  await before[Symbol.asyncDispose]();
  const status = await readDatabaseStatus({ ...config, database: from }, now);

  const dry = await move(from, config, true);
  assert.ok(
    dry.some((step) => step.kind === "would copy" && step.progress.table === "entries" && step.progress.rows > 1200),
  );
  await assert.rejects(openDatabase(config, { now, create: false }), { code: "config" });

  const steps = await move(from, config);
  assert.deepEqual(steps.at(-1), { kind: "renamed", path: `${from}.moved` });
  assert.deepEqual([existsSync(from), existsSync(`${from}.moved`), existsSync(`${from}-wal`)], [false, true, false]);
  await using database = await openDatabase(config, { now, create: false });
  assert.deepEqual(await contents(database), expected);
  const { kind, leader, standbys, ...moved } = {
    leader: "",
    standbys: "",
    ...(await readDatabaseStatus(config, now)),
  };
  assert.match(kind, /^PostgreSQL \d+/);
  assert.deepEqual([leader, standbys], ["", ""]);
  assert.deepEqual({ kind: "SQLite", ...moved }, status);

  const { id } = await intendOne(database);
  assert.equal(id, status.entries + 1);
  const sequencer = await database.startSequencer(signer, manual);
  assert.equal(sequencer.epoch, status.epoch + 1);
  await sequencer.sequence();
  assert.equal((await readDatabaseStatus(config, now)).unplaced, 0);
  await assertSound(database);
});

test("a move that was broken off goes on, and no issuer starts on half of it", async () => {
  const [from, config] = [await makeFile(), await newServerDatabase()];
  for await (const step of moveDatabase(from, config, now, false)) {
    if (step.kind === "copied" && step.progress.table === "entries") break;
  }
  const { rows } = await server.sql("SELECT count(*)::int AS n FROM espalier.entries", config.name);
  assert.equal(rows[0]["n"], 500);
  await assert.rejects(openDatabase(config, { now, create: false }), { code: "config", message: /not finished/ });
  const other = await makeFile(200);
  await assert.rejects(move(other, config), { code: "config", message: /another ledger/ });
  await move(from, config);
  await using database = await openDatabase(config, { now, create: false });
  await assertSound(database);
});

test("a file that an issuer has open is not moved", async () => {
  const [from, config] = [await makeFile(200), await newServerDatabase()];
  await using living = await openSqlite({ path: from, now, create: false });
  await intendOne(living);
  await assert.rejects(move(from, config), { code: "unavailable", message: /stop its issuer first/ });
});

test("what was moved is not moved again, and what is another ledger's is left alone", async () => {
  const [from, config] = [await makeFile(200), await newServerDatabase()];
  const kept = readFileSync(from);
  await move(from, config);
  writeFileSync(from, kept);
  assert.equal((await move(from, config))[0]?.kind, "was there already");
  const other = await makeFile(200);
  await assert.rejects(move(other, config), { code: "config", message: /another ledger/ });
  assert.ok(existsSync(other));
  await assert.rejects(move(other, { ...config, database: other }), { code: "config", message: /is a file/ });
});
