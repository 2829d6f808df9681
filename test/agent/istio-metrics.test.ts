import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { podToken } from "../support/documents.ts";
import { eventually } from "../support/patience.ts";
import { makeSite } from "../support/site.ts";
import { type Stack, startAgentOf, startStack } from "../support/stack.ts";
import { type AskOptions, assertIssued, csrFor } from "../support/workload.ts";

/** What Prometheus would see of istiod's names, without their common beginning. */
async function scrape(port: number): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const found = [...text.matchAll(/^citadel_server_(\S+) (\S+)$/gm)];
  return Object.fromEntries(found.map(([, name = "", value]) => [name, Number(value)]));
}

const moves: readonly (readonly [what: string, ask: AskOptions, moved: Readonly<Record<string, number>>])[] = [
  ["a certificate", {}, { success_cert_issuance_count: 1 }],
  ["no token", { token: undefined }, { authentication_failure_count: 1 }],
  ["a token that proves nothing", { token: "garbage" }, { authentication_failure_count: 1 }],
  ["no CSR", { csr: "garbage" }, { csr_parsing_err_count: 1, 'csr_sign_err_count{error="CSR_ERROR"}': 1 }],
  [
    "another's identity",
    { csr: csrFor("spiffe://payments.example/ns/pay-shop/sa/another") },
    { id_extraction_err_count: 1, 'csr_sign_err_count{error="CSR_ERROR"}': 1 },
  ],
  [
    "a workload that no rule knows",
    { token: podToken("east", { namespace: "nobody" }) },
    { 'csr_sign_err_count{error="CSR_ERROR"}': 1 },
  ],
];

test("each request moves what istiod would count of it", async (t) => {
  await using stack: Stack = await startStack({ clusters: ["east"] });
  const workload = await stack.workload("east");
  const { httpPort } = stack.agent("east").running;
  const check = async (what: string, ask: AskOptions, moved: Readonly<Record<string, number>>): Promise<void> => {
    await t.test(what, async () => {
      const before = await scrape(httpPort);
      await workload.ask(ask);
      const after = await scrape(httpPort);
      const changed = Object.entries(after).filter(([name, value]) => /_count\b/.test(name) && value !== before[name]);
      const difference = changed.map(([name, value]) => [name, value - (before[name] ?? 0)]);
      assert.deepEqual(Object.fromEntries(difference), { csr_count: 1, ...moved });
    });
  };
  for (const [what, ask, moved] of moves) await check(what, ask, moved);
  await stack.issuer[Symbol.asyncDispose]();
  await check("an issuer that is away", {}, { 'csr_sign_err_count{error="CA_NOT_READY"}': 1 });
});

test("what certificates rest on is shown by when it ends, and not before it is known", async () => {
  await using stack = await startStack({ clusters: ["east"] });
  const { httpPort } = stack.agent("east").running;
  assert.equal((await scrape(httpPort))["cert_chain_expiry_timestamp"], undefined);
  const chain = assertIssued(await (await stack.workload("east")).ask());
  const [authority, root] = [chain.at(-2), chain.at(-1)].map((pem) => new X509Certificate(pem ?? "").validToDate);
  assert.ok(authority !== undefined && root !== undefined);
  const seen = await scrape(httpPort);
  assert.equal(seen["root_cert_expiry_timestamp"], root.getTime() / 1000);
  assert.equal(seen["cert_chain_expiry_timestamp"], authority.getTime() / 1000);
  for (const [name, end] of [
    ["root_cert_expiry_seconds", root],
    ["cert_chain_expiry_seconds", authority],
  ] as const) {
    assert.ok(Math.abs((seen[name] ?? 0) - (end.getTime() - Date.now()) / 1000) < 10, name);
  }
  // A day after it has signed the last time nobody waits for its end.
  stack.clock.offsetSeconds = 86_500;
  assert.equal((await scrape(httpPort))["cert_chain_expiry_timestamp"], undefined);
});

test("an agent that knows no root yet shows the end of none", async () => {
  using site = await makeSite();
  await using agent = await startAgentOf(site, "east", { issuers: ["127.0.0.1:1"] });
  await eventually(async () => {
    const seen = await scrape(agent.running.httpPort);
    assert.equal(seen["csr_count"], 0);
    assert.equal(seen["root_cert_expiry_timestamp"], undefined);
    assert.equal(seen["root_cert_expiry_seconds"], undefined);
  });
});
