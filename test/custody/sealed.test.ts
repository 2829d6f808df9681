import assert from "node:assert/strict";
import { createPrivateKey, randomBytes } from "node:crypto";
import { chmodSync, chownSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { openSealedCustody } from "../../src/custody/sealed.ts";
import { createSealingKey, readSealingKey, type SealedKey } from "../../src/custody/sealing-key.ts";
import type { Write } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { custodyContract } from "../contract/custody.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { act } from "../contract/drafts.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
let made = 0;
const freshPath = (name: string): string => join(base.path, `${made++}-${name}`);

async function freshKeyFile(): Promise<string> {
  const path = freshPath("sealing.key");
  await createSealingKey(path);
  return path;
}

async function openFresh(): Promise<Database & { readonly path: string }> {
  const path = freshPath("espalier.db");
  const database = await openSqlite({ path, now: () => new Date(), create: true });
  after(async () => await database[Symbol.asyncDispose]());
  return { ...database, path };
}

custodyContract("sealed", async () => await openSealedCustody(await freshKeyFile(), (await openFresh()).state));

async function oneKey() {
  const keyFile = await freshKeyFile();
  const { state, path } = await openFresh();
  const custody = await openSealedCustody(keyFile, state);
  const signer = await custody.createKey("k", "P-256");
  return { keyFile, state, path, custody, signer };
}

/** Changes the row as who can write the database can. */
function change(path: string, sql: string, ...values: readonly (string | Uint8Array)[]): void {
  const database = new DatabaseSync(path);
  try {
    assert.equal(database.prepare(sql).run(...values).changes, 1);
  } finally {
    database.close();
  }
}

test("nothing of the key is in the database, nor in its journal", async () => {
  const { custody, path } = await oneKey();
  const pkcs8 = Buffer.from(await custody.readKey("k"));
  const { d = "" } = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }).export({ format: "jwk" });
  const name = path.slice(base.path.length + 1);
  for (const file of readdirSync(base.path).filter((one) => one.startsWith(name))) {
    const bytes = readFileSync(join(base.path, file));
    assert.ok(!bytes.includes(Buffer.from(d, "base64url")), file);
  }
});

test("one key is sealed in other bytes each time", async () => {
  const sealing = await readSealingKey(await freshKeyFile());
  const { custody } = await oneKey();
  const key = createPrivateKey({ key: Buffer.from(await custody.readKey("k")), format: "der", type: "pkcs8" });
  const [first, second] = [sealing.seal("k", key), sealing.seal("k", key)];
  assert.notDeepEqual(first.sealed, second.sealed);
  for (const sealed of [first, second]) assert.ok(sealing.unseal(sealed).equals(key));
});

test("issuers on one database share their keys", async () => {
  const { keyFile, state, signer } = await oneKey();
  const other = await openSealedCustody(keyFile, state);
  assert.deepEqual((await other.openKey("k")).spki, signer.spki);
});

test("another sealing key is refused at the start, and the refusal names both and what to do", async () => {
  const { keyFile, state } = await oneKey();
  const other = await freshKeyFile();
  const ids = [(await readSealingKey(keyFile)).id, (await readSealingKey(other)).id];
  const message = new RegExp(`sealed by ${ids[0]}, and ${other} is ${ids[1]}: put the file there that sealed it`);
  await assert.rejects(openSealedCustody(other, state), { code: "config", message });
});

test("a sealed key is its name's and its public key's alone, byte for byte", async () => {
  const { path, custody } = await oneKey();
  await custody.createKey("l", "P-256");
  const refused = { code: "config", message: /"k" in the database is not as it was sealed: restore it from a backup$/ };
  const row = new DatabaseSync(path).prepare("SELECT sealed FROM sealed_keys WHERE name = 'k'").get();
  const sealed = row?.["sealed"];
  assert.ok(sealed instanceof Uint8Array);
  // Another's whole row under this name, and its halves.
  change(path, "UPDATE sealed_keys SET sealed = (SELECT sealed FROM sealed_keys WHERE name = 'l') WHERE name = 'k'");
  await assert.rejects(custody.openKey("k"), refused);
  change(path, "UPDATE sealed_keys SET spki = (SELECT spki FROM sealed_keys WHERE name = 'l') WHERE name = 'k'");
  await assert.rejects(custody.openKey("k"), refused);
  change(path, "UPDATE sealed_keys SET sealed = ? WHERE name = 'k'", sealed);
  await assert.rejects(custody.openKey("k"), refused);
  await custody.openKey("l");
});

test("every flipped or missing byte of a sealed key is refused, and nothing of it is quoted", async () => {
  const { keyFile, state } = await oneKey();
  const sealing = await readSealingKey(keyFile);
  const key = await state.sealedKey("k");
  assert.ok(key);
  const wrong = (sealed: Uint8Array): SealedKey => ({ ...key, sealed });
  const refuses = (one: SealedKey): void =>
    assert.throws(
      () => sealing.unseal(one),
      (error: Error) => {
        assert.match(error.message, /^key "k" (in the database is not as it was sealed|is sealed in format \d*)/);
        assert.equal(error.cause, undefined);
        return true;
      },
    );
  for (let i = 0; i < key.sealed.length; i += 1) {
    const flipped = Uint8Array.from(key.sealed);
    flipped[i] = (flipped[i] ?? 0) ^ 0x01;
    refuses(wrong(flipped));
    refuses(wrong(key.sealed.subarray(0, i)));
  }
  sealing.unseal(key);
});

