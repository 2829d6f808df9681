/** A site's database and its world as an issuer knows them, without an issuer. */
import { openFileCustody } from "../../src/custody/file.ts";
import { type LiveWorld, openLive } from "../../src/issuer/live.ts";
import type { Database } from "../../src/ledger/database.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { loadDirectory } from "../../src/resources/load.ts";
import { hubName } from "./documents.ts";
import { type Kept, openKeptLog } from "./kept-log.ts";
import type { Site } from "./site.ts";

export interface LiveSite extends AsyncDisposable {
  readonly database: Database;
  readonly declared: Declared;
  readonly live: LiveWorld;
  readonly log: Kept;
}

export async function openLiveSite(site: Site, now: () => Date = () => new Date()): Promise<LiveSite> {
  await using stack = new AsyncDisposableStack();
  const log = openKeptLog();
  const custody = await openFileCustody({ directory: site.config.keys });
  const database = stack.use(await openSqlite({ path: site.databasePath, now, create: false }));
  const declared = await loadDirectory(site.config.resources, { hub: hubName });
  const { state } = database;
  const live = stack.use(await openLive({ hub: hubName, declared, state, custody, now, log }));
  const opened = stack.move();
  return { database, declared, live, log, [Symbol.asyncDispose]: async () => await opened.disposeAsync() };
}
