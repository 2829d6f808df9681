import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { test } from "node:test";
import type { RefusalCode } from "../../src/errors.ts";
import { readPem, toPem } from "../../src/pki/pem.ts";
import type { SignItem } from "../../src/rpc/gen/espalier/v1/SignItem.ts";
import type { SignReply__Output } from "../../src/rpc/gen/espalier/v1/SignReply.ts";
import { Issuer } from "../../src/rpc/proto.ts";
import { readStatus } from "../../src/rpc/status.ts";
import { ago, daySeconds, moved } from "../support/clock.ts";
import { agentToken, checkoutId, podToken } from "../support/documents.ts";
import { callMs, eventually } from "../support/patience.ts";
import { flipBit } from "../support/pki.ts";
import { startStack } from "../support/stack.ts";
import { openThiefWith } from "../support/thief.ts";
import { assertIssued, csrFor, newKey, toIdentity } from "../support/workload.ts";
import { assertCallRefused, assertItemRefused, issued, openStream, streamEnd } from "./ask.ts";

test("a stolen agent gets what its cluster's tokens prove, and nothing else", async (t) => {
  await using stack = await startStack({ clusters: ["east", "west"] });
  const thief = await stack.thief("east");
  const items: readonly (readonly [string, Partial<SignItem>, RefusalCode, RegExp?])[] = [
    ["an item without proof", {}, "proof-missing"],
    ["an empty token", { token: "" }, "proof-missing"],
    ["a forged token", { token: podToken("east").replace(/\.[^.]+$/, ".AAAA") }, "proof-invalid"],
    ["another cluster's token", { token: podToken("west") }, "proof-invalid", /no key of the cluster/],
    ["a token for the hub", { token: agentToken("east") }, "proof-invalid", /audience/],
    ["an expired token", { token: podToken("east", { issuedAt: ago(7200) }) }, "proof-invalid", /expired/],
    [
      "another identity than the token's",
      { token: podToken("east"), csr: csrFor("spiffe://media.example/ns/media/sa/player") },
      "identity-denied",
    ],
    ["a CSR that is none", { token: podToken("east"), csr: randomBytes(200) }, "malformed"],
    ["no CSR", { token: podToken("east"), csr: new Uint8Array() }, "malformed"],
    ["a CSR of 17 KiB", { token: podToken("east"), csr: randomBytes(17 * 1024) }, "malformed"],
    [
      "a wrong signature",
      { token: podToken("east"), csr: flipBit(csrFor(), csrFor().length * 8 - 60) },
      "csr-signature",
    ],
    ["a certificate that is none", { certificate: randomBytes(300) }, "proof-invalid", /cannot be read/],
    [
      "the agent's own certificate",
      { certificate: readPem(thief.identity.chainPem, ["CERTIFICATE"]) },
      "proof-invalid",
    ],
    ["an idempotency key of 254 characters", { token: podToken("east"), idempotencyKey: "k".repeat(254) }, "malformed"],
    ["an idempotency key with a line break", { token: podToken("east"), idempotencyKey: "a\nb" }, "malformed"],
    ["the CertSigner of another tenant", { token: podToken("east"), signer: "media" }, "signer-denied"],
    ["a CertSigner of 254 characters", { token: podToken("east"), signer: "s".repeat(254) }, "malformed"],
  ];
  for (const [title, item, code, message] of items) {
    await t.test(
      `${title} is refused`,
      async () => await assertItemRefused(stack, async () => await thief.sign(item), code, message),
    );
  }

  await t.test("a serving certificate has its own cluster's names, whatever the CSR says", async () => {
    const leaf = new X509Certificate(issued(await thief.sign({ serving: {}, csr: csrFor("spiffe://west.example/x") })));
    assert.equal(leaf.subjectAltName, "DNS:ca.east.example, DNS:istiod.istio-system.svc");
  });
  await t.test("a batch has at most 256 items", async () => {
    const item = (id: number): SignItem => ({ id, csr: csrFor(), token: "" });
    const all = Array.from({ length: 257 }, (_, id) => item(id));
    await assertCallRefused(stack, async () => await thief.signAll(all), "malformed");
    using stream = openStream(thief);
    const lines = stack.issuer.log.of("refused").length;
    stream.stream.write({ items: all });
    assert.equal(await stream.ended, "malformed");
    assert.equal(stack.issuer.log.of("refused").length, lines + 1);
    assert.equal((await thief.signAll(all.slice(0, 256))).replies.length, 256);
    assert.equal((await thief.signAll([])).replies.length, 0);
  });
  await t.test("a message of more than 1 MiB is refused", async () => {
    const big = { id: 1, csr: Buffer.alloc(1024 * 1024 + 1), token: "" };
    await assertCallRefused(stack, async () => await thief.signAll([big]), "malformed");
    using stream = openStream(thief);
    stream.stream.write({ items: [big] });
    assert.equal(await stream.ended, "malformed");
  });
  await t.test("items of one batch are answered each for itself", async () => {
    const { replies } = await thief.signAll([
      { id: 7, csr: csrFor(), token: podToken("east"), deadlineMs: callMs },
      { id: 8, csr: csrFor(), token: podToken("west"), deadlineMs: callMs },
      { id: 9, csr: csrFor(), token: podToken("east"), deadlineMs: callMs },
    ]);
    const got = replies.map((r) => [r.id, r.refused?.code ?? "issued"]).sort();
    assert.deepEqual(got, [
      [7, "issued"],
      [8, "proof-invalid"],
      [9, "issued"],
    ]);
  });
  await t.test("a storm of garbage on one stream is answered and harms nobody else", async () => {
    using stream = openStream(thief);
    for (let n = 0; n < 40; n++) {
      stream.stream.write({
        items: Array.from({ length: 50 }, (_, i) => ({ id: n * 50 + i + 1, csr: randomBytes(99), token: "x" })),
      });
    }
    assertIssued(await (await stack.workload("west")).ask());
    await eventually(() => assert.equal(stream.replies.flatMap((r) => r.replies).length, 2000));
  });
});

