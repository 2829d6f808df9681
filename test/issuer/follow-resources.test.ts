import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { openFileCustody } from "../../src/custody/file.ts";
import { Refusal } from "../../src/errors.ts";
import { followResources } from "../../src/issuer/follow-resources.ts";
import { openSource } from "../../src/issuer/source.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { loadDirectory } from "../../src/resources/load.ts";
import { clusterDocument, document, hubName, usualDocuments } from "../support/documents.ts";
import { openKeptLog } from "../support/kept-log.ts";
import { eventually } from "../support/patience.ts";
import { makeSite } from "../support/site.ts";

test("a suspension holds at once, also beside a tenant whose authority cannot be made", async () => {
  using site = await makeSite();
  const { config } = site;
  const now = (): Date => new Date();
  const custody = await openFileCustody({ directory: config.keys });
  const openKey = async (): Promise<never> => {
    throw new Refusal("config", "the root's key is not here");
  };
  const inForce = await loadDirectory(config.resources, { hub: hubName });
  await using database = await openSqlite({ path: site.databasePath, now, create: false });
  const log = openKeptLog();
  const declared: Declared[] = [];
  await using following = new AsyncDisposableStack();
  const parts = {
    state: database.state,
    custody: { ...custody, openKey },
    now,
    random: (n: number) => randomBytes(n),
    live: { declare: async (next: Declared) => void declared.push(next) },
    leads: () => true,
    log,
  };
  await using source = await openSource(config, { state: database.state, now, log, leads: () => true });
  following.use(followResources(source, inForce, parts));
  const rules = [{ name: "all", clusters: ["east"], namespaces: ["late"] }];
  site.declare([
    ...usualDocuments(),
    document("MeshTenant", "late", { trustDomain: "late.example", root: "main", rules }),
    clusterDocument("north", { suspended: true }),
  ]);
  await eventually(() => assert.equal(declared.at(-1)?.clusters.get("north")?.suspended, true));
  assert.equal(log.of("authorities not made").length, 1);
});
