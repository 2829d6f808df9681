import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { adoptDatabase } from "../../src/issuer/database-verbs.ts";
import { checkHighWater, startHighWater } from "../../src/issuer/high-water.ts";
import { readEntry } from "../../src/ledger/entry.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { act } from "../contract/drafts.ts";
import { openKeptLog } from "../support/kept-log.ts";
import { eventually } from "../support/patience.ts";
import { makeSite, type Site } from "../support/site.ts";
import { startIssuerOn } from "../support/stack.ts";

const now = (): Date => new Date();
const by = { operator: "unix:ada", reason: "disk lost" };
const base = temporaryDirectory();
after(() => base[Symbol.dispose]());

/** Some history: what is suspended and resumed is written down. */
async function live(site: Site): Promise<void> {
  await using issuer = await startIssuerOn(site);
  await issuer.suspend("cluster", "west");
  await issuer.suspend("cluster", "west", false);
}

function backUp({ databasePath, directory }: Site, name: string): string {
  const copy = join(directory, name);
  new DatabaseSync(databasePath).exec(`VACUUM INTO '${copy}'`);
  return copy;
}

/** What was there is gone, as after a lost disk. */
function restore({ databasePath }: Site, copy: string): void {
  for (const more of ["", "-wal", "-shm"]) rmSync(databasePath + more, { force: true });
  copyFileSync(copy, databasePath);
}

async function refused(site: Site): Promise<void> {
  await assert.rejects(startIssuerOn(site), {
    code: "config",
    message: /older copy, or another one: it lacks entry \d+, its newest at 20.*`espalier db adopt`/,
  });
}

test("an older copy of the database is refused until an operator gives up what it lacks, with a reason", async () => {
  using site = await makeSite();
  await live(site);
  const copy = backUp(site, "backup.db");
  await live(site);
  await assert.rejects(adoptDatabase(site.config, by, now, false), { code: "not-ready" });
  restore(site, copy);
  await refused(site);
  await refused(site);

  const entries = site.entries();
  const dry = await adoptDatabase(site.config, by, now, true);
  assert.equal(site.entries(), entries);
  assert.match(dry.lost, /^entry \d+, its newest at 20/);
  await refused(site);
  assert.deepEqual(await adoptDatabase(site.config, by, now, false), dry);
  await live(site);
  await site.verify();
  {
    await using database = await openSqlite({ path: site.databasePath, now, create: false });
    const adopted = [];
    for await (const { body } of database.ledger.entries({ log: "@hub", limit: 100 })) {
      const entry = readEntry(body);
      if (entry.kind === "act" && entry.act.verb === "adopt-database") adopted.push(entry.act);
    }
    assert.deepEqual(
      adopted.map(({ operator, reason, details }) => [operator, reason, details["lost"]]),
      [["unix:ada", "disk lost", dry.lost]],
    );
  }

  // It was that history which was given up, and not every one.
  restore(site, copy);
  await refused(site);
});

test("a copy that goes on under the numbers of the lost one is refused all the same", async () => {
  using site = await makeSite();
  await live(site);
  const copy = backUp(site, "backup.db");
  await live(site);
  restore(site, copy);
  {
    await using database = await openSqlite({ path: site.databasePath, now, create: false });
    for (let i = 0; i < 100; i += 1) await database.state.act(act({ verb: "another" }));
  }
  await refused(site);
});

test("after an adoption nobody who led the lost history can lead again", async () => {
  using site = await makeSite();
  await live(site);
  const copy = backUp(site, "backup.db");
  await live(site);
  const epochOf = (): number =>
    Number(new DatabaseSync(site.databasePath).prepare("SELECT epoch FROM epochs").get()?.["epoch"]);
  const led = epochOf();
  restore(site, copy);
  await adoptDatabase(site.config, by, now, false);
  assert.ok(epochOf() > led);
});

test("a file that no issuer has written is refused, and one that is away is made", async () => {
  using site = await makeSite();
  await live(site);
  const file = `${site.config.adminSocket}.newest`;
  assert.match(readFileSync(file, "utf8"), /^entry \d+ [0-9a-f]{64} epoch \d+ at \S+\n$/);
  writeFileSync(file, "entry 1\n");
  await assert.rejects(startIssuerOn(site), { code: "config", message: /highWater: .* does not say/ });
  rmSync(file);
  await live(site);
  assert.ok(existsSync(file));
});

test("an issuer whose database loses an entry goes on saying so, and remembers what was there", async () => {
  const path = join(base.path, "ledger.db");
  const file = join(base.path, "newest");
  const log = openKeptLog();
  await using database = await openSqlite({ path, now, create: true });
  await database.state.act(act());
  await database.state.act(act());
  const remembered = (): string => (existsSync(file) ? readFileSync(file, "utf8") : "");
  {
    await using _ = startHighWater(file, { marks: database.marks, now, log }, 10);
    await eventually(() => assert.match(remembered(), /^entry 2 /));
    new DatabaseSync(path).exec("DELETE FROM entries WHERE id = 2");
    await eventually(() => assert.ok(log.of("high-water mark not kept").length > 1));
  }
  assert.match(remembered(), /^entry 2 /);
});

test("a mark that the disk does not take is tried again and leaves nothing beside the file, and is kept once the disk takes it", async () => {
  const directory = join(base.path, "marks");
  mkdirSync(directory);
  const [path, file] = [join(base.path, "refusing.db"), join(directory, "newest")];
  const log = openKeptLog();
  await using database = await openSqlite({ path, now, create: true });
  await database.state.act(act());
  const parts = { marks: database.marks, now, log };
  {
    await using _ = startHighWater(file, parts, 10);
    await eventually(() => assert.match(readFileSync(file, "utf8"), /^entry 1 /));
    // Nothing can take the name of a folder.
    rmSync(file);
    mkdirSync(file);
    await database.state.act(act());
    await eventually(() => assert.ok(log.of("high-water mark not kept").length > 2));
    // A try that is under way has one.
    await eventually(() => assert.deepEqual(readdirSync(directory), ["newest"]));
    rmdirSync(file);
    await eventually(() => assert.match(readFileSync(file, "utf8"), /^entry 2 /));
  }
  await checkHighWater(file, database.marks);
});
