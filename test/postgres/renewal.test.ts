/** Replicas that renew one tenant's authority at the same time, with keys in common. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join as path } from "node:path";
import { after, test } from "node:test";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { addRoot } from "../../src/controller/root.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import { openPostgres } from "../../src/ledger/postgres.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { assertSound } from "../contract/ledger.ts";
import { cluster, join, read, root, tenant } from "../resources/build.ts";
import { startPostgres } from "../support/postgres.ts";

const base = temporaryDirectory();
const server = await startPostgres();
after(async () => {
  await server[Symbol.asyncDispose]();
  base[Symbol.dispose]();
});
const day = 86_400_000;
const by = { operator: "unix:test", reason: "test" };

test("replicas that renew at once make one successor, and the later one takes the earlier one's", async () => {
  const connection = await server.database();
  const custody = await openFileCustody({ directory: path(base.path, "keys") });
  let offset = 0;
  // The server's clock judges ours; only what is decided goes by a moved one.
  const now = (): Date => new Date(Date.now() + offset);
  const open = async (create: boolean) =>
    await openPostgres({ connection, now: () => new Date(), create, holder: "test" });
  await using first = await open(true);
  await using second = await open(false);
  const declared = read(join(root("main"), cluster("east"), tenant("shop"), tenant("bank")));
  const replicas = [first, second].map(({ state }) => ({ state, custody, now, random: (n: number) => randomBytes(n) }));
  const [one] = replicas;
  assert.ok(one);
  await addRoot({ kind: "root", owner: "main", algorithm: "P-256", validityDays: 3650 }, by, one);
  const states = async (): Promise<readonly string[]> =>
    (await first.state.authorities())
      .filter(({ kind }) => kind === "tenant")
      .map(({ owner, state }) => `${owner} ${state}`)
      .sort();
  for (const [ms, expected] of [
    [0, ["bank active", "shop active"]],
    [183 * day, ["bank active", "bank prepared", "shop active", "shop prepared"]],
    [183 * day + 601_000, ["bank active", "bank retiring", "shop active", "shop retiring"]],
  ] as const) {
    offset = ms;
    await Promise.all(replicas.map(async (parts) => await makeAuthorities(declared, parts)));
    assert.deepEqual(await states(), expected);
  }
  await assertSound(second);
});
