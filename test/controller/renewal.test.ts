import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeAuthorities } from "../../src/controller/authority.ts";
import type { AuthorityParts } from "../../src/controller/generation.ts";
import { addRoot } from "../../src/controller/root.ts";
import { decideAuthorities } from "../../src/controller/succession.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import { openAuthorities } from "../../src/issuer/authorities.ts";
import { prepare } from "../../src/issuer/prepare.ts";
import type { Write } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import { readEntry } from "../../src/ledger/entry.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { readTbs } from "../../src/pki/certificate.ts";
import { openVerifier } from "../../src/pki/chain.ts";
import { toCertificate } from "../../src/pki/leaf.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { cluster, join as documents, read, root, tenant } from "../resources/build.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
const custody = await openFileCustody({ directory: join(base.path, "keys") });
const random = (n: number): Uint8Array => randomBytes(n);
const start = Date.parse("2026-01-01T00:00:00Z");
const hour = 3_600_000;
const day = 24 * hour;
const by = { operator: "unix:test", reason: "test" };
const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = publicKey.export({ type: "spki", format: "der" });

function declare(...tenants: readonly string[]): Declared {
  return read(documents(root("main"), cluster("east"), ...tenants));
}

async function makeMain(parts: AuthorityParts): Promise<void> {
  await addRoot({ kind: "root", owner: "main", algorithm: "P-256", validityDays: 3650 }, by, parts);
}

/** All tenants' authorities, oldest first, each with its state. */
async function states({ state }: Database): Promise<string> {
  const records = (await state.authorities()).filter(({ kind }) => kind === "tenant");
  return records.map((one) => one.state).join(" ");
}

/** Every authority's own bytes were written down before they were signed, and a proof for each that ever signed. */
async function assertIntended({ ledger, state }: Database): Promise<void> {
  const intended = new Map<string, Buffer[]>();
  for await (const { body } of ledger.entries({ log: "shop", limit: 1000 })) {
    const entry = readEntry(body);
    if (entry.kind !== "act" || entry.act.details["tbs"] === undefined) continue;
    const tbs = Buffer.from(entry.act.details["tbs"], "base64");
    const key = `${entry.act.verb} ${entry.act.details["id"]}`;
    intended.set(key, [...(intended.get(key) ?? []), tbs]);
    if (entry.act.verb === "intend-activate-authority") assert.ok(readTbs(tbs).notAfter < entry.time, "it was usable");
  }
  for (const one of await state.authorities()) {
    if (one.kind !== "tenant") continue;
    const own = intended.get(`intend-prepare-authority ${one.id}`) ?? [];
    assert.equal(own.filter((tbs) => Buffer.from(one.certificate).includes(tbs)).length, 1);
    if (one.state !== "prepared") assert.ok(intended.has(`intend-activate-authority ${one.id}`));
  }
}

/** A tenant's first authority, its successor, and the end of the first while another successor is made. */
const moments: readonly (readonly [ms: number, states: string])[] = [
  [0, "active"],
  [50 * day, "active prepared"],
  [50 * day + hour / 6, "retiring active"],
  [100 * day + hour, "retired active prepared"],
  [100 * day + hour + hour / 6, "retired retiring active"],
];
const writesOfAll = 4 + 2 + 2 + 3 + 2;

// Whoever is killed leaves what these leave: nothing is kept between two steps but what was written.
for (const how of ["lost", "kept"] as const) {
  test(`every write of a renewal can be ${how}: one authority signs at any time, and the next pass finishes`, async () => {
    const declared = declare(tenant("shop", { more: "authority: { validityDays: 100 }" }));
    for (let failing = 1; failing <= writesOfAll; failing += 1) {
      let time = start;
      let writes = -2;
      const write: Write = (name, commit) => {
        if (name === "state") writes += 1;
        const fails = name === "state" && writes === failing;
        if (!fails || how === "kept") commit();
        if (fails) throw new Error("the disk is away");
      };
      const path = join(base.path, `${how}-${failing}.db`);
      let database = await openSqlite({ path, now: () => new Date(time), create: true, write });
      const parts = () => ({ state: database.state, custody, now: () => new Date(time), random });
      await makeMain(parts());
      let failed = 0;
      for (const [ms, expected] of moments) {
        time = start + ms;
        await makeAuthorities(declared, parts()).catch((error: { code?: string }) => {
          assert.equal(error.code, "unavailable");
          failed += 1;
        });
        const before = (await states(database)).split(" ").filter((one) => one === "active").length;
        if (ms > 0) assert.equal(before, 1, `${failing}, ${await states(database)}`);
        const { byId, records } = await openAuthorities(await database.state.authorities(), custody);
        for (const one of records) if (one.state === "prepared") assert.equal(byId(one.id), undefined, "it could sign");
        await database[Symbol.asyncDispose]();
        database = await openSqlite({ path, now: () => new Date(time), create: false, write });
        await makeAuthorities(declared, parts());
        assert.equal(await states(database), expected, `${failing}`);
      }
      assert.equal(failed, 1, `write ${failing} did not fail`);
      assert.ok(writes >= writesOfAll);
      await assertIntended(database);
      for await (const report of database.ledger.verify()) assert.deepEqual(report.faults, []);
      await database[Symbol.asyncDispose]();
    }
  });
}

