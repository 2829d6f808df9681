import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { KeptTrust } from "../../src/agent/kept-trust.ts";
import { openStore } from "../../src/agent/store.ts";
import { startTrust } from "../../src/agent/trust.ts";
import { eventually, issuerTls, makeSite, openKeptLog, openThief, startIssuerOn } from "../support/stack.ts";

test("trust that some namespace does not take holds up no later trust, and the hub hears which", async () => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  using agent = await openThief(site, issuer.address, "east");
  const taken: KeptTrust[] = [];
  const distributed: KeptTrust[] = [];
  let lacking: readonly string[] = [];
  await using trust = await startTrust({
    addresses: [issuer.address],
    agent: "agent-1",
    tls: () => issuerTls(site, agent.identity),
    jwks: () => "",
    onTrust: async (next) => void taken.push(next),
    onRefused: () => {},
    // What one namespace's own ConfigMap with immutable: true, or its full quota, does to the agent that leads.
    wholeCluster: false,
    everywhere: async (next) => {
      distributed.push(next);
      return await new Promise(() => {});
    },
    lacking: () => lacking,
    tellMs: 50,
    store: await openStore(join(site.directory, "agent")),
    now: () => new Date(),
    log: openKeptLog(),
  });
  await eventually(() => assert.equal(distributed.length, 1));
  lacking = ["istio-ca-root-cert in stubborn"];
  const told = (): readonly unknown[] => issuer.log.of("trust refused in a cluster").map(({ fields }) => fields);
  await eventually(() => assert.deepEqual(told(), [{ cluster: "east", places: "istio-ca-root-cert in stubborn" }]));
  await issuer.suspend("tenant", "media");
  await eventually(() => assert.equal(distributed.length, 2));
  assert.deepEqual(taken, distributed);
  assert.equal(trust.current()?.tenants.find(({ tenant }) => tenant === "media")?.suspended, true);
  // Said once, and nothing is acknowledged by it.
  assert.equal(told().length, 1);
  assert.deepEqual(issuer.log.of("refused"), []);
});
