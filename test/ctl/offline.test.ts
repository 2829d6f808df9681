/** Roots from elsewhere, by the verbs that docs/roots.md has; OpenSSL is whoever has the root's key. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { document, tenantDocument, toYaml } from "../support/documents.ts";
import { hasOpenssl } from "../support/pki-openssl.ts";
import { eastDocument, espalier, type Hub, linesOf, openHub, type Said } from "./stage.ts";

const rulesFor = (namespace: string) => [{ name: "workloads", clusters: ["east"], namespaces: [namespace] }];
const resources = toYaml([
  document("TrustRoot", "corporate", { source: "offline" }),
  document("TrustRoot", "main", { source: "brought" }),
  document("TrustRoot", "own", {}),
  eastDocument({ joined: true }),
  tenantDocument("payments", { root: "corporate", rules: rulesFor("payments") }),
  tenantDocument("shop", { rules: rulesFor("shop") }),
]);

let hub: Hub;
before(async () => {
  hub = await openHub(resources);
});
after(async () => await hub[Symbol.asyncDispose]());

function documented(first: string, last: string): string {
  return linesOf("docs/roots.md", first, last);
}

/** In the air-gapped machine's directory. */
function shell(script: string, { folder } = hub): string {
  return execFileSync("bash", ["-euo", "pipefail", "-c", script], {
    cwd: folder.path,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** What proves an authority is dated a second back, and OpenSSL has dated everything now. */
async function provable(): Promise<void> {
  await delay(1100);
}

async function said(...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await hub.say(...argv);
  assert.equal(code, 0, stderr);
  return stdout;
}

interface Authority {
  readonly id: string;
  readonly tenant: string;
  readonly state: string;
  readonly keySha256: string;
  readonly pem: string;
}

async function authorities(tenant: string): Promise<readonly Authority[]> {
  const found: Authority[] = JSON.parse(await said("authority", "list", tenant, "-o", "json"));
  return found;
}

test("an offline root's authority goes by OpenSSL alone, as docs/roots.md has it", { skip: !hasOpenssl }, async () => {
  const { folder } = hub;
  shell(documented("cat > root.cnf", "-out root.pem"));
  const dry = await said("root", "bring", "corporate", "--certificate", folder.at("root.pem"), "--dry-run");
  assert.match(dry, /^would bring the workload root "corporate"\nstate: +would be active\n/);
  assert.match(
    (await hub.say("root", "create", "corporate")).stderr,
    /has source offline: `espalier root bring corporate/,
  );
  assert.match(
    await said("root", "bring", "corporate", "--certificate", folder.at("root.pem")),
    /^brought the workload root/,
  );
  assert.match(
    await said("root", "bring", "corporate", "--certificate", folder.at("root.pem")),
    /has this certificate already/,
  );
  assert.match(
    await said("tenant", "show", "payments"),
    /waits for a certificate: run `espalier authority request payments`/,
  );

  const asked = await hub.say("authority", "request", "payments");
  assert.match(asked.stderr, /^asked for: +CA with path length 0, valid for 365 days$/m);
  await folder.put("payments.csr", asked.stdout);
  const script = documented("cat > authority.ext", "-out payments.pem");
  const printed = shell(script);
  assert.match(printed, /CA:TRUE, pathlen:0/);
  const [waiting] = await authorities("payments");
  assert.ok(waiting);
  assert.equal(waiting.state, "waiting");
  assert.ok(printed.includes(waiting.keySha256), "the digest that is compared by eye is another");

  const file = folder.at("payments.pem");
  await provable();
  assert.match(await said("authority", "take", file, "--dry-run"), /^would take /);
  assert.match(await said("authority", "take", file, "--reason", "ceremony"), /^took .*\n(?:.*\n)*state: +active$/m);
  assert.match(await said("authority", "take", file), /has this certificate already, and is active/);
  assert.match(await said("tenant", "show", "payments"), /^state: +ready$/m);
  await folder.put("bundle.pem", await said("tenant", "bundle", "payments"));
  assert.match(shell("openssl verify -x509_strict -CAfile bundle.pem payments.pem"), /OK/);
  assert.equal(shell("cat bundle.pem"), shell("openssl x509 -in root.pem"));

  // Another answer to the same request, and one for a key that never asked.
  const second = script.replaceAll("payments.pem", "second.pem");
  shell(second);
  assert.match(
    (await hub.say("authority", "take", folder.at("second.pem"))).stderr,
    /was answered by another certificate/,
  );
  shell(
    `openssl req -new -nodes -newkey rsa:2048 -keyout other.key -subj /CN=x -out payments.csr 2>/dev/null; ${second}`,
  );
  assert.match(
    (await hub.say("authority", "take", folder.at("second.pem"))).stderr,
    /no authority waits for a certificate of this key/,
  );
  assert.match((await hub.say("authority", "request", "payments")).stderr, /no authority of "payments" waits/);
  assert.match((await hub.say("authority", "show", "nope")).stderr, /`espalier authority list` shows/);
  assert.match(await said("authority", "show", waiting.id), /^state: +active$/m);
  assert.deepEqual(hub.log.of("authority taken").length, 1);
});

test("authority sign does the same where no issuer is, and says what it signs", { skip: !hasOpenssl }, async () => {
  await using other = await openHub(resources);
  const { folder } = other;
  const inside = (script: string): string => shell(script, other);
  inside(documented("cat > root.cnf", "-out root.pem"));
  inside(
    "openssl pkcs8 -topk8 -in root.key -passout pass:secret -v2 aes-256-cbc -out locked.key; echo secret > passphrase",
  );
  await other.say("root", "bring", "corporate", "--certificate", folder.at("root.pem"));
  const asked = await other.say("authority", "request");
  const csr = await folder.put("payments.csr", asked.stdout);
  const kept = await espalier(["custody", "check", "--config", folder.at("hub/issuer.yaml"), "-o", "json"]);
  const found: { name: string; state: string; fault: string }[] = JSON.parse(kept.stdout);
  assert.deepEqual(
    found.filter(({ state }) => state === "waiting").map(({ name, fault }) => [name.slice(0, -8), fault]),
    [["tenant-payments-", ""]],
  );
  const sign = async (...more: readonly string[]): Promise<Said> =>
    await espalier(["authority", "sign", "--root", folder.at("root.pem"), "--request", csr, ...more]);
  const locked = ["--key", folder.at("locked.key"), "--passphrase-file", folder.at("passphrase")];

  const looked = await sign(...locked, "--dry-run");
  assert.deepEqual([looked.code, looked.stdout], [0, ""]);
  assert.match(looked.stderr, /^subject: +CN=Espalier authority [0-9a-f]{8} payments$/m);
  const [digest] = /[0-9a-f]{64}/.exec(looked.stderr) ?? [];
  assert.ok(digest && asked.stderr.includes(digest));
  for (const [options, says] of [
    [["--key", folder.at("locked.key")], /is encrypted: --passphrase-file/],
    [["--key", folder.at("locked.key"), "--passphrase-file", csr], /does not open with that passphrase/],
    [["--key", csr], /is no private key in PEM/],
    [[...locked, "--days", "0"], /--days is a whole number from 1/],
  ] as const) {
    const refused = await sign(...options);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, says);
    assert.equal(refused.stdout, "");
  }
  inside("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out strange.key");
  assert.match((await sign("--key", folder.at("strange.key"))).stderr, /strange\.key is not the key of .*root\.pem/);

  const signed = await sign(...locked, "--days", "200");
  assert.equal(signed.code, 0, signed.stderr);
  const file = await folder.put("payments.pem", signed.stdout);
  inside("openssl verify -x509_strict -CAfile root.pem payments.pem");
  await provable();
  const taken = await other.say("authority", "take", file, "-o", "json");
  const answer: { changed: boolean; authority: { state: string } } = JSON.parse(taken.stdout);
  assert.deepEqual([answer.changed, answer.authority.state], [true, "active"]);
  assert.deepEqual((await other.say("ledger", "verify")).code, 0);
});

test("a root is brought with its key, and its tenants are served; the key is in no output, log or act", {
  skip: !hasOpenssl,
}, async () => {
  const { folder } = hub;
  shell(documented("cat > root.cnf", "-out root.pem").replaceAll(/root\.(key|pem)/g, "main.$1"));
  shell(
    "openssl pkcs8 -topk8 -in main.key -passout pass:secret -v2 aes-256-cbc -out main.locked; echo secret > passphrase",
  );
  shell(documented("cat > root.cnf", "-out root.pem").replaceAll(/root\.(key|pem)/g, "strange.$1"));
  const certificate = ["--certificate", folder.at("main.pem")];
  const locked = ["--key", folder.at("main.locked"), "--passphrase-file", folder.at("passphrase")];
  const refused = async (says: RegExp, ...argv: readonly string[]): Promise<void> => {
    const { code, stdout, stderr } = await hub.say("root", "bring", ...argv);
    assert.notEqual(code, 0, stdout);
    assert.match(stderr, says);
  };
  await refused(/source brought: `espalier root bring main --certificate FILE --key FILE`/, "main", ...certificate);
  await refused(/the key is not the certificate's/, "main", ...certificate, "--key", folder.at("strange.key"));
  await refused(/main\.locked is encrypted/, "main", ...certificate, "--key", folder.at("main.locked"));
  await refused(/no TrustRoot "nope" is declared/, "nope", ...certificate, ...locked);
  await refused(/source espalier/, "own", ...certificate, ...locked);
  await refused(/source offline/, "corporate", ...certificate, ...locked);
  await refused(/is no private key/, "main", ...certificate, "--key", folder.at("main.pem"));
  await refused(
    /holds 2 certificates/,
    "main",
    "--certificate",
    await folder.put("two.pem", shell("cat main.pem strange.pem")),
    ...locked,
  );

  await provable();
  const dry = await said("root", "bring", "main", ...certificate, ...locked, "--dry-run", "-o", "json");
  assert.equal(JSON.parse(dry).root.created, false);
  const brought = await said("root", "bring", "main", ...certificate, ...locked, "--reason", "ours");
  assert.match(brought, /^brought the workload root "main"\nstate: +active\n/);
  assert.match(brought, /Destroy .*main\.locked and every copy of it: shred -u/);
  assert.match(await said("root", "bring", "main", ...certificate, ...locked), /has this certificate already/);
  assert.match(await said("tenant", "show", "shop"), /^state: +ready$/m);
  const [authority] = await authorities("shop");
  await folder.put("shop.pem", authority?.pem ?? "");
  assert.match(shell("openssl verify -x509_strict -CAfile main.pem shop.pem"), /OK/);

  // Of another TrustRoot's, and of the hub's.
  await refused(/its key is that of root "main"/, "corporate", ...certificate);
  await refused(/its key is that of hub/, "corporate", "--certificate", folder.at("hub/hub-root.pem"));
  // A later one waits to be rotated to.
  const later = await said(
    "root",
    "bring",
    "main",
    "--certificate",
    folder.at("strange.pem"),
    "--key",
    folder.at("strange.key"),
  );
  assert.match(later, /^state: +prepared$/m);
  assert.match(later, /it signs nothing yet: espalier root status main/);
  assert.match(await said("root", "status", "main"), /prepared/);

  const entries = await said("ledger", "list", "--limit", "1000", "-o", "json");
  assert.match(entries, /bring-root/);
  const pem = readFileSync(folder.at("main.key"), "utf8").split("\n").slice(1, 3);
  const der = shell("openssl pkcs8 -topk8 -nocrypt -in main.key -outform DER | base64 -w0").slice(40, 100);
  for (const part of [...pem, der, "secret"])
    for (const text of [entries, brought, JSON.stringify(hub.log.lines)])
      assert.ok(!text.includes(part), "the key is told");
  assert.equal((await hub.say("ledger", "verify")).code, 0);
});
