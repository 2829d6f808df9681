import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { Refusal } from "../../src/errors.ts";
import { limited, openLiveCounts } from "../../src/issuer/live-counts.ts";
import { openQuotas } from "../../src/issuer/quota.ts";
import type { LiveFilter, LiveIntent } from "../../src/ledger/ledger.ts";
import type { Metrics } from "../../src/ops/metrics.ts";
import type { QuotaLimits } from "../../src/resources/mesh-tenant.ts";
import { cluster, join, read, root, tenant } from "../resources/build.ts";
import { document, podToken, usualDocuments } from "../support/documents.ts";
import { eventually } from "../support/patience.ts";
import { makeSite } from "../support/site.ts";
import { startIssuerOn, startStack } from "../support/stack.ts";
import { openThief } from "../support/thief.ts";
import { csrFor } from "../support/workload.ts";
import { assertItemRefused, issued } from "./ask.ts";

const start = Date.parse("2026-11-21T10:00:00Z");
const hourMs = 3_600_000;

/** How many of `count` were given. */
function given(
  quotas: ReturnType<typeof openQuotas>,
  limits: QuotaLimits,
  ask: {
    readonly atMs: number;
    readonly count: number;
    readonly token?: string;
    readonly tenant?: string;
    readonly account?: string;
    readonly validitySeconds?: number;
  },
): number {
  const { atMs, count, token, tenant = "payments", account = "a", validitySeconds = 3600 } = ask;
  const names = { uri: `spiffe://${tenant}.example/ns/n/sa/${account}`, dns: [] };
  const proof = token === undefined ? {} : { tokenSha256: hash("sha256", token, "buffer") };
  let had = 0;
  for (let n = 0; n < count; n++) {
    try {
      quotas.take({ log: tenant, names, validitySeconds, ...proof }, limits, new Date(start + atMs));
      had += 1;
    } catch (error) {
      assert.match(String(error), /spec\.quotas\.(perTokenHour|rate|liveCertificates) of its MeshTenant/);
    }
  }
  return had;
}

test("a token has so many certificates for one identity in an hour", () => {
  const quotas = openQuotas();
  const limits = { perTokenHour: 10 };
  const ask = { atMs: 0, count: 25, token: "one" };
  assert.equal(given(quotas, limits, ask), 10);
  assert.equal(given(quotas, limits, { ...ask, account: "b" }), 10, "a ztunnel's token is for many identities");
  assert.equal(given(quotas, limits, { ...ask, token: "two" }), 10);
  assert.equal(given(quotas, limits, { ...ask, atMs: hourMs - 1 }), 0);
  // What was had in the hour before fades with it.
  assert.equal(given(quotas, limits, { ...ask, atMs: 1.5 * hourMs }), 5);
  assert.equal(given(quotas, limits, { ...ask, atMs: 9 * hourMs }), 10);
});

test("a clock that is set back forgets nothing that a token has had, and is no longer than an hour about it", () => {
  const quotas = openQuotas();
  const limits = { perTokenHour: 10 };
  const ask = { atMs: 2 * hourMs, count: 25, token: "one" };
  assert.equal(given(quotas, limits, ask), 10);
  assert.equal(given(quotas, limits, { ...ask, atMs: hourMs }), 0);
  assert.equal(given(quotas, limits, { ...ask, atMs: 2.5 * hourMs }), 5);
});

test("what shows no token is not counted by token", () => {
  assert.equal(given(openQuotas(), { perTokenHour: 1 }, { atMs: 0, count: 5 }), 5);
});

test("a tenant has its rate, and a burst of its own", () => {
  const quotas = openQuotas();
  const limits = { perTokenHour: 1000, rate: { perSecond: 10, burst: 50 } };
  assert.equal(given(quotas, limits, { atMs: 0, count: 80 }), 50);
  assert.equal(given(quotas, limits, { atMs: 0, count: 80, tenant: "media" }), 50);
  assert.equal(given(quotas, limits, { atMs: 1000, count: 80 }), 10);
  assert.equal(given(quotas, limits, { atMs: 900, count: 80 }), 0, "a clock that went back gives nothing");
  assert.equal(given(quotas, limits, { atMs: hourMs, count: 80 }), 50);
});

