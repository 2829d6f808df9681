import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { eventually } from "../support/patience.ts";
import { makeSite } from "../support/site.ts";
import { startIssuerOn } from "../support/stack.ts";
import { espalier, type Said } from "./stage.ts";

test("what retention has let go is listed, shown and verified as that", async () => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  const say = async (...argv: readonly string[]): Promise<Said> => await espalier(argv, issuer.site.config.adminSocket);
  const list = async (): Promise<readonly Readonly<Record<string, unknown>>[]> =>
    JSON.parse((await say("ledger", "list", "-o", "json")).stdout);
  // The issuer's own certificate, placed.
  const intent = await eventually(async () => {
    const found = (await list()).find(({ kind, position }) => kind === "intent" && position !== undefined);
    assert.ok(found);
    return found;
  });
  {
    await using database = await openSqlite({ path: site.databasePath, now: () => new Date(), create: false });
    assert.ok((await database.state.prune(new Date("2100-01-01"), () => true)) > 0);
  }
  const id = `@hub/${String(intent["position"])}`;
  const table = (await say("ledger", "list")).stdout;
  assert.match(table, new RegExp(`^${id} +intent +pruned +${String(intent["serial"])}$`, "m"));
  for (const key of [id, String(intent["serial"])]) {
    const { stdout } = await say("ledger", "show", key);
    assert.match(stdout, /^body: +pruned/m);
    assert.match(stdout, new RegExp(`^leaf hash: +${String(intent["leafHash"])}$`, "m"));
  }
  const gone = JSON.parse((await say("ledger", "show", id, "-o", "json")).stdout);
  assert.deepEqual([gone.pruned, gone.body, gone.leafHash], [true, undefined, intent["leafHash"]]);
  const verified = await say("ledger", "verify", "-o", "json");
  assert.equal(verified.code, 0, verified.stderr);
  const hub = JSON.parse(verified.stdout).logs.find(({ log }: { log: string }) => log === "@hub");
  assert.ok(hub.pruned > 0);
  assert.match((await say("ledger", "list", "--log", "@hub")).stdout, /act +prune-bodies +espalier/);
});

test("db adopt gives nothing up where nothing is missing, and says so", async () => {
  using site = await makeSite();
  const file = join(site.directory, "adopt.yaml");
  writeFileSync(file, "hub: hub.example\ndatabase: espalier.db\nkeys: keys\n");
  const { code, stderr } = await espalier(["db", "adopt", "--config", file, "--reason", "a test"]);
  assert.equal(code, 1);
  assert.match(stderr, /nothing is to be given up/);
  writeFileSync(
    join(site.directory, "admin.sock.newest"),
    `entry 99 ${"0".repeat(64)} epoch 3 at 2026-11-21T11:00:00.000Z\n`,
  );
  const dry = await espalier(["db", "adopt", "--config", file, "--reason", "a test", "--dry-run"]);
  assert.match(
    dry.stdout,
    /^would give up entry 99, its newest at 2026-11-21T11:00:00\.000Z; the newest entry here is \d+\n$/,
  );
  const adopted = await espalier(["db", "adopt", "--config", file, "--reason", "a test", "-o", "json"]);
  assert.equal(adopted.code, 0, adopted.stderr);
  assert.match(
    (await espalier(["db", "adopt", "--config", file, "--reason", "again"])).stderr,
    /nothing is to be given up/,
  );
});
