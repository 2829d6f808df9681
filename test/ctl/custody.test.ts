import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { test } from "node:test";
import { espalier, type Folder, hub, openFolder, openStage, type Said } from "./stage.ts";

const byFiles = `hub: ${hub}\nkeys: keys\n`;
const bySealing = `hub: ${hub}\ncustody: { sealed: { keyFile: sealing.key } }\n`;

async function custody(folder: Folder, verb: string, ...more: readonly string[]): Promise<Said> {
  return await espalier(["custody", verb, "--config", folder.at("hub/issuer.yaml"), ...more]);
}

async function initialised(...more: readonly string[]): Promise<Folder> {
  const folder = await openFolder();
  const { code, stderr } = await espalier(["init", "--hub", hub, "--dir", folder.at("hub"), ...more]);
  assert.equal(code, 0, stderr);
  return folder;
}

test("init --custody sealed makes a sealing key and no key files, and can be repeated", async () => {
  await using folder = await initialised("--custody", "sealed");
  assert.equal(statSync(folder.at("hub/sealing.key")).mode & 0o777, 0o600);
  assert.ok(!existsSync(folder.at("hub/keys")));
  assert.equal((await espalier(["config", "check", folder.at("hub/issuer.yaml")])).code, 0);
  const again = await espalier(["init", "--hub", hub, "--dir", folder.at("hub"), "--custody", "sealed"]);
  assert.match(again.stdout, /nothing to do/);
  const other = await espalier(["init", "--hub", hub, "--dir", folder.at("hub"), "--custody", "file"]);
  assert.equal(other.code, 2);
  assert.match(other.stderr, /says that keys are kept by sealed: leave --custody out/);
});

test("init makes no second sealing key where something is sealed already", async () => {
  await using folder = await initialised("--custody", "sealed");
  rmSync(folder.at("hub/sealing.key"));
  const { code, stderr } = await espalier(["init", "--hub", hub, "--dir", folder.at("hub")]);
  assert.equal(code, 2);
  assert.match(stderr, /custody\.sealed\.keyFile: .*sealing\.key cannot be read/);
  assert.ok(!existsSync(folder.at("hub/sealing.key")));
});

for (const [options, says] of [
  [["--custody", "pkcs11"], /--custody is file or sealed, not "pkcs11": any other is written into issuer.yaml first/],
  [["--custody", "sealed", "--passphrase-file", "x"], /--passphrase-file encrypts key files/],
] as const) {
  test(`init ${options.join(" ")} is refused before anything is made`, async () => {
    await using folder = await openFolder();
    const { code, stderr } = await espalier(["init", "--hub", hub, "--dir", folder.at("hub"), ...options]);
    assert.equal(code, 2);
    assert.match(stderr, says);
    assert.deepEqual(readdirSync(folder.path), []);
  });
}

test("an issuer signs with sealed keys, and the keys can be tried beside it", async () => {
  await using stage = await openStage({ settings: bySealing });
  const token = await stage.folder.put(
    "workload.token",
    stage.east.token({ namespace: "shop", serviceAccount: "web" }),
  );
  const request = ["--agent", stage.agent, "--ca", stage.rootFile, "--token-file", token];
  const out = ["--out", stage.folder.at("workload"), "--trust-domain", "shop.example"];
  const { code, stderr } = await stage.say("request", ...request, ...out);
  assert.equal(code, 0, stderr);
  const checked = await custody(stage.folder, "check", "-o", "json");
  assert.equal(checked.code, 0, checked.stderr);
  const keys: readonly { name: string; state: string; fault: string }[] = JSON.parse(checked.stdout);
  assert.deepEqual(keys.map(({ name, state, fault }) => [name.replace(/-[0-9a-f]{8}$/, ""), state, fault]).sort(), [
    ["hub-hub-example", "active", ""],
    ["ledger", "", ""],
    ["root-main", "active", ""],
    ["serving-east", "active", ""],
    ["tenant-shop", "active", ""],
  ]);

  // Sealed with another key under the running issuer; the next authority needs a key that is made and one that is opened.
  const newKey = await stage.folder.put("hub/new.key", `${randomBytes(32).toString("base64")}\n`);
  assert.equal((await custody(stage.folder, "reseal", "--new-key", newKey)).code, 0);
  renameSync(newKey, stage.folder.at("hub/sealing.key"));
  assert.equal((await stage.say("root", "create", "--serving", "west")).code, 0);
  assert.equal((await custody(stage.folder, "check")).code, 0);
});