test("an authority's row that names another's key is not signed with", async () => {
  const now = (): Date => new Date(start);
  await using database = await openSqlite({ path: join(base.path, "swapped.db"), now, create: true });
  const parts = { state: database.state, custody, now, random };
  await makeMain(parts);
  await makeAuthorities(declare(tenant("shop")), parts);
  const records = await database.state.authorities();
  await openAuthorities(records, custody);
  const [root] = records;
  const swapped = records.map((one) => (one.kind === "tenant" ? { ...one, keyName: root?.keyName ?? "" } : one));
  await assert.rejects(openAuthorities(swapped, custody), {
    code: "config",
    message: /the key "root-main-\w+" is not that of the certificate of tenant-shop-\w+/,
  });
});

test("a successor whose key is not there never signs, and another takes its place in an hour", async () => {
  let time = start;
  const now = (): Date => new Date(time);
  const declared = declare(tenant("shop", { more: "authority: { validityDays: 100 }" }));
  await using database = await openSqlite({ path: join(base.path, "lost-key.db"), now, create: true });
  let broken = "";
  const openKey = async (name: string) => await custody.openKey(name === broken ? "nothing" : name);
  const parts = { state: database.state, custody: { ...custody, openKey }, now, random };
  await makeMain(parts);
  await makeAuthorities(declared, parts);
  time += 50 * day;
  await makeAuthorities(declared, parts);
  broken = (await database.state.authorities()).at(-1)?.keyName ?? "";
  time += hour / 2;
  await assert.rejects(makeAuthorities(declared, parts), { code: "not-found" });
  assert.equal(await states(database), "active prepared");
  time += hour;
  await makeAuthorities(declared, parts);
  assert.equal(await states(database), "active retired prepared");
  time += hour / 2;
  await makeAuthorities(declared, parts);
  assert.equal(await states(database), "retiring retired active");
});

test("a key that is not the certificate's never signs", async () => {
  const now = (): Date => new Date(start);
  await using database = await openSqlite({ path: join(base.path, "other-key.db"), now, create: true });
  const parts = { state: database.state, custody, now, random };
  await makeMain(parts);
  const other = await custody.createKey("other", "P-256");
  const openKey = async (name: string) => (name.startsWith("tenant") ? other : await custody.openKey(name));
  await assert.rejects(makeAuthorities(declare(tenant("shop")), { ...parts, custody: { ...custody, openKey } }));
  assert.equal(await states(database), "prepared");
});

test("a simulated year: every hour's leaves have full length and verify until their end, and somebody always signs", async () => {
  let time = start;
  const now = (): Date => new Date(time);
  // One as most are, and one whose leaves are as long as they may be.
  const leafSeconds = { shop: 86_400, bank: 5 * 86_400 } as const;
  const declared = declare(
    tenant("shop", { more: "authority: { validityDays: 30 }" }),
    tenant("bank", { more: `authority: { validityDays: 10 }\n  profiles: { workload: { maximumSeconds: 432000 } }` }),
  );
  await using database = await openSqlite({ path: join(base.path, "year.db"), now, create: true });
  const parts = { state: database.state, custody, now, random };
  await makeMain(parts);
  let records = await database.state.authorities();
  let authorities = await openAuthorities(records, custody);
  const verify = openVerifier();
  const generations = new Map<string, number>();
  for (let hours = 0; hours < 400 * 24; hours += 1, time += hour) {
    if (decideAuthorities(declared, records, now()).length > 0) {
      await makeAuthorities(declared, parts);
      records = await database.state.authorities();
      authorities = await openAuthorities(records, custody, authorities);
    }
    // Hour by hour in turn.
    for (const [log, validitySeconds] of Object.entries(leafSeconds).slice(hours % 2, (hours % 2) + 1)) {
      const authority = authorities.active("tenant", log);
      assert.ok(authority, `${log} has nobody at ${now().toISOString()}`);
      const names = { uri: `spiffe://${log}.example/ns/${log}-a/sa/web`, dns: [] };
      const allowed = { log, cluster: "east", door: "istio", profile: "workload", rule: "", proof: "", names } as const;
      const draft = prepare({ ...allowed, validitySeconds, authority }, spki, parts);
      assert.equal(+draft.notAfter, time + validitySeconds * 1000, `${log} was cut short at ${now().toISOString()}`);
      const leaf = toCertificate(authority.record.algorithm, draft.tbs, await authority.signer.sign(draft.tbs));
      const { intermediates, bundle } = authority.chain;
      verify({ leaf, intermediates, roots: bundle.roots, at: draft.notAfter, key: spki, names });
      const issued = generations.get(authority.record.id) ?? 0;
      generations.set(authority.record.id, issued + 1);
      // Of each generation's first leaf by another hand.
      if (issued > 0) continue;
      const [above, anchor] = [authority.record.certificate, ...bundle.roots].map((der) => new X509Certificate(der));
      assert.ok(above && anchor && new X509Certificate(leaf).verify(above.publicKey) && above.verify(anchor.publicKey));
      assert.ok(above.ca && new Date(above.validFrom) <= draft.notBefore && new Date(above.validTo) >= draft.notAfter);
    }
  }
  const ofTenant = (name: string) => [...generations.keys()].filter((id) => id.startsWith(`tenant-${name}`)).length;
  // Half of thirty days each, and five days less an hour.
  assert.deepEqual([ofTenant("shop"), ofTenant("bank")], [27, 81]);
  const living = records.filter(({ kind, state }) => kind === "tenant" && state !== "retired");
  assert.ok(living.length <= 6, `${living.length} are kept open`);
});
