import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { after, before, test } from "node:test";
import { espalier, openStage, type Said, type Stage } from "./stage.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(async () => await stage[Symbol.asyncDispose]());

async function ask(token: string, ...more: readonly string[]): Promise<Said> {
  const file = await stage.folder.put("workload.token", `${token}\n`);
  const out = stage.folder.at("workload");
  const options = ["--agent", stage.agent, "--ca", stage.rootFile, "--token-file", file, "--out", out];
  return await stage.say("request", ...options, ...more);
}

const frontend = { namespace: "shop", serviceAccount: "frontend" };

test("a workload's certificate is written as Istio's agent would write it", async () => {
  const { code, stdout } = await ask(stage.east.token(frontend), "--trust-domain", "shop.example", "-o", "json");
  assert.equal(code, 0);
  const seen: { identity: string; serial: string } = JSON.parse(stdout);
  assert.equal(seen.identity, "spiffe://shop.example/ns/shop/sa/frontend");
  assert.match(readFileSync(stage.folder.at("workload/cert-chain.pem"), "utf8"), /^-----BEGIN CERTIFICATE-----/);
  assert.equal(statSync(stage.folder.at("workload/key.pem")).mode & 0o777, 0o600);
  const shown = await stage.say("ledger", "show", seen.serial);
  assert.match(shown.stdout, /^rule: +shop\/workloads$/m);
});

test("a refusal says why, and its reference", async () => {
  const { code, stderr } = await ask(stage.east.token(frontend), "--trust-domain", "other.example");
  assert.equal(code, 1);
  assert.match(stderr, /^error: the CSR names .* \(reference [0-9a-f]+\)\n$/);
});

test("an agent that is not there is named, and what may be wrong", async () => {
  const argv = ["--agent", "localhost:1", "--ca", stage.rootFile, "--identity", "spiffe://a/b"];
  const { code, stderr } = await stage.say("request", ...argv, "--timeout", "3000");
  assert.equal(code, 1);
  assert.match(stderr, /no agent answers at localhost:1 under --ca; is its name there another \(--server-name\)\?/);
});

for (const [options, says] of [
  [["--validity", "long"], /--validity is a whole number from 0, not "long"/],
  [["--timeout", "0"], /--timeout is a whole number from 1, not "0"/],
  [["--key-type", "DSA"], /--key-type is one of P-256, .*, not "DSA"/],
  [["--cert", "x"], /--cert and --key go together/],
] as const) {
  test(`request ${options.join(" ")} is not understood`, async () => {
    const { code, stderr } = await ask(stage.east.token(frontend), "--trust-domain", "shop.example", ...options);
    assert.equal(code, 2);
    assert.match(stderr, says);
  });
}

const printsData = [
  ["root", "list"],
  ["root", "create", "main"],
  ["root", "create", "--serving", "west", "--dry-run"],
  ["tenant", "list"],
  ["tenant", "show", "shop"],
  ["cluster", "list"],
  ["cluster", "show", "east"],
  ["cluster", "keys", "east"],
  ["cluster", "keys", "remove", "west", "--all"],
  ["ledger", "list"],
  ["ledger", "show", "@hub/0"],
  ["ledger", "verify"],
  ["tenant", "suspend", "shop"],
  ["tenant", "resume", "shop"],
];
for (const argv of printsData) {
  test(`espalier ${argv.join(" ")} prints for people, and with -o json for programs`, async () => {
    const [table, json] = [await stage.say(...argv), await stage.say(...argv, "-o", "json")];
    assert.equal(table.code, 0, table.stderr);
    assert.equal(json.code, 0, json.stderr);
    assert.notEqual(table.stdout, "");
    const data: unknown = JSON.parse(json.stdout);
    assert.equal(typeof data, "object");
  });
}

test("--dry-run of root create makes none", async () => {
  const { stdout } = await stage.say("root", "create", "--serving", "west", "--dry-run");
  assert.equal(stdout, 'would make a serving root "west" with a key of P-256\n');
  const roots: { name: string }[] = JSON.parse((await stage.say("root", "list", "-o", "json")).stdout);
  assert.ok(!roots.some(({ name }) => name === "west"));
});

test("root create again shows the one there is", async () => {
  const { code, stdout } = await stage.say("root", "create", "main");
  assert.equal(code, 0);
  assert.match(stdout, /^the workload root "main" is there already\n/);
});

test("a root and a tenant's bundle come as PEM", async () => {
  const root = await stage.say("root", "show", "main");
  const bundle = await stage.say("tenant", "bundle", "shop");
  assert.match(root.stdout, /^-----BEGIN CERTIFICATE-----\n[\s\S]*-----END CERTIFICATE-----\n$/);
  assert.equal(bundle.stdout, root.stdout);
});

