import assert from "node:assert/strict";
import { test } from "node:test";
import type { RefusalCode } from "../../src/errors.ts";
import { toPem } from "../../src/pki/pem.ts";
import { ago, daySeconds, moved } from "../support/clock.ts";
import { checkoutId, podToken } from "../support/documents.ts";
import { makeAuthority, makeLeaf, makeSigner } from "../support/pki.ts";
import { startStack } from "../support/stack.ts";
import { assertTraces, traces } from "../support/traces.ts";
import {
  type AskOptions,
  assertIssued,
  assertRefused,
  csrFor,
  type Identity,
  newKey,
  toIdentity,
  type WorkloadClient,
} from "../support/workload.ts";

/** A VM's or a pod's certificate, as the agent gave it. */
async function certificateOf(workload: WorkloadClient, pod: boolean): Promise<Identity> {
  const key = newKey();
  const csr = csrFor(checkoutId, key);
  return toIdentity(assertIssued(await workload.ask({ csr, token: podToken("east", { pod }) })), key);
}

test("a certificate is proof for a VM, in its own cluster, and for nobody else", async (t) => {
  await using stack = await startStack({ clusters: ["east", "west"] });
  const workload = await stack.workload("east");
  const vm = await certificateOf(workload, false);
  const pod = await certificateOf(workload, true);
  const refused = async (
    client: WorkloadClient,
    ask: AskOptions,
    code: RefusalCode,
    at: "agent" | "issuer",
    cluster = "east",
  ): Promise<void> => {
    const before = await traces(stack, cluster);
    assertRefused(await client.ask(ask), code);
    await assertTraces(stack, before, code, at, cluster);
  };

  await t.test("a VM renews without a token", async () => {
    assertIssued(await (await stack.workload("east", { identity: vm })).ask({ token: undefined }));
  });
  await t.test("a renewal is renewed", async () => {
    const [first, second] = [newKey(), newKey()];
    const one = assertIssued(
      await (await stack.workload("east", { identity: vm })).ask({ token: undefined, csr: csrFor(checkoutId, first) }),
    );
    const renewed = await stack.workload("east", { identity: toIdentity(one, first) });
    assertIssued(await renewed.ask({ token: undefined, csr: csrFor(checkoutId, second) }));
  });
  await t.test("a VM renews beside a stale token", async () => {
    const client = await stack.workload("east", { identity: vm });
    assertIssued(await client.ask({ token: podToken("east", { issuedAt: ago(7200), pod: false }) }));
    assertIssued(await client.ask({ token: "garbage" }));
  });
  await t.test("a VM renews itself alone", async () => {
    const client = await stack.workload("east", { identity: vm });
    await refused(client, { token: undefined, csr: csrFor(`${checkoutId}-else`) }, "identity-denied", "issuer");
  });
  await t.test("a pod's certificate is refused", async () => {
    const client = await stack.workload("east", { identity: pod });
    await refused(client, { token: undefined }, "proof-invalid", "issuer");
  });
  await t.test("a pod with a stale token does not get on with its certificate", async () => {
    const client = await stack.workload("east", { identity: pod });
    await refused(client, { token: podToken("east", { issuedAt: ago(7200) }) }, "proof-invalid", "issuer");
  });
  await t.test("a VM's certificate is refused in another cluster", async () => {
    const client = await stack.workload("west", { identity: vm });
    await refused(client, { token: undefined }, "proof-invalid", "issuer", "west");
  });
  await t.test("a certificate of another tenant is its own tenant's and no other's", async () => {
    const key = newKey();
    const csr = csrFor("spiffe://media.example/ns/media/sa/player", key);
    const media = podToken("east", { namespace: "media", serviceAccount: "player", pod: false });
    const player = toIdentity(assertIssued(await workload.ask({ token: media, csr })), key);
    const client = await stack.workload("east", { identity: player });
    // Its own rule does not take certificates, and the other tenant's is not asked.
    await refused(client, { token: undefined, csr: csrFor() }, "proof-not-accepted", "issuer");
  });
  await t.test("a certificate under a root nobody trusts is as none", async () => {
    const stranger = await makeAuthority("P-256", { signer: makeSigner("P-256") });
    const key = newKey();
    const leaf = await makeLeaf(stranger, {
      spki: key.spki,
      notBefore: ago(60),
      notAfter: ago(-3600),
      names: { uri: checkoutId, dns: [] },
    });
    const chainPem = toPem("CERTIFICATE", leaf) + toPem("CERTIFICATE", stranger.certificate);
    const client = await stack.workload("east", { identity: { chainPem, keyPem: key.keyPem } });
    await refused(client, { token: undefined }, "proof-missing", "agent");
    assertIssued(await client.ask());
  });
  await t.test("an agent's own certificate is nobody at an agent", async () => {
    const thief = await stack.thief("east");
    const client = await stack.workload("east", { identity: thief.identity });
    await refused(client, { token: undefined }, "proof-missing", "agent");
  });
  await t.test("a certificate that expires on a living connection is refused", async () => {
    const client = await stack.workload("east", { identity: vm });
    assertIssued(await client.ask({ token: undefined }));
    await moved(stack.clock, daySeconds + 1, async () => {
      const before = stack.agent("east").log.of("refused").length;
      assertRefused(await client.ask({ token: undefined }), "proof-invalid", /expired/);
      assert.equal(stack.agent("east").log.of("refused").length, before + 1);
    });
  });
  await t.test("a suspended tenant's VM is refused, and renews once it is resumed", async () => {
    const client = await stack.workload("east", { identity: vm });
    await stack.issuer.suspend("tenant", "payments");
    assertRefused(await client.ask({ token: undefined }), "suspended");
    await stack.issuer.suspend("tenant", "payments", false);
    assertIssued(await client.ask({ token: undefined }));
  });
});
