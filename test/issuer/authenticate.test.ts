import { test } from "node:test";
import type { SignItem } from "../../src/rpc/gen/espalier/v1/SignItem.ts";
import { ago, daySeconds, moved } from "../support/clock.ts";
import { checkoutId, podToken } from "../support/documents.ts";
import { authorities, flipBit, makeLeaf } from "../support/pki.ts";
import { startStack } from "../support/stack.ts";
import type { Thief } from "../support/thief.ts";
import { assertItemRefused, issued } from "./ask.ts";

test("a VM may renew for 30 days after the token that began it", async (t) => {
  await using stack = await startStack({ clusters: ["east", "west"], bornDaysAgo: 80 });
  const [east, west] = [await stack.thief("east"), await stack.thief("west")];
  const at = async (daysAgo: number, thief: Thief, item: Partial<SignItem>): Promise<Uint8Array> => {
    let leaf: Uint8Array = new Uint8Array();
    await moved(stack.clock, -daysAgo * daySeconds, async () => {
      leaf = issued(await thief.sign({ validitySeconds: 50 * daySeconds, ...item }));
    });
    return leaf;
  };
  const token = (daysAgo: number, pod: boolean, cluster = "east"): string =>
    podToken(cluster, { pod, issuedAt: ago(daysAgo * daySeconds) });
  const vm = await at(29, east, { token: token(29, false) });
  const old = await at(31, east, { token: token(31, false) });
  const renewedOnce = await at(20, east, { certificate: old });
  const pod = await at(1, east, { token: token(1, true) });

  await t.test("within them it does", async () => {
    issued(await east.sign({ certificate: vm }));
  });
  for (const [title, certificate, message] of [
    ["later it does not", old, /31 days ago and the limit is 30/],
    ["nor with what it renewed in between", renewedOnce, /31 days ago and the limit is 30/],
    ["a pod's certificate is none of it", pod, /given to a pod/],
    ["nor is one with a bit of its TBS flipped", flipBit(vm, 8 * 300), /.*/],
    ["nor is one with a bit of its signature flipped", flipBit(vm, vm.length * 8 - 9), /signature is wrong/],
    ["nor is one that was given an hour after its end", await at(51, east, { token: token(51, false) }), /expired/],
  ] as const) {
    await t.test(
      title,
      async () =>
        await assertItemRefused(stack, async () => await east.sign({ certificate }), "proof-invalid", message),
    );
  }
  await t.test(
    "another cluster's agent cannot renew it",
    async () =>
      await assertItemRefused(
        stack,
        async () => await west.sign({ certificate: vm }),
        "proof-invalid",
        /another cluster/,
      ),
  );
  await t.test("a serial that the ledger does not have is refused", async () => {
    const foreign = await makeLeaf(await authorities("P-256"), { names: { uri: checkoutId, dns: [] } });
    await assertItemRefused(
      stack,
      async () => await east.sign({ certificate: foreign }),
      "proof-invalid",
      /does not have it/,
    );
  });
  await t.test("a suspended tenant's VM is refused", async () => {
    await stack.issuer.suspend("tenant", "payments");
    await assertItemRefused(stack, async () => await east.sign({ certificate: vm }), "suspended");
    await stack.issuer.suspend("tenant", "payments", false);
    issued(await east.sign({ certificate: vm }));
  });
});
