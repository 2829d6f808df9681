/** TokenReview by a real API server: `KUBECONFIG=… node --test test/kube/review.ts`, with the rights of an administrator. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../contract/kube-setting.ts";
import { type KubeStage, openKubeStage } from "../support/kube-agent.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { assertIssued, assertRefused } from "../support/stack.ts";

let stage: KubeStage;
before(async () => {
  stage = await openKubeStage(() => ({ tokens: "review" }));
});
after(async () => await stage[Symbol.asyncDispose]());

const cart = async (options: { readonly audience?: string; readonly pod?: string } = { pod: "cart-1" }) =>
  await stage.cluster.token(stage.names.shop, "cart", options);

test("a token that the API server authenticates gets its certificate, bound to a pod or not", async () => {
  assertIssued(await stage.askAs(await cart()));
  assertIssued(await stage.askAs(await cart({})));
  assertRefused(await stage.askAs(await cart(), "till"), "identity-denied");
});

test("a token that it does not is refused", async (t) => {
  const { cluster, names } = stage;
  const token = await cart();
  await t.test("with another signature", async () => {
    const forged = `${token.slice(0, -8)}${token.at(-8) === "A" ? "B" : "A"}${token.slice(-7)}`;
    assertRefused(await stage.askAs(forged), "proof-invalid", /does not authenticate it/);
  });
  await t.test("by another key, and otherwise as it should be", async () => {
    const stranger = createTokenIssuer(cluster.issuer);
    const one = stranger.token({ namespace: names.shop, serviceAccount: "cart" });
    assertRefused(await stage.askAs(one), "proof-invalid", /does not authenticate it/);
  });
  await t.test("for another audience", async () => {
    assertRefused(await stage.askAs(await cart({ audience: "vault" })), "proof-invalid", /audience/);
  });
  await t.test("once its pod is gone", async () => {
    await cluster.pod(names.shop, "cart-2", "cart", `node-${stage.run}`);
    const second = await cart({ pod: "cart-2" });
    assertIssued(await stage.askAs(second));
    await cluster.deletePod(names.shop, "cart-2");
    await until("it is refused", async () => "code" in (await stage.askAs(second)));
    assertRefused(await stage.askAs(second), "proof-invalid");
  });
});

test("an API server that stalls, or is away, is an outage and never a no", async () => {
  const { relay } = stage;
  const token = await cart();
  assertIssued(await stage.askAs(token));
  // Until that yes is forgotten.
  await delay(1_200);
  relay.freeze({ newOnes: true });
  assertRefused(await stage.askAs(token), "unavailable");
  relay.thaw();
  await until("it is served again", async () => "chain" in (await stage.askAs(token)), 30_000);
  await delay(1_200);
  relay.cut();
  assertRefused(await stage.askAs(token), "unavailable");
  relay.accept();
  await until("it is served again", async () => "chain" in (await stage.askAs(token)), 30_000);
  assert.equal(
    stage.agent.log.lines.some(({ fields }) => JSON.stringify(fields).includes(token)),
    false,
  );
});
