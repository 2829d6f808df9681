import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openStage, type Said, type Stage } from "./stage.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(async () => await stage[Symbol.asyncDispose]());

const frontend = { namespace: "shop", serviceAccount: "frontend" };

async function ask(account = frontend): Promise<Said> {
  const file = await stage.folder.put("workload.token", `${stage.east.token(account)}\n`);
  const out = stage.folder.at("workload");
  const options = ["--agent", stage.agent, "--ca", stage.rootFile, "--token-file", file, "--out", out];
  return await stage.say("request", ...options, "--trust-domain", "shop.example", "-o", "json");
}

async function serial(account = frontend): Promise<string> {
  const { code, stdout, stderr } = await ask(account);
  assert.equal(code, 0, stderr);
  const { serial: found }: { serial: string } = JSON.parse(stdout);
  return found;
}

async function said(...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await stage.say(...argv);
  assert.equal(code, 0, stderr);
  return stdout;
}

test("revoke serial says how many, what it does not do, and the ledger shows it", async () => {
  const [first, second] = [await serial(), await serial()];
  const file = await stage.folder.put("serials", `${first.toUpperCase()}\n\n${second}\n`);
  assert.match(await said("revoke", "serial", "--file", file, "--dry-run"), /^certificates that would be revoked: 2$/m);
  const done = await said(
    "revoke",
    "serial",
    "--file",
    file,
    "--crl-reason",
    "keyCompromise",
    "--reason",
    "incident 12",
  );
  assert.match(done, /^certificates revoked: 2$/m);
  assert.match(done, /^note: tenant shop is without CRLs: peers take what is revoked until it ends/m);
  const again: Record<string, unknown> = JSON.parse(await said("revoke", "serial", first, "-o", "json"));
  assert.deepEqual([again["revoked"], again["already"], again["changed"], again["dryRun"]], [0, 1, false, false]);
  assert.match(await said("ledger", "show", first), /^revoked: +20\d\d-\S+Z, keyCompromise$/m);
  const shown: { revoked: { reason: string } } = JSON.parse(await said("ledger", "show", second, "-o", "json"));
  assert.equal(shown.revoked.reason, "keyCompromise");
  assert.match(await said("revoke", "list"), new RegExp(`^${first} +shop +tenant-shop-\\w+ +keyCompromise`, "m"));
  const acts = await said("ledger", "list", "--log", "shop", "--limit", "10");
  assert.match(acts, /act +revoke +unix:alice/);
});

test("more serials than one message takes go in several", async () => {
  const own = await serial();
  const file = await stage.folder.put("many", `${own}\n`.repeat(1200));
  assert.match(await said("revoke", "serial", "--file", file), /^certificates revoked: 1, 2 were before$/m);
});

test("revoke workload, and allow workload", async () => {
  await serial();
  const done = await said("revoke", "workload", "shop", "shop/frontend");
  assert.match(done, /^shop\/shop\/frontend gets nothing more$/m);
  assert.match((await ask()).stderr, /denied by an operator/);
  assert.match(await said("revoke", "list"), /^denied: shop\/shop\/frontend$/m);
  assert.match(await said("revoke", "workload", "shop", "shop/frontend"), /gets nothing more already/);
  assert.equal(
    await said("allow", "workload", "shop", "shop/frontend"),
    "shop/shop/frontend gets certificates again\n",
  );
  assert.equal(await said("allow", "workload", "shop", "shop/frontend"), "shop/shop/frontend was not denied\n");
  await serial();
});

test("revoke authority says where it is typed what a thief can still do", async () => {
  const tenant: { authorities: { id: string; state: string }[] } = JSON.parse(
    await said("tenant", "show", "shop", "-o", "json"),
  );
  const id = tenant.authorities.find(({ state }) => state === "active")?.id ?? "";
  const help = await said("revoke", "authority", "--help");
  assert.match(
    help.replaceAll(/\s+/g, " "),
    /peers take that until the root above it is replaced \(`espalier root rotate`\)/,
  );
  assert.match(await said("blast-radius", "authority", id), new RegExp(`espalier revoke authority ${id}`));
  assert.match(await said("revoke", "authority", id, "--dry-run"), /^would do: authority \S+ is revoked$/m);
  const done = await said("revoke", "authority", id);
  assert.match(done, /^tenant-shop-\w+ signs in its place$/m);
  assert.match(done, /^note: peers trust whatever a thief signs with its key until TrustRoot "main" is replaced/m);
  await serial();
});

for (const [kind, name] of [
  ["root", "main"],
  ["cluster", "east"],
  ["tenant", "shop"],
] as const) {
  test(`blast-radius ${kind} prints for people, and with -o json for programs`, async () => {
    const table = await said("blast-radius", kind, name);
    assert.match(table, /^TENANT +TRUST DOMAIN +REACHED +IDENTITIES +LIVE +LAST ENDS +CRLS$/m);
    assert.match(table, /^what mends it, in this order:$/m);
    const json: Record<string, unknown> = JSON.parse(await said("blast-radius", kind, name, "-o", "json"));
    assert.equal(json["name"], name);
    assert.ok(Array.isArray(json["tenants"]) && json["tenants"].length > 0);
  });
}

for (const [argv, says, code] of [
  [["revoke", "serial"], /name serial numbers, or a file of them with --file/, 2],
  [["revoke", "serial", "xyz"], /"xyz" is not a serial number in hex/, 1],
  [["revoke", "serial", "01"], /the ledger has no certificate with the serial number "01": nothing was revoked/, 1],
  [["revoke", "serial", "01", "--crl-reason", "boredom"], /"boredom" is not a reason of RFC 5280/, 1],
  [["revoke", "workload", "shop", "frontend"], /a workload is <namespace>\/<service account>, not "frontend"/, 2],
  [["revoke", "workload", "nope", "a/b"], /no tenant "nope" is declared/, 1],
  [["revoke", "cluster", "nope"], /no cluster "nope" is declared, and nothing of one is live/, 1],
  [["revoke", "authority", "nope"], /there is no authority "nope"/, 1],
  [["blast-radius", "tenant", "nope"], /no tenant "nope" is declared/, 1],
  [["crl", "bring", "main", "/nowhere/root.crl"], /cannot read \/nowhere\/root.crl/, 2],
  [["crl", "bring", "nope", import.meta.filename], /no TrustRoot "nope" is declared/, 1],
  [["crl", "bring", "main", import.meta.filename], /the CRL/, 1],
  [["allow", "workload", "shop", "a/b/c"], /a workload is <namespace>\/<service account>/, 2],
] as const) {
  test(`espalier ${argv.join(" ")} says what is wrong`, async () => {
    const answered = await stage.say(...argv);
    assert.equal(answered.code, code);
    assert.equal(answered.stdout, "");
    assert.match(answered.stderr, says);
  });
}

test("revoke cluster is the last word until it is resumed", async () => {
  const done = await said("revoke", "cluster", "east", "--reason", "incident 13");
  assert.match(done, /^cluster "east" is suspended$/m);
  assert.match(done, /^certificates revoked: \d+/m);
  assert.match(done, /^note: its token keys are as they were: .*`espalier cluster resume east`/m);
  assert.equal((await ask()).code, 1);
});
