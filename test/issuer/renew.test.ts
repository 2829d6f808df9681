import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openFileCustody } from "../../src/custody/file.ts";
import { Refusal } from "../../src/errors.ts";
import { openLive } from "../../src/issuer/live.ts";
import { startRenewal } from "../../src/issuer/renew.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { loadDirectory } from "../../src/resources/load.ts";
import { call, openAdmin } from "../../src/rpc/client.ts";
import type { Tenants__Output } from "../../src/rpc/gen/espalier/v1/Tenants.ts";
import { daySeconds } from "../support/clock.ts";
import {
  clusterDocument,
  type Document,
  document,
  hubName,
  tenantDocument,
  usualDocuments,
} from "../support/documents.ts";
import { openKeptLog } from "../support/kept-log.ts";
import { eventually } from "../support/patience.ts";
import { makeSite } from "../support/site.ts";
import { type Moment, moments, spawnIssuer } from "../support/spawn-issuer.ts";
import { startStack } from "../support/stack.ts";
import { assertIssued } from "../support/workload.ts";

const aheadSeconds = 601;

test("workloads see no refusal while their authority is renewed, and then its successor's chain", async () => {
  await using stack = await startStack({ bornDaysAgo: 183, renewalMs: 30 });
  const { issuer, site, clock } = stack;
  const workload = await stack.workload("east");
  const answers: (readonly string[])[] = [];
  const asking = new AbortController();
  const load = (async () => {
    while (!asking.signal.aborted) answers.push(assertIssued(await workload.ask()));
  })();
  const rootOf = new X509Certificate(answers.at(-1)?.at(-1) ?? assertIssued(await workload.ask()).at(-1) ?? "");
  /** The authority of the newest leaf. */
  const newest = (): X509Certificate => new X509Certificate(answers.at(-1)?.[1] ?? "");

  await eventually(() => assert.ok(answers.length > 1));
  const first = newest();
  assert.equal(issuer.log.of("authority prepared").length, 2, "both tenants'");
  assert.equal(issuer.log.of("authority active").length, 0);
  clock.offsetSeconds += aheadSeconds;
  await eventually(() => assert.notEqual(newest().fingerprint256, first.fingerprint256));
  const second = newest();

  // Another algorithm is a successor too.
  const usual = usualDocuments().map((one) => JSON.parse(JSON.stringify(one)));
  for (const one of usual) if (one.metadata.name === "payments") one.spec.authority = { algorithm: "P-384" };
  site.declare(usual);
  await eventually(() => assert.equal(issuer.log.of("authority prepared").length, 3));
  clock.offsetSeconds += aheadSeconds;
  await eventually(() => assert.equal(newest().publicKey.asymmetricKeyDetails?.namedCurve, "secp384r1"));
  asking.abort();
  await load;

  const authorities = [first, second, newest()].map((one) => one.fingerprint256);
  let generation = 0;
  for (const [leafPem = "", abovePem = "", rootPem = ""] of answers) {
    const [leaf, above] = [new X509Certificate(leafPem), new X509Certificate(abovePem)];
    assert.ok(leaf.verify(above.publicKey) && above.verify(rootOf.publicKey));
    assert.equal(new X509Certificate(rootPem).fingerprint256, rootOf.fingerprint256);
    const found = authorities.indexOf(above.fingerprint256);
    assert.ok(found >= generation, "an older one signed after a newer one");
    generation = found;
  }
  assert.equal(generation, 2);

  const admin = openAdmin(site.config.adminSocket);
  const { tenants } = await call<object, Tenants__Output>(admin.listTenants.bind(admin), {}, 10_000);
  admin.close();
  const payments = tenants.find(({ name }) => name === "payments");
  assert.deepEqual(
    payments?.authorities.map(({ state }) => state),
    ["retiring", "retiring", "active"],
  );
  const due = Date.parse(payments?.next.replace("a successor is made from ", "") ?? "");
  assert.ok(Math.abs(due - Date.now() - 182.5 * daySeconds * 1000) < daySeconds * 1000, payments?.next);
  const shown = await issuer.metrics.registry.getSingleMetricAsString("espalier_issuer_authority_expiry_seconds");
  const left = Number(/kind="tenant",owner="payments"\} (\d+)/.exec(shown)?.[1]);
  assert.ok(Math.abs(left - 365 * daySeconds) < 3600, shown);
  for (const kind of ["hub", "root", "serving"])
    assert.match(shown, new RegExp(`kind="${kind}",owner="[a-z.]+"} \\d+`));
  await issuer[Symbol.asyncDispose]();
  await site.verify();
});

