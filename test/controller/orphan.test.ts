import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import { openSealedCustody } from "../../src/custody/sealed.ts";
import { createSealingKey } from "../../src/custody/sealing-key.ts";
import { openAuthorities } from "../../src/issuer/authorities.ts";
import type { Write } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { loadDirectory } from "../../src/resources/load.ts";
import { document, hubName, usualDocuments } from "../support/documents.ts";
import { makeSite, type Site } from "../support/site.ts";

const now = (): Date => new Date();
const random = (n: number): Uint8Array => randomBytes(n);
const late = document("MeshTenant", "late", {
  trustDomain: "late.example",
  root: "main",
  rules: [{ name: "all", clusters: ["east"], namespaces: ["late"] }],
});

/** The keys of a site, in its database. */
async function seal(site: Site, keyFile: string): Promise<void> {
  await createSealingKey(keyFile);
  await using database = await openSqlite({ path: site.databasePath, now, create: false });
  const files = await openFileCustody({ directory: site.config.keys });
  const sealed = await openSealedCustody(keyFile, database.state);
  for (const { keyName } of await database.state.authorities())
    await sealed.importKey(keyName, await files.readKey(keyName));
}

/** Keys that no authority names. */
async function orphans({ state }: Database): Promise<readonly string[]> {
  const named = new Set((await state.authorities()).map(({ keyName }) => keyName));
  return (await state.sealedKeys()).map(({ name }) => name).filter((name) => !named.has(name));
}

for (const how of ["lost", "kept"] as const) {
  test(`every write of an authority whose key is sealed can be ${how}: at worst a key is left that nothing names`, async () => {
    using site = await makeSite({ serving: [] });
    const keyFile = join(site.directory, "sealing.key");
    await seal(site, keyFile);
    site.declare([...usualDocuments(), late]);
    const declared = await loadDirectory(site.config.resources, { hub: hubName });
    let failed = true;
    for (let failing = 1; failed; failing += 1) {
      const path = join(site.directory, `${failing}.db`);
      copyFileSync(site.databasePath, path);
      let writes = 0;
      failed = false;
      const write: Write = (name, commit) => {
        if (name === "state") writes += 1;
        const fails = name === "state" && writes === failing;
        if (!fails || how === "kept") commit();
        if (!fails) return;
        failed = true;
        throw new Error("the disk is away");
      };
      await using database = await openSqlite({ path, now, create: false, write });
      const custody = await openSealedCustody(keyFile, database.state);
      const parts = { state: database.state, custody, now, random };
      if (failing > 1)
        await makeAuthorities(declared, parts).catch((error: unknown) => assert.ok(failed, String(error)));
      else await assert.rejects(makeAuthorities(declared, parts), { code: "unavailable" });

      // Whatever the database names can be opened, and what nothing names is at most the one key.
      await openAuthorities(await database.state.authorities(), custody);
      assert.ok((await orphans(database)).length <= 1, `write ${failing}`);
      await makeAuthorities(declared, parts);
      const made = (await database.state.authorities()).filter(({ owner }) => owner === "late");
      assert.deepEqual(
        made.map(({ state }) => state),
        ["active"],
      );
      await custody.openKey(made[0]?.keyName ?? "");
      assert.ok((await orphans(database)).length <= 1, `write ${failing}`);
    }
  });
}
