import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";
import { espalier, type Folder, hub, openFolder } from "./stage.ts";

async function init(folder: Folder, ...more: readonly string[]): ReturnType<typeof espalier> {
  return await espalier(["init", "--hub", hub, "--dir", folder.at("hub"), ...more]);
}

test("init makes keys, ledger, hub root and configuration, and says what comes next", async () => {
  await using folder = await openFolder();
  const { code, stdout } = await init(folder);
  assert.equal(code, 0);
  assert.match(stdout, /^made the ledger's key, the hub root, issuer\.yaml in /);
  assert.match(stdout, /\n {2}espalier issuer run --config .*issuer\.yaml\n$/);
  for (const name of ["espalier.db", "hub-root.pem", "issuer.yaml", "keys", "resources"])
    assert.ok(existsSync(folder.at(`hub/${name}`)), name);
  for (const name of readdirSync(folder.at("hub/keys")))
    assert.equal(statSync(folder.at(`hub/keys/${name}`)).mode & 0o777, 0o600);
  assert.equal((await espalier(["config", "check", folder.at("hub/issuer.yaml")])).code, 0);
});

test("init again changes nothing", async () => {
  await using folder = await openFolder();
  await init(folder);
  const before = ["hub-root.pem", "issuer.yaml"].map((name) => readFileSync(folder.at(`hub/${name}`), "utf8"));
  const keys = readdirSync(folder.at("hub/keys"));
  const { code, stdout } = await init(folder);
  assert.equal(code, 0);
  assert.match(stdout, /nothing to do/);
  const after = ["hub-root.pem", "issuer.yaml"].map((name) => readFileSync(folder.at(`hub/${name}`), "utf8"));
  assert.deepEqual(after, before);
  assert.deepEqual(readdirSync(folder.at("hub/keys")), keys);
});

test("init leaves an operator's issuer.yaml alone", async () => {
  await using folder = await openFolder();
  await init(folder);
  await folder.put("hub/issuer.yaml", `hub: ${hub}\nlog: warn\n`);
  await init(folder);
  assert.equal(readFileSync(folder.at("hub/issuer.yaml"), "utf8"), `hub: ${hub}\nlog: warn\n`);
});

test("init refuses a folder of another hub", async () => {
  await using folder = await openFolder();
  await init(folder);
  const { code, stderr } = await espalier(["init", "--hub", "other.example", "--dir", folder.at("hub")]);
  assert.equal(code, 2);
  assert.match(stderr, /belongs to hub "hub\.example" already: choose another --dir/);
});

test("init --dry-run makes nothing", async () => {
  await using folder = await openFolder();
  const { code, stdout } = await init(folder, "--dry-run");
  assert.equal(code, 0);
  assert.match(stdout, /^would make in /);
  assert.deepEqual(readdirSync(folder.path), []);
});

test("a hub's name is a trust domain", async () => {
  await using folder = await openFolder();
  const { code, stderr } = await espalier(["init", "--hub", "Hub Example", "--dir", folder.at("hub")]);
  assert.equal(code, 2);
  assert.match(stderr, /"Hub Example" is not a trust domain: use a-z/);
  assert.deepEqual(readdirSync(folder.path), []);
});

test("with a passphrase no key lies open, and the configuration names its file", async () => {
  await using folder = await openFolder();
  const file = await folder.put("passphrase", "correct horse\n");
  assert.equal((await init(folder, "--passphrase-file", file)).code, 0);
  for (const name of readdirSync(folder.at("hub/keys")))
    assert.match(readFileSync(folder.at(`hub/keys/${name}`), "utf8"), /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  assert.ok(readFileSync(folder.at("hub/issuer.yaml"), "utf8").includes(`passphraseFile: "${file}"`));
});
