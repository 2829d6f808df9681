/** `init` by several processes at once, as replicas that start together do. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { password, startPostgres } from "../support/postgres.ts";
import { espalier } from "../support/processes.ts";

test("of several inits at once on one database one makes the hub, and all find the same", async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startPostgres());
  const path = stack.adopt(mkdtempSync(join(tmpdir(), "espalier-init-")), (one) => rmSync(one, { recursive: true }));
  const { port, database } = await server.database();
  writeFileSync(join(path, "password"), password);
  const config = join(path, "issuer.yaml");
  const address = `postgres://espalier@127.0.0.1:${port}/${database}`;
  const how = "{ passwordFile: password, tls: false, synchronousStandby: false }";
  writeFileSync(config, `hub: hub.example\ndatabase: ${address}\npostgres: ${how}\n`);

  const all = await Promise.all(Array.from({ length: 4 }, async () => await espalier(["init", "--config", config])));
  for (const { code, stderr } of all) assert.equal(code, 0, stderr);
  assert.equal(all.filter(({ stdout }) => stdout.includes("the hub root of hub")).length, 1);
  assert.equal(new Set(all.map(({ stdout }) => /SHA-256 is (\w+)/.exec(stdout)?.[1])).size, 1);
  const { rows } = await server.sql("SELECT kind, state FROM espalier.authorities", database);
  assert.deepEqual(rows, [{ kind: "hub", state: "active" }]);
});
