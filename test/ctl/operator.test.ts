import assert from "node:assert/strict";
import { copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hubLog } from "../../src/ledger/ledger.ts";
import { eventually } from "../support/patience.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type IssuerStack, startIssuerOn } from "../support/stack.ts";
import { espalier, type Said } from "./stage.ts";

let site: Site;
let issuer: IssuerStack;
before(async () => {
  site = await makeSite({ config: { adminListen: "127.0.0.1:0" } });
  issuer = await startIssuerOn(site);
  // The sequencer gives entries their positions a second behind.
  await eventually(async () => assert.equal((await say("ledger", "show", `${hubLog}/0`)).code, 0));
});
after(async () => {
  await issuer[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

const at = (name: string): string => join(site.directory, name);
const say = async (...argv: readonly string[]): Promise<Said> => await espalier(argv, site.config.adminSocket);

async function create(name: string, role: string, ...more: readonly string[]): Promise<string> {
  const folder = at(`operator-${name}`);
  const address = ["--issuer", `127.0.0.1:${issuer.running.adminPort}`];
  const said = await say("operator", "create", name, "--role", role, ...address, "--out", folder, ...more);
  assert.equal(said.code, 0, said.stderr);
  return folder;
}

function refused({ code, stdout, stderr }: Said, says: RegExp): void {
  assert.equal(code, 1, stdout);
  assert.equal(stdout, "");
  assert.match(stderr, says);
}

test("an operator's folder is its own user's, and the same verbs work with it as on the socket", async () => {
  const folder = await create("alice", "viewer");
  assert.deepEqual(readdirSync(folder).sort(), ["certificate.pem", "hub-root.pem", "issuer", "key.pem"]);
  assert.equal(statSync(join(folder, "key.pem")).mode & 0o777, 0o600);
  for (const verb of [
    ["root", "list"],
    ["tenant", "show", "payments"],
    ["ledger", "show", "@hub/0"],
    ["operator", "list", "-o", "json"],
  ]) {
    const [near, far] = [await say(...verb), await say(...verb, "--as", folder)];
    assert.equal(far.code, 0, far.stderr);
    assert.equal(far.stdout, near.stdout);
  }
  const entries = await say("ledger", "list", "--limit", "3", "--as", folder, "-o", "json");
  assert.equal(JSON.parse(entries.stdout).length, 3);
  assert.equal((await say("ledger", "verify", "--as", folder)).code, 0);
});

test("a viewer is told which role suspends, and the ledger names the operator who does", async () => {
  const suspend = async (folder: string): Promise<Said> =>
    await say("cluster", "suspend", "west", "--reason", "incident 12", "--as", folder);
  refused(await suspend(await create("viewer", "viewer")), /needs the role operator, and operator "viewer" is viewer/);
  assert.equal((await suspend(await create("bob", "operator"))).code, 0);
  const { stdout } = await say("ledger", "list", "--log", "@hub", "--limit", "1", "-o", "json");
  const [{ body }] = JSON.parse(stdout);
  assert.deepEqual([body.verb, body.operator, body.reason], ["suspend-cluster", "operator:bob", "incident 12"]);
});

test("a key that is made elsewhere stays there: only its request goes to the issuer", async () => {
  const own = at("carol");
  assert.equal((await say("operator", "request", "--out", own)).code, 0);
  const key = readFileSync(join(own, "key.pem"), "utf8");
  const signed = await create("carol", "operator", "--request", join(own, "request.pem"));
  assert.deepEqual(readdirSync(signed).sort(), ["certificate.pem", "hub-root.pem", "issuer"]);
  for (const name of readdirSync(signed)) copyFileSync(join(signed, name), join(own, name));
  assert.equal((await say("root", "list", "--as", own)).code, 0);
  // Repeated, it asks with the same key.
  assert.equal((await say("operator", "request", "--out", own)).code, 0);
  assert.equal(readFileSync(join(own, "key.pem"), "utf8"), key);
});

test("who is revoked is told so, and who has another's certificate or another hub's root is told what is wrong", async () => {
  const [dave, erin] = [await create("dave", "admin"), await create("erin", "admin")];
  const list = async (folder: string): Promise<Said> => await say("root", "list", "--as", folder);
  assert.equal((await list(dave)).code, 0);
  const revoked = await say("operator", "revoke", "dave", "--reason", "left", "--as", erin);
  assert.equal(revoked.stdout, 'operator "dave" is revoked\n');
  refused(await list(dave), /operator "dave" was revoked at 20/);
  assert.match((await say("operator", "list")).stdout, /^dave +admin .*Z$/m);

  copyFileSync(join(dave, "certificate.pem"), join(erin, "certificate.pem"));
  const mixed = await list(erin);
  assert.deepEqual([mixed.code, mixed.stdout], [2, ""]);
  assert.match(mixed.stderr, /do not go together/);

  const frank = await create("frank", "viewer");
  writeFileSync(join(frank, "hub-root.pem"), site.servingRootsPem["east"] ?? "");
  refused(await list(frank), /no issuer answers at 127\.0\.0\.1:\d+ as issuer\.hub\.example under .*hub-root\.pem/);
  writeFileSync(join(frank, "issuer"), "nowhere\n");
  assert.equal((await list(frank)).code, 2);
});

test("a dry run makes nothing, on either side", async () => {
  const folder = at("grace");
  const dry = await say("operator", "create", "grace", "--role", "admin", "--out", folder, "--dry-run");
  assert.equal(dry.stdout, 'would make the operator "grace", admin\n');
  assert.throws(() => statSync(folder), { code: "ENOENT" });
  assert.doesNotMatch((await say("operator", "list")).stdout, /grace/);
});

test("--as and --socket are two ways, and not one", async () => {
  const { code, stderr } = await say("root", "list", "--as", "a", "--socket", "b");
  assert.equal(code, 2);
  assert.match(stderr, /cannot be used with option '--socket/);
});