test("who repeats one token uses up nothing of the tenant's rate", () => {
  const quotas = openQuotas();
  const limits = { perTokenHour: 5, rate: { perSecond: 1, burst: 20 } };
  assert.equal(given(quotas, limits, { atMs: 0, count: 1000, token: "stolen" }), 5);
  assert.equal(given(quotas, limits, { atMs: 0, count: 100 }), 15);
});

test("more tokens than are held are forgotten, the oldest first", () => {
  const quotas = openQuotas();
  const limits = { perTokenHour: 1 };
  for (let n = 0; n < 250_000; n++) assert.equal(given(quotas, limits, { atMs: 0, count: 1, token: `${n}` }), 1);
  assert.equal(given(quotas, limits, { atMs: 0, count: 1, token: "249999" }), 0);
  assert.equal(given(quotas, limits, { atMs: 0, count: 1, token: "0" }), 1);
});

test("a tenant has so many live certificates, each until it ends", () => {
  const quotas = openQuotas();
  const limits = { perTokenHour: 1000, liveCertificates: 10 };
  assert.equal(given(quotas, limits, { atMs: 0, count: 7, validitySeconds: 600 }), 7);
  assert.equal(given(quotas, limits, { atMs: 0, count: 7, validitySeconds: 86_400 }), 3);
  assert.equal(given(quotas, limits, { atMs: 0, count: 20, tenant: "media" }), 10);
  assert.equal(given(quotas, limits, { atMs: 500_000, count: 5 }), 0);
  assert.equal(given(quotas, limits, { atMs: 660_000, count: 20, validitySeconds: 600 }), 7);
  assert.equal(given(quotas, limits, { atMs: 600_000, count: 1 }), 0, "a clock that went back gives nothing");
  assert.equal(given(quotas, limits, { atMs: 86_460_000, count: 20 }), 10);
});

test("live certificates are counted from the ledger, with those that are given meanwhile", async () => {
  const counts = openLiveCounts();
  const at = new Date(start);
  const intent = { serial: new Uint8Array(), identity: "", cluster: "", authority: "", isRevoked: false };
  const later = new Date(start + hourMs);
  const documents = [root(), cluster("east"), tenant("small", { more: "quotas: { liveCertificates: 3 }" })];
  const [small] = limited(read(join(...documents)));
  assert.ok(small);
  async function* live(filter: LiveFilter): AsyncGenerator<{ looked: number; intents: readonly LiveIntent[] }> {
    assert.ok(filter.since !== undefined && +filter.since < start - 86_400_000);
    yield { looked: 2, intents: ["small", "other"].map((log) => ({ ...intent, log, notAfter: later })) };
    counts.add("small", later);
    yield { looked: 1, intents: [{ ...intent, log: "small", notAfter: later }] };
  }
  counts.add("small", later);
  counts.add("small", later);
  await counts.recount([small], { live }, at);
  assert.equal(counts.count("small", at), 3);
  assert.equal(counts.count("other", at), 0);
  // oxlint-disable-next-line require-yield -- the database is away
  async function* failing(): AsyncGenerator<never> {
    throw new Refusal("unavailable", "the database is away");
  }
  await assert.rejects(counts.recount([small], { live: failing }, at));
  assert.equal(counts.count("small", at), 3, "a count that failed changes nothing");
});

