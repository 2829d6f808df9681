import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { podToken } from "../support/documents.ts";
import { callMs } from "../support/patience.ts";
import { startStack } from "../support/stack.ts";
import { csrFor } from "../support/workload.ts";
import { assertItemRefused, issued } from "./ask.ts";

test("an idempotency key is one certificate", async (t) => {
  await using stack = await startStack({ clusters: ["east", "west"] });
  const [east, west] = [await stack.thief("east"), await stack.thief("west")];
  const csr = csrFor();
  const item = { csr, token: podToken("east"), idempotencyKey: "uid-1", validitySeconds: 3600 };
  const first = issued(await east.sign(item));
  await t.test("a replay gets the same certificate, and the ledger stays as it is", async () => {
    const intents = stack.site.intents();
    assert.deepEqual(issued(await east.sign({ ...item, token: podToken("east") })), first);
    const { replies } = await east.signAll([1, 2, 3].map((id) => ({ ...item, id, deadlineMs: callMs })));
    assert.deepEqual(new Set(replies.map((r) => Buffer.from(issued(r)).toString("hex"))).size, 1);
    assert.equal(stack.site.intents(), intents);
  });
  for (const [title, change] of [
    ["another key", { csr: csrFor() }],
    ["another duration", { validitySeconds: 3601 }],
    ["another signer", { signer: "payments" }],
    [
      "another identity",
      {
        csr: csrFor("spiffe://media.example/ns/media/sa/player"),
        token: podToken("east", { namespace: "media", serviceAccount: "player" }),
      },
    ],
  ] as const) {
    await t.test(
      `${title} is refused`,
      async () => await assertItemRefused(stack, async () => await east.sign({ ...item, ...change }), "replay-differs"),
    );
  }
  await t.test("two of one key in one batch are one certificate", async () => {
    const again = { ...item, idempotencyKey: "uid-2", csr: csrFor(), deadlineMs: callMs };
    const { replies } = await east.signAll([1, 2].map((id) => ({ ...again, id })));
    const serials = replies.map((r) => new X509Certificate(issued(r)).serialNumber);
    assert.equal(new Set(serials).size, 1);
  });
  await t.test("another cluster's key of the same name is another", async () => {
    const other = issued(await west.sign({ ...item, token: podToken("west") }));
    assert.notDeepEqual(other, first);
  });
  await t.test("a replay of a suspended tenant is refused", async () => {
    await stack.issuer.suspend("tenant", "payments");
    await assertItemRefused(stack, async () => await east.sign(item), "suspended");
    await stack.issuer.suspend("tenant", "payments", false);
    assert.deepEqual(issued(await east.sign(item)), first);
  });
});
