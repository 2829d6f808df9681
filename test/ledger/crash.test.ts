import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createPublicKey, verify } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { openFileCustody } from "../../src/custody/file.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { assertSound } from "../contract/ledger.ts";

const now = () => new Date();

test("a process killed at any moment leaves a sound ledger that has every certificate it signed", async () => {
  using base = temporaryDirectory();
  const [path, keys] = [join(base.path, "ledger.db"), join(base.path, "keys")];
  const signer = await (await openFileCustody({ directory: keys })).createKey("ledger", "P-256");
  const publicKey = createPublicKey({ key: Buffer.from(signer.spki), format: "der", type: "spki" });
  await (await openSqlite({ path, now, create: true }))[Symbol.asyncDispose]();

  let signed = 0;
  for (const after of [1, 7, 31, 64, 113]) {
    const child = spawn(process.execPath, [join(import.meta.dirname, "issue-loop.ts"), path, keys], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const closed = once(child, "close");
    let said = "";
    for await (const chunk of child.stdout) {
      said += String(chunk);
      if (said.split("\n").length > after) child.kill("SIGKILL");
    }
    await closed;
    assert.equal(child.signalCode, "SIGKILL");
    const serials = said.split("\n").filter((line) => line.length === 32);
    signed += serials.length;

    await using database = await openSqlite({ path, now, create: false });
    await assertSound(database);
    for (const serial of serials) {
      const found = await database.ledger.findSerial(Buffer.from(serial, "hex"));
      assert.ok(found, serial);
      if (found.signature !== undefined) {
        assert.ok(verify("sha256", found.intent.tbs, publicKey, found.signature), serial);
      }
    }
  }
  assert.ok(signed > 200, `${signed} were signed`);
});
