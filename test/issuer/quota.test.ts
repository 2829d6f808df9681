import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { openQuotas } from "../../src/issuer/quota.ts";
import type { QuotaLimits } from "../../src/resources/mesh-tenant.ts";
import { csrFor, document, podToken, startStack, usualDocuments } from "../support/stack.ts";
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
  },
): number {
  const { atMs, count, token, tenant = "payments", account = "a" } = ask;
  const names = { uri: `spiffe://${tenant}.example/ns/n/sa/${account}`, dns: [] };
  const proof = token === undefined ? {} : { tokenSha256: hash("sha256", token, "buffer") };
  let had = 0;
  for (let n = 0; n < count; n++) {
    try {
      quotas.take({ log: tenant, names, ...proof }, limits, new Date(start + atMs));
      had += 1;
    } catch (error) {
      assert.match(String(error), /spec\.quotas\.(perTokenHour|rate) of its MeshTenant/);
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