test("reseal says what it does, does it once, and leaves the old key nothing", async () => {
  await using folder = await initialised("--custody", "sealed");
  const newKey = await folder.put("hub/new.key", `${randomBytes(32).toString("base64")}\n`);
  const would = await custody(folder, "reseal", "--new-key", newKey, "--dry-run");
  assert.match(would.stdout, /^would seal 2 keys with [0-9a-f]{16} instead of [0-9a-f]{16}\n$/);
  assert.equal((await custody(folder, "check")).code, 0);
  const first = await custody(folder, "reseal", "--new-key", newKey);
  assert.match(first.stdout, /^sealed 2 keys with .*\nnext, at every issuer: mv .*new\.key .*sealing\.key\n/);
  const seen: { keys: number; before: boolean } = JSON.parse(
    (await custody(folder, "reseal", "--new-key", newKey, "-o", "json")).stdout,
  );
  assert.deepEqual([seen.keys, seen.before], [2, true]);
  const second = await custody(folder, "reseal", "--new-key", newKey);
  assert.match(second.stdout, /^all 2 keys are sealed with [0-9a-f]{16} already\n/);
  const early = await custody(folder, "check");
  assert.equal(early.code, 2);
  assert.match(early.stderr, /put the file there that sealed it/);
  renameSync(newKey, folder.at("hub/sealing.key"));
  assert.equal((await custody(folder, "check")).code, 0);
});

test("reseal with a key that others can read, or where nothing is sealed, is refused", async () => {
  await using folder = await initialised();
  const newKey = await folder.put("hub/new.key", `${randomBytes(32).toString("base64")}\n`);
  const { code, stderr } = await custody(folder, "reseal", "--new-key", newKey);
  assert.equal(code, 2);
  assert.match(stderr, /custody: keys are kept by file, and not sealed/);
});

test("keys move into the database and back, and are the same keys", async () => {
  await using folder = await initialised();
  await folder.put("hub/files.yaml", byFiles);
  await folder.put("hub/issuer.yaml", bySealing);
  const from = ["--from", folder.at("hub/files.yaml")];
  const dry = await custody(folder, "move", ...from, "--dry-run");
  assert.match(dry.stdout, /^would move: ledger\nwould move: hub-hub-example-[0-9a-f]{8}\n$/);
  assert.ok(!existsSync(folder.at("hub/sealing.key")));
  const there = await custody(folder, "move", ...from);
  assert.match(there.stdout, /^made: .*sealing\.key\nmoved: ledger\nmoved: hub-hub-example-[0-9a-f]{8}\nnext: restart/);
  const again = await custody(folder, "move", ...from);
  assert.match(again.stdout, /^was there already: ledger\nwas there already: hub-/);
  const steps: readonly { kind: string }[] = JSON.parse((await custody(folder, "move", ...from, "-o", "json")).stdout);
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ["was there already", "was there already"],
  );
  renameSync(folder.at("hub/keys"), folder.at("hub/keys.put-away"));
  assert.equal((await custody(folder, "check")).code, 0);

  await folder.put("hub/sealed.yaml", bySealing);
  await folder.put("hub/issuer.yaml", byFiles);
  assert.match(
    (await custody(folder, "move", "--from", folder.at("hub/sealed.yaml"))).stdout,
    /^moved: ledger\nmoved: hub-/,
  );
  assert.equal((await custody(folder, "check")).code, 0);
  const file = (path: string): readonly string[] => readdirSync(folder.at(path)).sort();
  assert.deepEqual(file("hub/keys"), file("hub/keys.put-away"));
  for (const name of file("hub/keys"))
    assert.equal(
      readFileSync(folder.at(`hub/keys/${name}`), "utf8"),
      readFileSync(folder.at(`hub/keys.put-away/${name}`), "utf8"),
    );
});

test("keys under a passphrase move into the database, where the passphrase counts no more", async () => {
  await using base = await openFolder();
  const passphrase = await base.put("passphrase", "correct horse\n");
  await using folder = await initialised("--passphrase-file", passphrase);
  renameSync(folder.at("hub/issuer.yaml"), folder.at("hub/issuer.yaml.before"));
  await folder.put("hub/issuer.yaml", bySealing);
  const moved = await custody(folder, "move", "--from", folder.at("hub/issuer.yaml.before"));
  assert.equal(moved.code, 0, moved.stderr);
  rmSync(passphrase);
  rmSync(folder.at("hub/keys"), { recursive: true });
  assert.equal((await custody(folder, "check")).code, 0);
});

test("check names what a restore has forgotten, and exits with 1", async () => {
  await using folder = await initialised();
  rmSync(folder.at("hub/keys"), { recursive: true });
  const { code, stdout, stderr } = await custody(folder, "check");
  assert.equal(code, 1);
  assert.match(stdout, /^hub-hub-example-[0-9a-f]{8} +active +there is no .*\.key\.pem$/m);
  assert.match(stderr, /2 of 2 keys cannot be used: restore them/);
});

test("another issuer's keys are not moved", async () => {
  await using folder = await initialised();
  const other = await folder.put("hub/other.yaml", `${bySealing}database: other.db\n`);
  const { code, stderr } = await custody(folder, "move", "--from", other);
  assert.equal(code, 2);
  assert.match(stderr, /of different issuers: hub and database have to be the same/);
});
