/** TokenReview by a real API server: `KUBECONFIG=… node --test test/kube/review.ts`, with the rights of an administrator. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../contract/kube-setting.ts";
import { type KubeShop, openKubeShop } from "../support/kube-shop.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { eventually } from "../support/patience.ts";
import type { AgentStack } from "../support/stack.ts";
import { type Answer, assertIssued, assertRefused } from "../support/workload.ts";

let shop: KubeShop;
let agent: AgentStack;
before(async () => {
  shop = await openKubeShop();
  agent = await shop.site.startAgent("review", { tokens: "review" });
});
after(async () => await shop[Symbol.asyncDispose]());

const cart = async (options: { readonly audience?: string; readonly pod?: string } = { pod: "cart-1" }) =>
  await shop.site.cluster.token(shop.namespace, "cart", options);

const askAs = async (token: string, account = "cart"): Promise<Answer> => await shop.ask(agent, { token, account });

test("a token that the API server authenticates gets its certificate, bound to a pod or not", async () => {
  assertIssued(await askAs(await cart()));
  assertIssued(await askAs(await cart({})));
  assertRefused(await askAs(await cart(), "till"), "identity-denied");
});

test("a token that it does not is refused", async (t) => {
  const { namespace, node } = shop;
  const { cluster } = shop.site;
  const token = await cart();
  await t.test("with another signature", async () => {
    const forged = `${token.slice(0, -8)}${token.at(-8) === "A" ? "B" : "A"}${token.slice(-7)}`;
    assertRefused(await askAs(forged), "proof-invalid", /does not authenticate it/);
  });
  await t.test("by another key, and otherwise as it should be", async () => {
    const stranger = createTokenIssuer(cluster.issuer);
    const one = stranger.token({ namespace, serviceAccount: "cart" });
    assertRefused(await askAs(one), "proof-invalid", /does not authenticate it/);
  });
  await t.test("for another audience", async () => {
    assertRefused(await askAs(await cart({ audience: "vault" })), "proof-invalid", /audience/);
  });
  await t.test("once its pod is gone", async () => {
    await cluster.pod(namespace, "cart-2", "cart", node);
    const second = await cart({ pod: "cart-2" });
    assertIssued(await askAs(second));
    await cluster.deletePod(namespace, "cart-2");
    await eventually(async () => assertRefused(await askAs(second), "proof-invalid"));
  });
});

test("an API server that stalls, or is away, is an outage and never a no", async () => {
  const { relay } = shop.site;
  const token = await cart();
  assertIssued(await askAs(token));
  // Until that yes is forgotten.
  await delay(1_200);
  relay.freeze({ newOnes: true });
  assertRefused(await askAs(token), "unavailable");
  relay.thaw();
  await until("it is served again", async () => "chain" in (await askAs(token)));
  await delay(1_200);
  relay.cut();
  assertRefused(await askAs(token), "unavailable");
  relay.accept();
  await until("it is served again", async () => "chain" in (await askAs(token)));
  assert.equal(
    agent.log.lines.some(({ fields }) => JSON.stringify(fields).includes(token)),
    false,
  );
});
