import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, renameSync, statSync } from "node:fs";
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

/** An issuer.yaml as a pod has it: mounted, with everything elsewhere. */
async function putConfig(folder: Folder, more = ""): Promise<string> {
  const paths = { database: "data/hub/espalier.db", keys: "data/hub/keys", adminSocket: "run/admin/admin.sock" };
  const lines = Object.entries(paths).map(([key, path]) => `${key}: ${path}\n`);
  return await folder.put("issuer.yaml", `hub: ${hub}\n${lines.join("")}${more}`);
}

async function initFrom(folder: Folder, more = ""): ReturnType<typeof espalier> {
  return await espalier(["init", "--config", await putConfig(folder, more)]);
}

const toSha256 = (stdout: string): string => /SHA-256 is ([0-9a-f]{64})\n$/.exec(stdout)?.[1] ?? "";

test("init --config makes what the file names, nothing beside it, and the same again does nothing", async () => {
  await using folder = await openFolder();
  const first = await initFrom(folder);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^made the ledger's key, the hub root of hub hub\.example\n/);
  assert.deepEqual(readdirSync(folder.path).sort(), ["data", "issuer.yaml", "run"]);
  for (const name of ["data/hub", "data/hub/keys", "run/admin"])
    assert.equal(statSync(folder.at(name)).mode & 0o777, 0o700, name);
  const again = await initFrom(folder);
  assert.match(again.stdout, /^hub hub\.example is there already; nothing to do\n/);
  assert.equal(toSha256(again.stdout), toSha256(first.stdout));
});

test("init --config --dry-run makes nothing", async () => {
  await using folder = await openFolder();
  const { code, stdout } = await espalier(["init", "--dry-run", "--config", await putConfig(folder)]);
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^would make what is not there yet: the ledger in .*espalier\.db, .* the root of hub hub\.example/,
  );
  assert.deepEqual(readdirSync(folder.path), ["issuer.yaml"]);
});

test("init is told what to make in one way", async () => {
  const both = await espalier(["init", "--hub", hub, "--config", "issuer.yaml"]);
  assert.equal(both.code, 2);
  assert.match(both.stderr, /'--config <file>' cannot be used with option '--hub <name>'/);
  const neither = await espalier(["init"]);
  assert.equal(neither.code, 2);
  assert.match(neither.stderr, /give --hub and --dir, or --config/);
});

test("where a configuration names the hub root, none is made, and another hub's is refused", async () => {
  await using folder = await openFolder();
  const none = await initFrom(folder, `hubRootSha256: "${"0".repeat(64)}"\n`);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /hubRootSha256: the database has no hub root: restore the one that belongs to this hub/);
  const { stdout } = await initFrom(folder);
  assert.equal((await initFrom(folder, `hubRootSha256: "${toSha256(stdout)}"\n`)).code, 0);
  const other = await initFrom(folder, `hubRootSha256: "${"0".repeat(64)}"\n`);
  assert.equal(other.code, 2);
  assert.ok(other.stderr.includes(`the database has hub root ${toSha256(stdout)}`), other.stderr);
});

test("where a hub's keys are gone it gets no others", async () => {
  await using folder = await openFolder();
  await initFrom(folder);
  renameSync(folder.at("data/hub/keys"), folder.at("aside"));
  const { code, stderr } = await initFrom(folder);
  assert.equal(code, 2);
  assert.match(stderr, /hub "hub\.example" is in the database, and the key "ledger" is not there: restore the keys/);
  assert.equal(existsSync(folder.at("data/hub/keys")), false);
});