test("the longest certificates of a tenant are counted for as long as they live, be they requests'", async () => {
  const more = "quotas: { liveCertificates: 3 }\n  requests: { maximumSeconds: 7776000 }";
  const [small] = limited(read(join(root(), cluster("east"), tenant("small", { more }))));
  assert.ok(small);
  let since: Date | undefined;
  // oxlint-disable-next-line require-yield -- the filter is what is asked about
  async function* live(filter: LiveFilter): AsyncGenerator<never> {
    ({ since } = filter);
  }
  await openLiveCounts().recount([small], { live }, new Date(start));
  assert.ok(since !== undefined && +since < start - 7_776_000_000);
});

test("a tenant's quota refuses its own and nobody else's", async () => {
  const small = document("MeshTenant", "small", {
    trustDomain: "small.example",
    root: "main",
    rules: [{ name: "pods", clusters: ["east"], namespaces: ["small"] }],
    quotas: { perTokenHour: 2 },
  });
  await using stack = await startStack({ documents: [...usualDocuments(), small] });
  const east = await stack.thief("east");
  const smallToken = () => podToken("east", { namespace: "small", serviceAccount: "app" });
  const token = smallToken();
  const ask = async (shown: string) =>
    await east.sign({ csr: csrFor("spiffe://small.example/ns/small/sa/app"), token: shown, validitySeconds: 3600 });
  for (let n = 0; n < 2; n++) issued(await ask(token));
  await assertItemRefused(stack, async () => await ask(token), "quota", /perTokenHour/);
  issued(await ask(smallToken()));
  const paid = podToken("east");
  for (let n = 0; n < 3; n++) issued(await east.sign({ csr: csrFor(), token: paid, validitySeconds: 3600 }));
});

test("after a restart the ledger still knows what is live", async () => {
  const small = document("MeshTenant", "small", {
    trustDomain: "small.example",
    root: "main",
    rules: [{ name: "pods", clusters: ["east"], namespaces: ["small"] }],
    quotas: { liveCertificates: 2 },
  });
  using site = await makeSite({ documents: [...usualDocuments(), small] });
  const token = () => podToken("east", { namespace: "small", serviceAccount: "app" });
  const csr = () => csrFor("spiffe://small.example/ns/small/sa/app");
  for (const left of [2, 0]) {
    await using issuer = await startIssuerOn(site);
    using thief = await openThief(site, issuer.address, "east");
    if (left === 0) await eventually(async () => assert.equal(await liveOf(issuer.metrics), 2));
    for (let n = 0; n < left; n += 1) issued(await thief.sign({ csr: csr(), token: token() }));
    const { refused } = await thief.sign({ csr: csr(), token: token() });
    assert.equal(refused?.code, "quota");
    assert.match(refused.message, /liveCertificates/);
    issued(await thief.sign({ token: podToken() }));
    const text = await issuer.metrics.registry.metrics();
    assert.match(text, /refused_total\{code="quota",tenant="small",cluster="east"\} 1/);
  }
});

async function liveOf({ registry }: Metrics): Promise<number | undefined> {
  const found = await registry.getSingleMetric("espalier_issuer_live_certificates")?.get();
  return found?.values[0]?.value;
}

test("who only looks is told what would be, and uses up nothing", () => {
  const quotas = openQuotas();
  const rated = { perTokenHour: 10, rate: { perSecond: 1, burst: 2 } };
  const at = new Date(start);
  for (let n = 0; n < 10; n++) quotas.look("payments", rated, at);
  assert.equal(given(quotas, rated, { atMs: 0, count: 5 }), 2);
  assert.throws(() => quotas.look("payments", rated, at), { code: "quota", message: /spec\.quotas\.rate/ });
  quotas.look("payments", rated, new Date(start + 1_000));
  const full = { perTokenHour: 10, liveCertificates: 1 };
  quotas.look("media", full, at);
  assert.equal(given(quotas, full, { atMs: 0, count: 5, tenant: "media" }), 1);
  assert.throws(() => quotas.look("media", full, at), { code: "quota", message: /spec\.quotas\.liveCertificates/ });
});