test("only an agent's certificate is somebody at the issuer's port", async (t) => {
  await using stack = await startStack({ clusters: ["east"] });
  const { site, issuer } = stack;
  const key = newKey();
  const leaf = assertIssued(await (await stack.workload("east")).ask({ csr: csrFor(checkoutId, key) }));
  const thief = await stack.thief("east");
  const { serving, chain } = await (async () => {
    const own = newKey();
    const { replies, chains } = await thief.signAll([{ id: 1, csr: csrFor(checkoutId, own), serving: {} }]);
    const der = replies[0]?.issued?.leaf;
    assert.ok(der && chains[0]);
    return { serving: { chainPem: toPem("CERTIFICATE", der), keyPem: own.keyPem }, chain: chains[0] };
  })();
  assert.equal(chain.intermediates.length, 0);
  for (const [title, identity] of [
    ["a workload's certificate", toIdentity(leaf, key)],
    ["a serving certificate", serving],
    ["no certificate", undefined],
  ] as const) {
    await t.test(`${title} is nobody, for every method`, async () => {
      using nobody = openThiefWith(site, issuer.address, identity ?? { chainPem: "", keyPem: "" });
      await assertCallRefused(stack, async () => await nobody.signAll([]), "proof-missing");
      await assertCallRefused(stack, async () => await streamEnd(openStream(nobody).ended), "proof-missing");
      const watch = nobody.client.watch();
      const end = new Promise<string>((resolve) => {
        watch.on("error", (error) => resolve(readStatus(error).code)).on("data", () => resolve("answered"));
      });
      watch.write({ version: "", inForceSince: "", agent: "x" });
      await assertCallRefused(stack, async () => await streamEnd(end), "proof-missing");
    });
  }
  await t.test("the agent's own is somebody", async () => {
    issued(await thief.sign({ token: podToken("east") }));
  });
});

test("an agent speaks for the cluster of its certificate: there is nothing to name another with", async () => {
  await using stack = await startStack({ clusters: ["east", "west"] });
  const thief = await stack.thief("east");
  const sent = { id: 1, csr: csrFor(), token: podToken("west"), cluster: "west", clusterid: "west" };
  const { requestSerialize, requestDeserialize } = Issuer.service.SignOnce;
  const [arrived] = requestDeserialize(requestSerialize({ items: [sent] })).items;
  assert.ok(arrived);
  const proofs = ["token", "certificate", "serving", "proof"];
  const known = ["id", "csr", "validitySeconds", "signer", "deadlineMs", "idempotencyKey", ...proofs];
  assert.deepEqual(
    Object.keys(arrived).filter((field) => !known.includes(field)),
    [],
  );
  await assertItemRefused(stack, async () => await thief.sign(sent), "proof-invalid");
});

test("suspension holds at once on a living stream, and ends at once", async (t) => {
  await using stack = await startStack({ clusters: ["east", "west"] });
  using stream = openStream(await stack.thief("east"));
  const west = await stack.workload("west");
  const ask = async (): Promise<SignReply__Output> => await stream.ask({ token: podToken("east") });
  issued(await ask());
  for (const [kind, name] of [
    ["tenant", "payments"],
    ["cluster", "east"],
  ] as const) {
    await t.test(`of a ${kind}`, async () => {
      await stack.issuer.suspend(kind, name);
      await assertItemRefused(stack, ask, "suspended");
      const serving = await stream.ask({ serving: {} });
      assert.equal(serving.refused?.code, kind === "cluster" ? "suspended" : undefined);
      const other = await west.ask();
      assert.equal(other.status, kind === "tenant" ? "PERMISSION_DENIED" : "OK");
      await stack.issuer.suspend(kind, name, false);
      issued(await ask());
    });
  }
});

test("an agent whose certificate expires on its stream loses the stream, and its workloads nothing", async () => {
  await using stack = await startStack({ clusters: ["east"] });
  const thief = await stack.thief("east");
  using stream = openStream(thief);
  issued(await stream.ask({ token: podToken("east") }));
  await moved(stack.clock, daySeconds + 60, async () => {
    const token = podToken("east", { issuedAt: stack.clock.now() });
    stream.stream.write({ items: [{ id: 99, csr: csrFor(), token }] });
    assert.equal(await stream.ended, "proof-invalid");
    await assertCallRefused(stack, async () => await thief.signAll([]), "proof-invalid");
  });
});