for (const mode of [0o640, 0o604, 0o620, 0o602]) {
  test(`a sealing key of mode ${mode.toString(8)} is refused, and the refusal says how to mend it`, async () => {
    const { keyFile, state } = await oneKey();
    chmodSync(keyFile, mode);
    const refused = { code: "config", message: new RegExp(`chmod 400 ${keyFile}$`) };
    await assert.rejects(openSealedCustody(keyFile, state), refused);
  });
}

test("somebody else's sealing key is refused", {
  skip: process.geteuid?.() !== 0 && "only root can give files away",
}, async () => {
  const { keyFile, state } = await oneKey();
  chownSync(keyFile, 65_534, 65_534);
  await assert.rejects(openSealedCustody(keyFile, state), { code: "config", message: /belongs to user 65534/ });
});

test("a sealing key may be mounted as Kubernetes mounts a Secret: by symbolic links", async () => {
  const { keyFile, state } = await oneKey();
  const link = freshPath("link");
  symlinkSync(keyFile, link);
  await openSealedCustody(link, state);
});

test("a sealing key may be mounted as Kubernetes mounts a Secret: root's, for the group of the pod", {
  skip: process.geteuid?.() !== 0 && "only root can become somebody else",
}, async () => {
  const { keyFile, state } = await oneKey();
  chownSync(keyFile, 0, 65_534);
  chmodSync(base.path, 0o755);
  const openAs = async (mode: number): Promise<unknown> => {
    chmodSync(keyFile, mode);
    process.setegid?.(65_534);
    process.seteuid?.(65_534);
    try {
      return await openSealedCustody(keyFile, state);
    } finally {
      process.seteuid?.(0);
      process.setegid?.(0);
    }
  };
  await openAs(0o440);
  for (const mode of [0o444, 0o460]) await assert.rejects(openAs(mode), { code: "config", message: /open to others/ });
});

for (const [title, text] of [
  ["too short", randomBytes(31).toString("base64")],
  ["too long", randomBytes(33).toString("base64")],
  ["raw", randomBytes(32).toString("latin1")],
  ["hex", randomBytes(32).toString("hex")],
  ["a phrase", "correct horse battery staple correct horse b="],
  ["empty", ""],
] as const) {
  test(`a sealing key that is ${title} is refused, and not quoted`, async () => {
    const path = freshPath("wrong.key");
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    await assert.rejects(readSealingKey(path), (error: Error) => {
      assert.match(error.message, /is no sealing key: 32 random bytes in base64, as of "openssl rand -base64 32"$/);
      assert.ok(text === "" || !error.message.includes(text));
      return true;
    });
  });
}

test("a sealing key that is not there is refused by its key in the configuration", async () => {
  const refused = { code: "config", message: /^custody\.sealed\.keyFile: \/nowhere cannot be read$/ };
  await assert.rejects(readSealingKey("/nowhere"), refused);
});

test("with another sealing key every key opens as before, and who has the old one makes none", async () => {
  const { keyFile, state, custody, signer } = await oneKey();
  const newFile = await freshKeyFile();
  const [from, to] = [await readSealingKey(keyFile), await readSealingKey(newFile)];
  const resealed = (await state.sealedKeys()).map((key) => to.seal(key.name, from.unseal(key)));
  await state.resealKeys(from.id, resealed, act());
  assert.deepEqual((await (await openSealedCustody(newFile, state)).openKey("k")).spki, signer.spki);
  // This one has not heard of it.
  await assert.rejects(custody.openKey("k"), { code: "config", message: /put the file there that sealed it/ });
  await assert.rejects(custody.createKey("l", "P-256"), { code: "config", message: new RegExp(`sealed by ${to.id}`) });
  // It has when the file is in the place of the old one, without being started anew.
  writeFileSync(keyFile, readFileSync(newFile), { mode: 0o600 });
  await custody.openKey("k");
  await custody.createKey("l", "P-256");
});

test("a key that was made while others were sealed anew stops that, and is not lost", async () => {
  const { keyFile, state, custody } = await oneKey();
  const [from, to] = [await readSealingKey(keyFile), await readSealingKey(await freshKeyFile())];
  const resealed = (await state.sealedKeys()).map((key) => to.seal(key.name, from.unseal(key)));
  await custody.createKey("meanwhile", "P-256");
  await assert.rejects(state.resealKeys(from.id, resealed, act()), { code: "not-ready", message: /run it again$/ });
  for (const name of ["k", "meanwhile"]) await custody.openKey(name);
});

for (const how of ["lost", "kept"] as const) {
  test(`a write that is ${how} though it was reported lost leaves every key whole`, async () => {
    const keyFile = await freshKeyFile();
    const path = freshPath("espalier.db");
    let failing = false;
    const write: Write = (name, commit) => {
      const fails = failing && name === "state";
      if (!fails || how === "kept") commit();
      if (fails) throw new Error("the disk is away");
    };
    await using database = await openSqlite({ path, now: () => new Date(), create: true, write });
    const { state } = database;
    const custody = await openSealedCustody(keyFile, state);
    await custody.createKey("before", "P-256");
    failing = true;
    await assert.rejects(custody.createKey("k", "P-256"), { code: "unavailable" });
    // An orphan, or nothing: its name tells no one which, and no certificate names it.
    if (how === "kept") await custody.openKey("k");
    else await assert.rejects(custody.openKey("k"), { code: "not-found" });

    const newFile = await freshKeyFile();
    const [from, to] = [await readSealingKey(keyFile), await readSealingKey(newFile)];
    const resealed = (await state.sealedKeys()).map((key) => to.seal(key.name, from.unseal(key)));
    await assert.rejects(state.resealKeys(from.id, resealed, act()), { code: "unavailable" });
    const opener = await openSealedCustody(how === "kept" ? newFile : keyFile, state);
    for (const { name } of resealed) await opener.openKey(name);
  });
}
