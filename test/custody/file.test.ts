import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, chownSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { openFileCustody } from "../../src/custody/file.ts";
import { custodyContract } from "../contract/custody.ts";
import { temporaryDirectory } from "../contract/directory.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
let made = 0;
const freshDirectory = () => join(base.path, `keys-${made++}`, "inner");

function passphrase(text: string): string {
  const path = join(base.path, `passphrase-${made++}`);
  writeFileSync(path, text);
  return path;
}

custodyContract("file", () => openFileCustody({ directory: freshDirectory() }));
custodyContract("encrypted file", () =>
  openFileCustody({ directory: freshDirectory(), passphraseFile: passphrase("open sesame\n") }),
);

async function oneKey(passphraseFile?: string) {
  const directory = freshDirectory();
  const custody = await openFileCustody({ directory, ...(passphraseFile === undefined ? {} : { passphraseFile }) });
  await custody.createKey("k", "P-256");
  return { directory, path: join(directory, "k.key.pem"), custody };
}

test("a key is a file of mode 600 in a directory of mode 700, and nothing else is left there", async () => {
  const { directory, path } = await oneKey();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(directory), ["k.key.pem"]);
});

test("opening makes no directory", async () => {
  const directory = freshDirectory();
  const custody = await openFileCustody({ directory });
  await assert.rejects(custody.openKey("k"), { code: "not-found" });
  assert.throws(() => statSync(directory), { code: "ENOENT" });
});

test("a name that is taken leaves the key and no temporary file", async () => {
  const { directory, path, custody } = await oneKey();
  const before = readFileSync(path, "utf8");
  await assert.rejects(custody.createKey("k", "P-256"), { code: "not-ready" });
  assert.equal(readFileSync(path, "utf8"), before);
  assert.deepEqual(readdirSync(directory), ["k.key.pem"]);
});

for (const mode of [0o640, 0o620, 0o604, 0o602]) {
  test(`a key of mode ${mode.toString(8)} is refused, and the refusal says how to mend it`, async () => {
    const { path, custody } = await oneKey();
    chmodSync(path, mode);
    await assert.rejects(custody.openKey("k"), { code: "config", message: new RegExp(`chmod 600 ${path}$`) });
  });
}

test("a directory that others may write is refused, to open and to make keys in", async () => {
  const { directory, custody } = await oneKey();
  chmodSync(directory, 0o770);
  const refused = { code: "config", message: new RegExp(`chmod 700 ${directory}$`) };
  await assert.rejects(custody.openKey("k"), refused);
  await assert.rejects(custody.createKey("l", "P-256"), refused);
  await assert.rejects(openFileCustody({ directory }), refused);
});

test("somebody else's key is refused", {
  skip: process.geteuid?.() !== 0 && "only root can give files away",
}, async () => {
  const { path, custody } = await oneKey();
  chownSync(path, 65_534, 65_534);
  await assert.rejects(custody.openKey("k"), { code: "config", message: /belongs to user 65534/ });
});

test("a symbolic link is refused", async () => {
  const { directory, path, custody } = await oneKey();
  symlinkSync(path, join(directory, "link.key.pem"));
  await assert.rejects(custody.openKey("link"), { code: "config", message: /symbolic link/ });
});

test("another passphrase is refused, and so is none", async () => {
  const { directory } = await oneKey(passphrase("right"));
  const wrong = await openFileCustody({ directory, passphraseFile: passphrase("wrong") });
  await assert.rejects(wrong.openKey("k"), { code: "config", message: /does not open with the passphrase/ });
  const none = await openFileCustody({ directory });
  await assert.rejects(none.openKey("k"), { code: "config", message: /no passphrase is set/ });
});

test("a plain key is refused where a passphrase is set", async () => {
  const { directory } = await oneKey();
  const custody = await openFileCustody({ directory, passphraseFile: passphrase("right") });
  await assert.rejects(custody.openKey("k"), { code: "config", message: /not encrypted/ });
});

test("a passphrase file that is empty or missing is refused", async () => {
  const directory = freshDirectory();
  await assert.rejects(openFileCustody({ directory, passphraseFile: passphrase("\n") }), { code: "config" });
  await assert.rejects(openFileCustody({ directory, passphraseFile: "/nowhere" }), { code: "config" });
});

test("a key of another kind, and what is no key, are refused without being quoted", async () => {
  const { path, custody } = await oneKey();
  writeFileSync(path, generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }));
  await assert.rejects(custody.openKey("k"), { code: "config", message: /algorithm/ });
  writeFileSync(path, "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n");
  await assert.rejects(
    custody.openKey("k"),
    (error: Error) => !error.message.includes("secret") && error.cause === undefined,
  );
});

test("OpenSSL reads the keys, encrypted or not", async () => {
  const { path } = await oneKey();
  const file = passphrase("right");
  const encrypted = await oneKey(file);
  const openssl = (...args: string[]) => execFileSync("openssl", ["pkey", "-noout", "-text", ...args]).toString();
  assert.match(openssl("-in", path), /P-256/);
  assert.match(openssl("-in", encrypted.path, "-passin", `file:${file}`), /P-256/);
  assert.match(readFileSync(encrypted.path, "utf8"), /ENCRYPTED PRIVATE KEY/);
});