for (const [argv, says] of [
  [["root", "create", "nope"], /no TrustRoot "nope" is declared: write one into the resources first/],
  [["root", "show", "nope"], /`espalier root list` shows what there is/],
  [["tenant", "show", "nope"], /`espalier tenant list` shows what there is/],
  [["cluster", "show", "nope"], /`espalier cluster list` shows what there is/],
  [["cluster", "keys", "nope"], /`espalier cluster list` shows what there is/],
  [["cluster", "keys", "remove", "nope", "--all"], /no cluster "nope" is declared/],
  [["cluster", "keys", "reject", "nope"], /no cluster "nope" is declared/],
  [["cluster", "keys", "approve", "west", "--thumbprint", "a".repeat(43)], /keys: \{proposed: approved\}/],
  [["tenant", "suspend", "nope"], /no tenant "nope" is declared/],
  [["ledger", "show", "shop/9999"], /give a serial in hex, or log\/position/],
  [["cluster", "join-token", "east", "--thumbprint", "a".repeat(43)], /declares its keys and needs no join token/],
  [["cluster", "join-token", "west", "--thumbprint", "short"], /43 characters/],
] as const) {
  test(`espalier ${argv.join(" ")} says what is wrong`, async () => {
    const { code, stdout, stderr } = await stage.say(...argv);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, says);
  });
}

test("tenant list and cluster list say what keeps one from being served, and the verb that helps", async () => {
  const { stdout } = await stage.say("cluster", "list");
  assert.match(stdout, /^west .* not ready +it has no serving root: run `espalier root create --serving west`$/m);
});

test("a tenant's authority is shown with its end and what comes next", async () => {
  const { stdout } = await stage.say("tenant", "list");
  assert.match(stdout, /^shop .* ready +20\d\d-\S+Z +a successor is made from 20\d\d-\S+Z$/m);
  assert.match((await stage.say("tenant", "show", "shop")).stdout, /^next: +a successor is made from 20\d\d-\S+Z$/m);
});

test("who and why stand in the ledger", async () => {
  await stage.say("cluster", "suspend", "west", "--reason", "incident 12");
  const entries: { kind: string; body: Record<string, string> }[] = JSON.parse(
    (await stage.say("ledger", "list", "--log", "@hub", "--limit", "5", "-o", "json")).stdout,
  );
  const act = entries.find(({ body }) => body["verb"] === "suspend-cluster");
  assert.equal(act?.body["operator"], "unix:alice");
  assert.equal(act?.body["reason"], "incident 12");
  assert.match((await stage.say("cluster", "suspend", "west")).stdout, /is suspended already/);
  assert.match((await stage.say("cluster", "resume", "west")).stdout, /is now not suspended/);
});

test("a join token is printed once and alone; the ledger and every list know only that there is one", async () => {
  const jwks = await stage.folder.put("west.json", JSON.stringify(stage.west.jwks));
  const { code, stdout, stderr } = await stage.say("cluster", "join-token", "west", "--jwks", jwks);
  assert.equal(code, 0);
  assert.match(stdout, /^esj_[A-Za-z0-9_-]{43}\n$/);
  assert.equal(stderr, "");
  const token = stdout.trim();
  for (const argv of [...printsData, ["cluster", "show", "west"], ["ledger", "list", "-o", "json"]])
    assert.ok(!(await stage.say(...argv)).stdout.includes(token.slice(4)), argv.join(" "));
});

test("a workload's token is in no output, however the request ends", async () => {
  const good = stage.east.token(frontend);
  const garbage = `aaaa.${Buffer.from("secret, and no JSON").toString("base64url")}.bbbb`;
  const said = [
    await ask(good, "--trust-domain", "shop.example"),
    await ask(good, "--trust-domain", "other.example"),
    await ask(stage.west.token(frontend), "--trust-domain", "shop.example"),
    await ask(garbage, "--trust-domain", "shop.example"),
    await ask(garbage, "--identity", "spiffe://shop.example/ns/shop/sa/frontend"),
    await stage.say("ledger", "list", "-o", "json"),
  ];
  for (const { stdout, stderr } of said) {
    for (const part of [...good.split("."), "secret, and"]) assert.ok(!(stdout + stderr).includes(part), stderr);
    assert.doesNotMatch(stderr, /\n {4}at /);
  }
  const sha256 = createHash("sha256").update(good).digest("hex");
  assert.ok(said.at(-1)?.stdout.includes(sha256));
});

test("a directory in the way is the machine's fault, in one line", async () => {
  const file = await stage.folder.put("in-the-way", "");
  const { code, stderr } = await ask(
    stage.east.token(frontend),
    "--trust-domain",
    "shop.example",
    "--out",
    `${file}/x`,
  );
  assert.equal(code, 1);
  assert.match(stderr, /^error: ENOTDIR.*\n$/);
});

test("the socket may be named by an option", async () => {
  const { code } = await espalier(["root", "list", "--socket", stage.folder.at("hub/admin.sock")]);
  assert.equal(code, 0);
});