test("who asks for longer certificates by an edit has them from a successor, and until then what the authority has left", async () => {
  const tenant = (validityDays: number, days: number): Document =>
    tenantDocument("payments", {
      rules: [{ name: "pods", clusters: ["east"], namespaces: ["pay-*"] }],
      authority: { validityDays },
      profiles: { workload: { maximumSeconds: days * daySeconds } },
    });
  const documents = (one: Document): readonly Document[] => [
    document("TrustRoot", "main", {}),
    one,
    clusterDocument("east"),
  ];
  await using stack = await startStack({ bornDaysAgo: 20, renewalMs: 30, documents: documents(tenant(100, 30)) });
  const { issuer, site } = stack;
  const workload = await stack.workload("east");
  const answers: { readonly days: number; readonly toEnd: number; readonly above: X509Certificate }[] = [];
  const asking = new AbortController();
  const load = (async () => {
    while (!asking.signal.aborted) {
      const at = Date.now();
      const [leaf = "", above = ""] = assertIssued(await workload.ask({ validity: String(90 * daySeconds) }));
      const [one, signer] = [new X509Certificate(leaf), new X509Certificate(above)];
      assert.ok(one.verify(signer.publicKey));
      const end = +one.validToDate;
      answers.push({
        days: (end - at) / 1000 / daySeconds,
        toEnd: (+signer.validToDate - end) / 1000 / daySeconds,
        above: signer,
      });
    }
  })();
  const next = async (): Promise<(typeof answers)[number]> => {
    const seen = answers.length;
    return await eventually(() => answers[seen + 1] ?? assert.fail("nobody was answered"));
  };
  const assertAbout = ({ days }: { readonly days: number }, expected: number): void =>
    assert.ok(Math.abs(days - expected) < 0.1, `${days} days`);
  const first = await next();
  assertAbout(first, 30);

  // No successor can be made while the root's key is away.
  const key = join(site.config.keys, readdirSync(site.config.keys).find((name) => name.startsWith("root-")) ?? "");
  renameSync(key, `${key}.away`);
  site.declare(documents(tenant(365, 90)));
  await eventually(() => assert.equal(issuer.log.of("resources in force").length, 1));
  const meanwhile = await next();
  assert.equal(meanwhile.toEnd, 0, "it ends with its authority");
  assertAbout(meanwhile, 80);
  assert.ok(issuer.log.of("authorities not made").length > 0);
  assert.equal(issuer.log.of("authority prepared").length, 0);

  renameSync(`${key}.away`, key);
  await eventually(() => assert.equal(issuer.log.of("authority active").length, 1));
  await eventually(async () => assertAbout(await next(), 90));
  asking.abort();
  await load;
  const signers = [...new Set(answers.map(({ above }) => above.fingerprint256))];
  assert.deepEqual([signers.length, signers[0]], [2, first.above.fingerprint256]);
  for (const { days, above } of answers)
    assert.equal(days > 81, above.fingerprint256 === signers[1], `${days} days under ${above.subject}`);
  await issuer[Symbol.asyncDispose]();
  await site.verify();
});

test("an authority without a successor is told of from a third of its life on, once a day, by the one that leads", async () => {
  using site = await makeSite({ bornDaysAgo: 240 });
  const custody = await openFileCustody({ directory: site.config.keys });
  const keys = readdirSync(site.config.keys);
  let offsetMs = 0;
  let leads = false;
  const now = (): Date => new Date(Date.now() + offsetMs);
  const declared = await loadDirectory(site.config.resources, { hub: hubName });
  await using database = await openSqlite({ path: site.databasePath, now, create: false });
  const log = openKeptLog();
  const { state } = database;
  const openKey = async (name: string) => {
    if (name.startsWith("root")) throw new Refusal("config", "the root's key is not here");
    return await custody.openKey(name);
  };
  const parts = { state, custody: { ...custody, openKey }, now, random: (n: number) => randomBytes(n), log };
  await using live = await openLive({ ...parts, hub: hubName, declared });
  await using _ = startRenewal({ ...parts, live, leads: () => leads }, 10);
  const told = () => log.of("authority near its end").map(({ fields }) => `${fields["kind"]}/${fields["owner"]}`);
  await delay(100);
  assert.deepEqual(log.lines, [], "another leads");
  leads = true;
  await eventually(() => assert.ok(log.of("authorities not made").length > 1));
  assert.deepEqual(told(), [], "there is time");
  offsetMs += 4 * daySeconds * 1000;
  const both = ["tenant/media", "tenant/payments"];
  await eventually(() => assert.deepEqual(told().toSorted(), both));
  await delay(100);
  assert.equal(told().length, 2);
  assert.match(String(log.of("authority near its end")[0]?.fields["next"]), /^a successor is made now$/);
  offsetMs += daySeconds * 1000;
  await eventually(() => assert.deepEqual(told().toSorted(), [...both, ...both].toSorted()));
  assert.deepEqual(readdirSync(site.config.keys), keys, "every try left a key");
});

test("an issuer killed around any write of a renewal leaves one authority for each tenant, and the next one finishes", {
  concurrency: 2,
}, async (t) => {
  const renew = async (moment: Moment): Promise<void> => {
    // Both tenants' authorities can give no full-length certificates any more, so that nothing waits.
    using site = await makeSite({ bornDaysAgo: 364.5 });
    const states = async (): Promise<readonly string[]> => {
      await using database = await openSqlite({ path: site.databasePath, now: () => new Date(), create: false });
      const records = (await database.state.authorities()).filter(({ kind }) => kind === "tenant");
      return records.map(({ owner, state }) => `${owner} ${state}`).sort();
    };
    // Intended, prepared, proven, active: of one tenant and then of the other.
    for (const nth of [1, 2, 3, 4]) {
      const child = await spawnIssuer(site, "127.0.0.1:0", "state", moment, String(nth));
      await child.dead;
      assert.deepEqual([child.process.signalCode, child.port], ["SIGKILL", ""], `write ${nth}`);
      const active = (await states()).filter((one) => one.endsWith(" active"));
      assert.deepEqual(active, ["media active", "payments active"], `write ${nth}`);
      await site.verify();
    }
    const last = await spawnIssuer(site, "127.0.0.1:0", "none", moment);
    last.process.kill("SIGKILL");
    await last.dead;
    assert.deepEqual(await states(), ["media active", "media retiring", "payments active", "payments retiring"]);
    await site.verify();
  };
  await Promise.all(moments.map(async (moment) => await t.test(moment, async () => await renew(moment))));
});
