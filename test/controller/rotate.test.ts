import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { addRoot } from "../../src/controller/root.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import { openRotations } from "../../src/issuer/rotations.ts";
import type { Write } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { AuthorityRecord } from "../../src/ledger/state.ts";
import { silentLog } from "../../src/ops/log.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { draft } from "../contract/drafts.ts";
import { cluster, join as documents, read, root, tenant } from "../resources/build.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
const custody = await openFileCustody({ directory: join(base.path, "keys") });
const random = (n: number): Uint8Array => randomBytes(n);
const start = Date.parse("2026-01-01T00:00:00Z");
const hour = 3_600_000;
const by = { operator: "unix:test", reason: "test" };
const order = { kind: "root", owner: "main", algorithm: "P-256", validityDays: 3650 } as const;
const declared = read(documents(root("main"), cluster("east"), tenant("shop")));
const next = { material: { kind: "made" }, state: "prepared" } as const;

interface Stand {
  readonly database: Database;
  readonly now: () => Date;
}

function partsOf({ database: { state }, now }: Stand) {
  return { state, custody, now, random };
}

/** What the issuer that leads does once a minute. */
async function pass(stand: Stand, documents: Declared = declared): Promise<void> {
  const { database, now } = stand;
  const parts = { state: database.state, declared: () => documents, settleSeconds: 3600, now, log: silentLog };
  await makeAuthorities(documents, partsOf(stand));
  if (await openRotations(parts).advance()) await makeAuthorities(documents, partsOf(stand));
}

/** Of roots and of the tenant's authorities, oldest first. */
async function states({ state }: Database): Promise<string> {
  const records = await state.authorities();
  const of = (kind: string): string =>
    records
      .filter((r) => r.kind === kind)
      .map((r) => r.state)
      .join(" ");
  return `${of("root")}; ${of("tenant")}`;
}

/** A cluster's agent has everything that can be had now. */
async function acknowledge({ database, now }: Stand, cluster = "east"): Promise<void> {
  const records = await database.state.authorities();
  const last = records.filter(({ kind }) => kind === "root").at(-1);
  const bundles = await database.state.bundlesWith(last?.id ?? "");
  const [version = ""] = bundles;
  await database.state.acknowledge({ cluster, agent: "a", version, bundles, inForceSince: now() });
}

/** A first root that signs, and the next one, which the cluster's agent has. */
async function begin(stand: Stand): Promise<AuthorityRecord> {
  await addRoot(order, by, partsOf(stand));
  await pass(stand);
  const coming = await addRoot(order, by, partsOf(stand), next);
  await acknowledge(stand);
  return coming;
}

async function issue({ database, now }: Stand, bundleVersion: string, hours = 24): Promise<string | undefined> {
  const active = (await database.state.authorities()).find((r) => r.kind === "tenant" && r.state === "active");
  const notAfter = new Date(+now() + hours * hour);
  const made = draft({ authority: active?.id ?? "", bundleVersion, notAfter });
  const [answer] = await database.ledger.intend([made]);
  return answer?.kind === "suspended" ? answer.what : answer?.kind;
}

test("a rotation from its beginning to its end waits for what is measured, and for nothing longer", async () => {
  let time = start;
  const now = (): Date => new Date(time);
  await using database = await openSqlite({ path: join(base.path, "whole.db"), now, create: true });
  const stand = { database, now };
  await addRoot(order, by, partsOf(stand));
  await pass(stand);
  const [old] = await database.state.authorities();
  const [before] = await database.state.bundlesWith(old?.id ?? "");
  assert.equal(await issue(stand, before ?? ""), "intent");
  await addRoot(order, by, partsOf(stand), next);
  const expect = async (expected: string): Promise<void> => {
    await pass(stand);
    assert.equal(await states(database), expected);
  };
  await expect("active prepared; active");
  await assert.rejects(addRoot(order, by, partsOf(stand), next), { code: "not-ready", message: /has a prepared root/ });
  await acknowledge(stand);
  // The leaf of before ends after a day, and an hour later its gate opens.
  time += 25 * hour - 1000;
  await expect("active prepared; active");
  time += 2000;
  await expect("retiring active; active prepared");
  const both = (await database.state.bundlesWith(old?.id ?? "")).find((version) => version !== before);
  assert.equal(await issue(stand, both ?? "", 2), "intent");
  time += hour / 6 + 1000;
  await expect("retiring active; retiring active");
  // A third, wherever it is from: going back would have two roots to go back to.
  await assert.rejects(addRoot(order, by, partsOf(stand), next), { code: "not-ready", message: /is not over/ });
  time += 3 * hour - hour / 6 - 3000;
  await expect("retiring active; retiring active");
  time += 4000;
  await expect("retired active; retired active");
  await addRoot(order, by, partsOf(stand), next);
  assert.equal(await issue(stand, before ?? ""), "generation");
  for await (const report of database.ledger.verify()) assert.deepEqual(report.faults, []);
});

