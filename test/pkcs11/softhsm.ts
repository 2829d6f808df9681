/** Custody in a real token, and what happens to it when its process, its token or its PIN is not as it was. `run` starts this. */
import assert from "node:assert/strict";
import { execFileSync, fork } from "node:child_process";
import { createPublicKey, verify } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Attribute, type Cryptoki, no, number, openCryptoki, yes } from "../../src/custody/cryptoki.ts";
import { openPkcs11Custody } from "../../src/custody/pkcs11.ts";
import type { PoolConfig } from "../../src/custody/pkcs11-pool.ts";
import type { Custody, Signer } from "../../src/custody/signer.ts";
import { custodyContract } from "../contract/custody.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { espalier, hub, openFolder, openStage } from "../ctl/stage.ts";
import { eventually as patiently } from "../support/patience.ts";

const util = process.env["ESPALIER_SOFTHSM_UTIL"] ?? "softhsm2-util";
const module = process.env["ESPALIER_SOFTHSM_MODULE"] ?? "/usr/lib/softhsm/libsofthsm2.so";
const pin = "correct-horse";

const base = temporaryDirectory();
const tokens = join(base.path, "tokens");
mkdirSync(tokens);
const conf = join(base.path, "softhsm2.conf");
writeFileSync(conf, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
process.env["SOFTHSM2_CONF"] = conf;
const pinFile = join(base.path, "pin");
writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 });

const opened: AsyncDisposable[] = [];
after(async () => {
  for (const one of opened) await one[Symbol.asyncDispose]();
  base[Symbol.dispose]();
});

let made = 0;
function freshToken(): string {
  const label = `token-${made++}`;
  const pins = ["--so-pin", "so-pin-of-it", "--pin", pin];
  execFileSync(util, ["--module", module, "--init-token", "--free", "--label", label, ...pins]);
  return label;
}

function openIn(token: string, overrides: Partial<PoolConfig> = {}): ReturnType<typeof openPkcs11Custody> {
  const address = { module, token, pinFile };
  const custody = openPkcs11Custody({ address, sessions: 2, deadlineMs: 20_000, ...overrides });
  opened.push(custody);
  return custody;
}

custodyContract("pkcs11", () => Promise.resolve(openIn(freshToken())));

function holds({ spki }: Signer, bytes: Uint8Array, signature: Uint8Array): boolean {
  return verify("sha256", bytes, createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }), signature);
}

async function signs(signer: Signer): Promise<void> {
  const bytes = Buffer.from("to be signed");
  assert.ok(holds(signer, bytes, await signer.sign(bytes)));
}

/** The processes that this one has started for its tokens. */
function children(): readonly number[] {
  const listed = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").split(" ");
  return listed.filter((id) => id !== "").map(Number);
}

interface Watched {
  readonly custody: Custody;
  /** Its processes. */
  readonly own: () => readonly number[];
}

function watch(overrides: Partial<PoolConfig> = {}): Watched {
  const before = new Set(children());
  return { custody: openIn(freshToken(), overrides), own: () => children().filter((id) => !before.has(id)) };
}

/** Another application's session with the same token, in this process. */
function byHand(token: string): { readonly cryptoki: Cryptoki; readonly session: bigint } & Disposable {
  const cryptoki = openCryptoki(module);
  const { slot } = cryptoki.tokens().find(({ label }) => label === token) ?? {};
  assert.ok(slot !== undefined);
  const session = cryptoki.openSession(slot);
  cryptoki.login(session, Buffer.from(pin));
  return { cryptoki, session, [Symbol.dispose]: () => cryptoki.finalize() };
}

const privateKey = (name: string): readonly Attribute[] => [
  [0x0, number(3)],
  [0x3, Buffer.from(name)],
];

test("a key cannot be taken out of the token, by who knows the PIN either", async () => {
  const token = freshToken();
  const custody = openIn(token);
  await custody.createKey("curve", "P-256");
  await custody.createKey("modulus", "RSA-2048");
  using other = byHand(token);
  const { cryptoki, session } = other;
  // CKA_VALUE, CKA_PRIVATE_EXPONENT; CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, CKA_LOCAL.
  for (const [name, secret] of [
    ["curve", 0x11],
    ["modulus", 0x123],
  ] as const) {
    const [key] = cryptoki.find(session, privateKey(name));
    assert.ok(key !== undefined);
    assert.throws(() => cryptoki.read(session, key, [secret]), {
      message: "C_GetAttributeValue: CKR_ATTRIBUTE_SENSITIVE",
    });
    const said = cryptoki.read(session, key, [0x103, 0x162, 0x165, 0x164, 0x163]).map(([value]) => value);
    assert.deepEqual(said, [1, 0, 1, 1, 1]);
  }
});

