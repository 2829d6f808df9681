import assert from "node:assert/strict";
import { test } from "node:test";
import { openCheck } from "../../src/agent/check.ts";
import { readCsr } from "../../src/pki/csr.ts";
import { toPem } from "../../src/pki/pem.ts";
import type { SignItem__Output } from "../../src/rpc/gen/espalier/v1/SignItem.ts";
import type { SignReplies } from "../../src/rpc/gen/espalier/v1/SignReplies.ts";
import { ago } from "../support/clock.ts";
import { checkoutId } from "../support/documents.ts";
import { startFakeIssuer } from "../support/fake-issuer.ts";
import { flipBit, keys, type LeafOverrides, makeAuthority, makeLeaf, now, uri } from "../support/pki.ts";
import { makeSite } from "../support/site.ts";
import { startAgentOf, startIssuerOn } from "../support/stack.ts";
import { refusedCounts } from "../support/traces.ts";
import { assertIssued, assertRefused, openWorkload, tlsOf } from "../support/workload.ts";

test("what an issuer answers is refused with UNAVAILABLE unless it is what was asked", async (t) => {
  using site = await makeSite();
  const real = await startIssuerOn(site);
  const before = await startAgentOf(site, "east", { issuers: [real.address] });
  await before.ready();
  const { directory } = before;
  await before[Symbol.asyncDispose]();
  await real[Symbol.asyncDispose]();

  await using fake = await startFakeIssuer(site);
  await using agent = await startAgentOf(site, "east", { issuers: [fake.address], directory });
  using workload = openWorkload(await agent.address(), tlsOf(site, "east"), "east");
  const times = { notBefore: ago(7200), notAfter: ago(-86_400 * 30) };
  const [own, other] = [await makeAuthority("P-256", times), await makeAuthority("P-256", times)];

  type Lie = (item: SignItem__Output) => Promise<SignReplies>;
  const leafFor = async (item: SignItem__Output, more: LeafOverrides = {}, authority = own): Promise<Uint8Array> =>
    await makeLeaf(authority, {
      spki: readCsr(item.csr).spki,
      names: { uri: checkoutId, dns: [] },
      notBefore: ago(120),
      notAfter: ago(-3600),
      ...more,
    });
  const reply = ({ id }: SignItem__Output, leaf: Uint8Array, more: object = {}): SignReplies => ({
    replies: [{ id, issued: { leaf, chain: 0 } }],
    chains: [{ authority: "a", intermediates: [own.certificate], bundle: [own.root], bundleVersion: "1", ...more }],
  });
  const lies: readonly (readonly [string, Lie])[] = [
    ["another key", async (item) => reply(item, await leafFor(item, { spki: keys("P-384").spki }))],
    ["another name", async (item) => reply(item, await leafFor(item, { names: { uri, dns: [] } }))],
    [
      "a name too many",
      async (item) =>
        reply(item, await leafFor(item, { profile: "serving", names: { dns: ["istiod.istio-system.svc"] } })),
    ],
    ["a leaf of another authority", async (item) => reply(item, await leafFor(item, {}, other))],
    ["another intermediate", async (item) => reply(item, await leafFor(item), { intermediates: [other.certificate] })],
    ["another root", async (item) => reply(item, await leafFor(item), { bundle: [other.root] })],
    ["no intermediate", async (item) => reply(item, await leafFor(item), { intermediates: [] })],
    ["no root", async (item) => reply(item, await leafFor(item), { bundle: [] })],
    ["a certificate that has expired", async (item) => reply(item, await leafFor(item, { notAfter: ago(60) }))],
    ["one that is not valid yet", async (item) => reply(item, await leafFor(item, { notBefore: ago(-600) }))],
    ["the authority itself", async (item) => reply(item, own.certificate)],
    ["a wrong signature", async (item) => reply(item, flipBit(await leafFor(item), 8 * 400))],
    ["bytes that are no certificate", async (item) => reply(item, Buffer.from("garbage"))],
    ["nothing at all", async (item) => reply(item, new Uint8Array())],
    [
      "a chain that is not there",
      async (item) => ({ replies: [{ id: item.id, issued: { leaf: await leafFor(item), chain: 7 } }] }),
    ],
    ["neither a certificate nor a refusal", async (item) => ({ replies: [{ id: item.id }] })],
    [
      "a code that nobody knows",
      async (item) => ({ replies: [{ id: item.id, refused: { code: "toString", message: "x", reference: "y" } }] }),
    ],
  ];
  for (const [title, lie] of lies) {
    await t.test(`not ${title}`, async () => {
      fake.answer = lie;
      const [counts, lines] = [await refusedCounts(agent.metrics), agent.log.of("refused").length];
      assertRefused(await workload.ask(), "unavailable");
      assert.equal((await refusedCounts(agent.metrics))["unavailable"], (counts["unavailable"] ?? 0) + 1);
      assert.equal(agent.log.of("refused").length, lines + 1);
    });
  }
  await t.test("but the truth", async () => {
    fake.answer = async (item) => reply(item, await leafFor(item));
    assert.equal(assertIssued(await workload.ask()).length, 3);
  });
  await t.test("and no reply that nobody asked for", async () => {
    fake.answer = async (item) => {
      const truth = reply(item, await leafFor(item));
      return { ...truth, replies: [{ id: item.id + 1000, refused: { code: "no-rule" } }, ...(truth.replies ?? [])] };
    };
    assertIssued(await workload.ask());
  });
  await t.test("an agent that is not let in is our fault and not its workload's", async () => {
    fake.answer = async ({ id }) => ({
      replies: [{ id, refused: { code: "not-this-caller", message: "no", reference: "r" } }],
    });
    assertRefused(await workload.ask(), "unavailable");
  });
});

test("what is handed over is the chain that was verified, not one of the same name", async () => {
  const check = openCheck({ now: () => now, onFault: assert.ifError });
  const expected = { key: keys("P-256").spki, names: { uri, dns: [] } };
  for (const authority of [await makeAuthority("P-256"), await makeAuthority("P-256")]) {
    const chain = {
      authority: "a",
      bundleVersion: "1",
      intermediates: [authority.certificate],
      bundle: [authority.root],
    };
    const [, intermediate, root] = check({ leaf: await makeLeaf(authority), chain }, expected);
    assert.equal(intermediate, toPem("CERTIFICATE", authority.certificate));
    assert.equal(root, toPem("CERTIFICATE", authority.root));
  }
});
