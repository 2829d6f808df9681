import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { hashesOf, openHubRoots } from "../../src/agent/hub-roots.ts";
import type { KeptTrust } from "../../src/agent/kept-trust.ts";
import { openStore } from "../../src/agent/store.ts";
import { startTrust, type TrustParts } from "../../src/agent/trust.ts";
import { certificateLabel, toPem } from "../../src/pki/pem.ts";
import { ago, daySeconds } from "../support/clock.ts";
import { noTrust } from "../support/heard.ts";
import { openKeptLog } from "../support/kept-log.ts";
import { eventually } from "../support/patience.ts";
import { makeAuthority } from "../support/pki.ts";
import { makeSite } from "../support/site.ts";
import { startIssuerOn } from "../support/stack.ts";
import { issuerTls, openThief } from "../support/thief.ts";

const unheard: KeptTrust = { ...noTrust, version: "kept by another" };

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
    hubRoots: openHubRoots(site.hubRootPem),
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

test("an agent that the hub does not reach leads on what another has heard, and never goes back behind the hub's word", async () => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  using agent = await openThief(site, issuer.address, "east");
  // The cluster's own: both agents keep what they know in it.
  const store = await openStore(join(site.directory, "agents"));
  let reaches = true;
  const parts = (name: string, tls: TrustParts["tls"], inForce: string[]): TrustParts => ({
    addresses: [issuer.address],
    agent: name,
    tls,
    hubRoots: openHubRoots(site.hubRootPem),
    jwks: () => "",
    onTrust: async ({ version }) => void inForce.push(version),
    onRefused: () => {},
    wholeCluster: true,
    everywhere: async () => undefined,
    lacking: () => [],
    store,
    now: () => new Date(),
    log: openKeptLog(),
  });
  const tls = () => issuerTls(site, agent.identity);
  const inForce: string[] = [];
  await using cut = await startTrust(parts("agent-1", () => (reaches ? tls() : undefined), inForce));
  await eventually(() => assert.deepEqual(inForce, [cut.current()?.version]));
  const older = cut.current()?.version;
  reaches = false;
  cut.reconnect();
  await using other = await startTrust(parts("agent-2", tls, []));
  await issuer.suspend("tenant", "media");
  await eventually(() => assert.notEqual(other.current()?.version, older));
  const newer = other.current()?.version;
  assert.equal(cut.current()?.version, older);

  assert.equal((await cut.catchUp())?.version, newer);
  assert.equal(inForce.at(-1), newer, "it serves with it too");
  assert.equal((await cut.catchUp())?.version, newer);
  assert.equal(inForce.filter((version) => version === newer).length, 1, "once");

  // A slow agent may leave an older one behind: the hub's own word stands.
  await eventually(async () => assert.ok((await store.read("trust.json"))?.includes(newer ?? "-")));
  const stale = (await store.read("trust.json"))?.replace(newer ?? "-", "0123456789abcdef") ?? "";
  await store.write("trust.json", stale);
  assert.equal((await other.catchUp())?.version, newer);
});

test("an agent that cannot read what another has kept does not lead on its own memory", async () => {
  const failing = {
    reads: 0,
    read: async () => {
      failing.reads += 1;
      if (failing.reads > 1) throw new Error("the API server is away");
      return undefined;
    },
    write: async () => {},
  };
  await using trust = await startTrust({
    addresses: ["127.0.0.1:1"],
    agent: "agent-1",
    tls: () => undefined,
    hubRoots: { hear: () => undefined },
    jwks: () => "",
    onTrust: async () => {},
    onRefused: () => {},
    wholeCluster: true,
    everywhere: async () => undefined,
    lacking: () => [],
    store: failing,
    now: () => new Date(),
    log: openKeptLog(),
  });
  await assert.rejects(trust.catchUp(), /API server is away/);
});

test("an agent to whom no issuer is known any more finds their root where another agent of its cluster has kept it", async () => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  using agent = await openThief(site, issuer.address, "east");
  const life = { notBefore: ago(7200), notAfter: ago(-daySeconds) };
  const old = toPem(certificateLabel, (await makeAuthority("P-256", life)).certificate);
  const hubRoots = openHubRoots(old);
  const kept = { ...unheard, hubRoots: { pem: site.hubRootPem, from: hashesOf(old) } };
  let reads = 0;
  const taken: string[] = [];
  await using trust = await startTrust({
    addresses: [issuer.address],
    agent: "agent-2",
    tls: () => ({ ...issuerTls(site, agent.identity), rootsPem: hubRoots.pem() }),
    hubRoots,
    jwks: () => "",
    onTrust: async (next) => {
      taken.push(next.version);
      hubRoots.take(next.hubRoots);
    },
    onRefused: () => {},
    wholeCluster: true,
    everywhere: async () => undefined,
    lacking: () => [],
    // The other one writes it after this one has started.
    store: { read: async () => (reads++ === 0 ? undefined : JSON.stringify(kept)), write: async () => {} },
    now: () => new Date(),
    log: openKeptLog(),
  });
  await eventually(() => assert.equal(taken.length, 2));
  assert.equal(taken[0], unheard.version);
  assert.equal(trust.current()?.hubRoots?.pem, site.hubRootPem);
});
