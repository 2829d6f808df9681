import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { addRoot } from "../../src/controller/root.ts";
import { decideAuthorities } from "../../src/controller/succession.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import type { Write } from "../../src/ledger/connection.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { AuthorityRecord } from "../../src/ledger/state.ts";
import { loadDirectory } from "../../src/resources/load.ts";
import { document, hubName, usualDocuments } from "../support/documents.ts";
import { makeSite } from "../support/site.ts";

const by = { operator: "unix:test", reason: "test" };
const random = (n: number): Uint8Array => randomBytes(n);
const now = (): Date => new Date();

test("an authority is missing where a tenant has none in force and its root is made", async () => {
  using site = await makeSite({
    documents: [
      ...usualDocuments(),
      document("TrustRoot", "second", {}),
      document("MeshTenant", "late", {
        trustDomain: "late.example",
        root: "second",
        rules: [{ name: "all", clusters: ["east"], namespaces: ["late"] }],
      }),
    ],
  });
  const declared = await loadDirectory(site.config.resources, { hub: hubName });
  await using database = await openSqlite({ path: site.databasePath, now, create: false });
  const records = await database.state.authorities();
  const missing = (all: readonly AuthorityRecord[]): readonly string[] =>
    decideAuthorities(declared, all, now()).flatMap((step) => (step.kind === "prepare" ? [step.tenant.name] : []));
  assert.deepEqual(missing(records), []);
  assert.deepEqual(missing(records.filter((r) => r.kind !== "tenant")).toSorted(), ["late", "media", "payments"]);
  assert.deepEqual(missing(records.filter((r) => r.kind !== "tenant" && r.owner !== "second")).toSorted(), [
    "media",
    "payments",
  ]);
  const retired = records.map((r) => (r.owner === "media" ? { ...r, state: "retired" as const } : r));
  assert.deepEqual(missing(retired), ["media"]);
  await makeAuthorities(declared, { state: database.state, custody: await custodyOf(site.config.keys), now, random });
  assert.deepEqual(await database.state.authorities(), records);
});

async function custodyOf(directory: string): ReturnType<typeof openFileCustody> {
  return await openFileCustody({ directory });
}

test("a root is made once, and nothing that fails on the way is in force", async (t) => {
  using site = await makeSite({ serving: [] });
  const custody = await custodyOf(site.config.keys);
  const order = { kind: "serving", owner: "east", algorithm: "P-256", validityDays: 10 } as const;
  // The two writes of it: the intention with the bytes, and the certificate.
  for (const failing of [1, 2]) {
    for (const how of ["lost", "kept"] as const) {
      await t.test(`when write ${failing} is ${how}`, async () => {
        let writes = 0;
        const write: Write = (name, commit) => {
          if (name === "state") writes += 1;
          const fails = name === "state" && writes === failing;
          if (!fails || how === "kept") commit();
          if (fails) throw new Error("the disk is away");
        };
        await using database = await openSqlite({ path: site.databasePath, now, create: false, write });
        const parts = { state: database.state, custody, now, random };
        await assert.rejects(addRoot(order, by, parts), { code: "unavailable" });
        const kept = failing === 2 && how === "kept";
        const made = (await database.state.authorities()).filter((r) => r.kind === "serving");
        assert.equal(made.length, kept ? 1 : 0);
        if (kept) await assert.rejects(addRoot(order, by, parts), { code: "not-ready" });
      });
    }
  }
  await t.test("what is in force then is what was intended, byte for byte", async () => {
    await using database = await openSqlite({ path: site.databasePath, now, create: false });
    const [record] = (await database.state.authorities()).filter((r) => r.kind === "serving");
    assert.ok(record);
    const certificate = new X509Certificate(record.certificate);
    assert.ok(certificate.verify(certificate.publicKey));
    const intended: string[] = [];
    for await (const { body } of database.ledger.entries({ log: "@hub", limit: 100 })) {
      const { verb, details } = JSON.parse(Buffer.from(body).toString());
      if (verb === "intend-create-serving-root") intended.push(details.tbs);
    }
    const inside = intended.filter((tbs) => Buffer.from(record.certificate).includes(Buffer.from(tbs, "base64")));
    assert.equal(inside.length, 1);
  });
  await site.verify();
});