test("a key that could be taken out is not used", async () => {
  const token = freshToken();
  {
    using other = byHand(token);
    const mine: readonly Attribute[] = [
      [0x1, yes],
      [0x3, Buffer.from("loose")],
    ];
    const curve: Attribute = [0x180, Buffer.from("06082a8648ce3d030107", "hex")];
    const loose: readonly Attribute[] = [
      [0x2, yes],
      [0x103, no],
      [0x162, yes],
      [0x108, yes],
    ];
    other.cryptoki.generateKeyPair(other.session, 0x1040, [...mine, curve], [...mine, ...loose]);
  }
  const refused = { code: "config", message: /key "loose" of token "token-\d+" can be taken out of it/ };
  await assert.rejects(openIn(token).openKey("loose"), refused);
});

test("a key whose public half is another's is not used", async () => {
  const token = freshToken();
  await openIn(token).createKey("mine", "P-256");
  await openIn(token).createKey("yours", "P-256");
  {
    using other = byHand(token);
    const { cryptoki, session } = other;
    const [mine] = cryptoki.find(session, [
      [0x0, number(2)],
      [0x3, Buffer.from("mine")],
    ]);
    assert.ok(mine !== undefined);
    cryptoki.destroy(session, mine);
    cryptoki.generateKeyPair(
      session,
      0x1040,
      [
        [0x1, yes],
        [0x3, Buffer.from("mine")],
        [0x180, Buffer.from("06082a8648ce3d030107", "hex")],
      ],
      [
        [0x2, yes],
        [0x3, Buffer.from("elsewhere")],
      ],
    );
  }
  await assert.rejects(openIn(token).openKey("mine"), { code: "config", message: /not of the public key beside it/ });
});

for (const signal of ["SIGKILL", "SIGSEGV"] as const) {
  test(`a session whose process ends by ${signal} is opened anew for the next signature`, async () => {
    const { custody, own } = watch();
    const signer = await custody.createKey("k", "P-256");
    const [first, second] = own();
    assert.ok(first !== undefined && second === undefined);
    process.kill(first, signal);
    await signs(signer);
    assert.ok(!own().includes(first));
  });
}

test("signatures that are under way when every process is killed are signed all the same", async () => {
  const { custody, own } = watch();
  const signer = await custody.createKey("k", "P-256");
  const texts = Array.from({ length: 200 }, (_, i) => Buffer.from(`text ${i}`));
  const signing = texts.map(async (text) => await signer.sign(text));
  await delay(20);
  for (const id of own()) process.kill(id, "SIGKILL");
  const signatures = await Promise.all(signing);
  for (const [i, text] of texts.entries()) assert.ok(holds(signer, text, signatures[i] ?? text));
});

test("a module that hangs costs its caller the deadline, and nobody the event loop; another process takes its place", async () => {
  const { custody, own } = watch({ sessions: 1, deadlineMs: 8000 });
  const signer = await custody.createKey("k", "P-256");
  const [hanging] = own();
  assert.ok(hanging !== undefined);
  process.kill(hanging, "SIGSTOP");
  let turns = 0;
  const turning = setInterval(() => (turns += 1), 100);
  await assert.rejects(signer.sign(Buffer.from("x")), { code: "unavailable" });
  clearInterval(turning);
  assert.ok(turns > 3);
  await eventually(async () => await signs(signer));
  assert.ok(!own().includes(hanging));
});

/** A token that is away is asked once a second. */
async function eventually(work: () => Promise<void>): Promise<void> {
  await patiently(work, 120_000, 200);
}

test("a token that is taken away is UNAVAILABLE, and signs when it is back", async () => {
  const custody = openIn(freshToken(), { deadlineMs: 8000 });
  const signer = await custody.createKey("k", "P-256");
  await signs(signer);
  const away = join(base.path, "away");
  renameSync(tokens, away);
  try {
    const refused = { code: "unavailable", message: 'the key "k" in the token cannot sign' };
    await eventually(async () => await assert.rejects(signer.sign(Buffer.from("x")), refused));
  } finally {
    renameSync(away, tokens);
  }
  await eventually(async () => await signs(signer));
});

test("a PIN that is refused is tried once, not told, and not tried again before a restart", async () => {
  const token = freshToken();
  const wrong = join(base.path, "wrong-pin");
  writeFileSync(wrong, "battery-staple\n", { mode: 0o600 });
  const custody = openIn(token, { address: { module, token, pinFile: wrong } });
  const refused = (error: Error & { code?: unknown }): boolean => {
    assert.equal(error.code, "config");
    assert.match(error.message, /does not take the PIN of .*wrong-pin: C_Login: CKR_PIN_INCORRECT$/);
    assert.doesNotMatch(error.message, /battery/);
    return true;
  };
  await Promise.all([1, 2, 3].map(async () => await assert.rejects(custody.openKey("k"), refused)));
  const started = children().length;
  writeFileSync(wrong, `${pin}\n`);
  await assert.rejects(custody.openKey("k"), refused);
  assert.equal(children().length, started);
  await openIn(token, { address: { module, token, pinFile: wrong } }).createKey("k", "P-256");
});