test("a root that nobody declares any more stays as it is, and goes on once it is declared again", async () => {
  let time = start;
  const now = (): Date => new Date(time);
  await using database = await openSqlite({ path: join(base.path, "undeclared.db"), now, create: true });
  const stand = { database, now };
  await begin(stand);
  time += 48 * hour;
  await pass(stand, read(documents(root("other"), cluster("east"))));
  assert.equal(await states(database), "active prepared; active");
  await pass(stand);
  assert.equal(await states(database), "retiring active; active prepared");
});

test("a cluster that an edit brings under the root has to acknowledge, for as long as a rule names it", async () => {
  let time = start;
  const now = (): Date => new Date(time);
  await using database = await openSqlite({ path: join(base.path, "edited.db"), now, create: true });
  const stand = { database, now };
  await begin(stand);
  time += 48 * hour;
  const rules = '[{ name: all, clusters: [east, west], namespaces: ["shop-*"] }]';
  const edited = read(documents(root("main"), cluster("east"), cluster("west"), tenant("shop", { rules })));
  await pass(stand, edited);
  assert.equal(await states(database), "active prepared; active");
  await acknowledge(stand, "west");
  await pass(stand, edited);
  assert.equal(await states(database), "active prepared; active", "it has not settled");
  await pass(stand);
  assert.equal(await states(database), "retiring active; active prepared");
});

test("what operators say is heard: a blind door, a hold", async () => {
  let time = start;
  const now = (): Date => new Date(time);
  await using database = await openSqlite({ path: join(base.path, "said.db"), now, create: true });
  const stand = { database, now };
  const { state } = database;
  const { id } = await begin(stand);
  const [both = ""] = await state.bundlesWith(id);
  const shop = (await state.authorities()).find(({ kind }) => kind === "tenant");
  const vm = { authority: shop?.id ?? "", bundleVersion: both, proof: "certificate" };
  await database.ledger.intend([draft({ ...vm, notAfter: new Date(start + 900 * hour) })]);
  time += 2 * hour;
  const waits = async (): Promise<readonly string[]> => {
    const parts = { state, declared: () => declared, settleSeconds: 3600, now, log: silentLog };
    return (await openRotations(parts).look()).flatMap(({ gate }) => gate.waitingFor.map(({ name }) => name));
  };
  const act = { log: "@hub", verb: "say", ...by, details: {} };
  assert.deepEqual(await waits(), ["istiod:east", "vm:east"]);
  await state.continueRotation(id, ["istiod:east"], act);
  await state.holdRotation(id, act);
  assert.deepEqual(await waits(), ["hold", "vm:east"]);
  await pass(stand);
  assert.equal(await states(database), "active prepared; active");
  await state.continueRotation(id, ["vm:east"], act);
  assert.deepEqual(await waits(), []);
  await pass(stand);
  assert.equal(await states(database), "retiring active; active prepared");
});

// Whoever is killed leaves what these leave: nothing is kept between two steps but what was written.
for (const how of ["lost", "kept"] as const) {
  test(`every write of a rotation can be ${how}: one root signs at any time, and the next pass finishes`, async () => {
    // The new root's two, activation, an authority's four, retirement; and the acknowledgement.
    const writesOfAll = 9;
    for (let failing = 1; failing <= writesOfAll; failing += 1) {
      let time = start;
      let writes = Number.NEGATIVE_INFINITY;
      const write: Write = (name, commit) => {
        if (name === "state") writes += 1;
        const fails = name === "state" && writes === failing;
        if (!fails || how === "kept") commit();
        if (fails) throw new Error("the disk is away");
      };
      const path = join(base.path, `${how}-${failing}.db`);
      const now = (): Date => new Date(time);
      let stand: Stand = { database: await openSqlite({ path, now, create: true, write }), now };
      await addRoot(order, by, partsOf(stand));
      await pass(stand);
      writes = 0;
      let failed = 0;
      // An operator repeats a verb; the issuer that leads looks again.
      const step = async (work: () => Promise<unknown>): Promise<void> => {
        for (let attempt = 0; attempt < 2; attempt += 1) {
          await work().catch((error: { code?: string }) => {
            if (error.code === "unavailable") failed += 1;
            else assert.equal(error.code, "not-ready");
          });
          const roots = (await states(stand.database)).split(";")[0]?.split(" ") ?? [];
          assert.equal(roots.filter((one) => one === "active").length, 1, `write ${failing}: ${roots.join(" ")}`);
          await stand.database[Symbol.asyncDispose]();
          stand = { database: await openSqlite({ path, now, create: false, write }), now };
        }
      };
      await step(async () => await addRoot(order, by, partsOf(stand), next));
      await step(async () => await acknowledge(stand));
      for (let i = 0; i < 12; i += 1) {
        time += hour / 3;
        await step(async () => await pass(stand));
      }
      assert.equal(await states(stand.database), "retired active; retired active", `write ${failing}`);
      assert.equal(failed, 1, `write ${failing} did not fail`);
      assert.ok(writes >= writesOfAll);
      for await (const report of stand.database.ledger.verify()) assert.deepEqual(report.faults, []);
      await stand.database[Symbol.asyncDispose]();
    }
  });
}