test("a PIN's file that is away for a while is no end", async () => {
  const own = join(base.path, "own-pin");
  writeFileSync(own, pin, { mode: 0o600 });
  const before = new Set(children());
  const custody = openIn("", { address: { module, token: freshToken(), pinFile: own } });
  const signer = await custody.createKey("k", "P-256");
  renameSync(own, `${own}.away`);
  for (const id of children().filter((one) => !before.has(one))) process.kill(id, "SIGKILL");
  await assert.rejects(signer.sign(Buffer.from("x")), { code: "unavailable" });
  renameSync(`${own}.away`, own);
  await eventually(async () => await signs(signer));
});

test("a PIN that others can read is refused", async () => {
  const token = freshToken();
  const open = join(base.path, "open-pin");
  writeFileSync(open, pin, { mode: 0o600 });
  chmodSync(open, 0o644);
  const refused = { code: "config", message: new RegExp(`open to others \\(mode 644\\): chmod 400 ${open}$`) };
  await assert.rejects(openIn(token, { address: { module, token, pinFile: open } }).openKey("k"), refused);
});

test("a token or a module that is not there is named", async () => {
  const address = { module, token: "nobody's", pinFile };
  const refused = { code: "unavailable", message: /there is no token "nobody's", but .*"token-0"/ };
  await assert.rejects(openIn("", { address }).openKey("k"), refused);
  const library = { ...address, module: "/nowhere.so" };
  const message = /^custody\.pkcs11\.module: \/nowhere\.so cannot be loaded: /;
  await assert.rejects(openIn("", { address: library }).openKey("k"), { code: "config", message });
});

test("an issuer is made on a token, and its keys are tried there and go nowhere", async () => {
  await using folder = await openFolder();
  const token = freshToken();
  mkdirSync(folder.at("hub"), { mode: 0o700 });
  const settings = `module: ${module}, token: ${token}, pinFile: ${pinFile}, deadlineMs: 20000`;
  await folder.put("hub/issuer.yaml", `hub: ${hub}\ncustody: { pkcs11: { ${settings} } }\n`);
  const init = await espalier(["init", "--hub", hub, "--dir", folder.at("hub")]);
  assert.equal(init.code, 0, init.stderr);
  const config = ["--config", folder.at("hub/issuer.yaml")];
  const checked = await espalier(["custody", "check", ...config]);
  assert.equal(checked.code, 0, checked.stderr);
  assert.match(checked.stdout, /^ledger +signs$/m);
  assert.match(checked.stdout, /^hub-hub-example-[0-9a-f]{8} +active +signs$/m);
  const files = await folder.put("hub/files.yaml", `hub: ${hub}\n`);
  for (const argv of [
    ["move", ...config, "--from", files],
    ["move", "--config", files, "--from", folder.at("hub/issuer.yaml")],
  ]) {
    const moved = await espalier(["custody", ...argv]);
    assert.equal(moved.code, 2);
    assert.match(moved.stderr, /keys never leave token "token-\d+", and none are brought there/);
  }
});

test("an issuer on a token serves workloads, and goes on when every session is killed under it", async () => {
  const before = new Set(children());
  const address = `module: ${module}, token: ${freshToken()}, pinFile: ${pinFile}, deadlineMs: 20000`;
  await using stage = await openStage({ settings: `hub: ${hub}\ncustody: { pkcs11: { ${address} } }\n` });
  const token = await stage.folder.put("web.token", stage.east.token({ namespace: "shop", serviceAccount: "web" }));
  const request = ["request", "--agent", stage.agent, "--ca", stage.rootFile, "--trust-domain", "shop.example"];
  const ask = async (out: string): Promise<void> => {
    const { code, stderr } = await stage.say(...request, "--token-file", token, "--out", stage.folder.at(out));
    assert.equal(code, 0, stderr);
  };
  await ask("first");
  for (const id of children().filter((one) => !before.has(one))) process.kill(id, "SIGKILL");
  await Promise.all(["second", "third", "fourth"].map(ask));
  const verified = await stage.say("ledger", "verify");
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
});

test("an issuer that is killed leaves no process behind", async () => {
  const token = freshToken();
  const source = `
    const { openPkcs11Custody } = await import(${JSON.stringify(import.meta.resolve("../../src/custody/pkcs11.ts"))});
    const address = ${JSON.stringify({ module, token, pinFile })};
    await openPkcs11Custody({ address, sessions: 1, deadlineMs: 20_000 }).createKey("k", "P-256");
    process.send("made");
  `;
  const script = join(base.path, "issuer.mjs");
  writeFileSync(script, source);
  const issuer = fork(script, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const { pid } = issuer;
  assert.ok(pid !== undefined);
  await new Promise((resolve) => issuer.once("message", resolve));
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
  assert.ok(child !== undefined && child > 0);
  issuer.kill("SIGKILL");
  await eventually(async () => assert.throws(() => process.kill(child, 0), { code: "ESRCH" }));
});
