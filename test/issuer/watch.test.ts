import assert from "node:assert/strict";
import { test } from "node:test";
import { acceptWatch } from "../../src/issuer/watch.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { AcknowledgementRecord } from "../../src/ledger/state.ts";
import { openMetrics } from "../../src/ops/metrics.ts";
import { openWatchStream } from "../../src/rpc/client.ts";
import type { Trust, Trust__Output } from "../../src/rpc/gen/espalier/v1/Trust.ts";
import type { TrustAck, TrustAck__Output } from "../../src/rpc/gen/espalier/v1/TrustAck.ts";
import { readStatus } from "../../src/rpc/status.ts";
import type { Stream } from "../../src/rpc/stream.ts";
import { daySeconds, moved } from "../support/clock.ts";
import { openLiveSite } from "../support/live-site.ts";
import { eventually } from "../support/patience.ts";
import { makeSite, type Site } from "../support/site.ts";
import { startIssuerOn } from "../support/stack.ts";
import { openThief, type Thief } from "../support/thief.ts";

interface Watch {
  readonly stream: Stream<Trust__Output, TrustAck>;
  readonly got: Trust__Output[];
  readonly ended: Promise<string>;
  latest(count: number): Promise<Trust__Output>;
}

function openWatch({ client }: Thief): Watch {
  const stream = openWatchStream(client);
  const got: Trust__Output[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  stream.onMessage((message) => void got.push(message));
  stream.onEnd((error) => resolve(error === undefined ? "" : readStatus(error).code));
  stream.write({ version: "", inForceSince: "", agent: "agent-1" });
  const latest = async (count: number): Promise<Trust__Output> =>
    await eventually(() => {
      const last = got[count - 1];
      assert.ok(last);
      return last;
    });
  return { stream, got, ended, latest };
}

async function acknowledgements(site: Site): Promise<readonly AcknowledgementRecord[]> {
  await using database = await openSqlite({ path: site.databasePath, now: () => new Date(), create: false });
  return await database.state.acknowledgements();
}

test("what an agent has in force is what it was sent on this stream, and counts for its own cluster", async (t) => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  using thief = await openThief(site, issuer.address, "east");
  const ack = (version: string, more: Partial<TrustAck> = {}): TrustAck => ({
    version,
    inForceSince: new Date().toISOString(),
    agent: "agent-1",
    ...more,
  });

  await t.test("a version that was sent is acknowledged, also when a newer one is on its way", async () => {
    const watch = openWatch(thief);
    const first = await watch.latest(1);
    await issuer.suspend("tenant", "media");
    const second = await watch.latest(2);
    assert.equal(second.tenants.find((one) => one.tenant === "media")?.suspended, true);
    watch.stream.write(ack(first.version));
    await eventually(async () => assert.equal((await acknowledgements(site))[0]?.version, first.version));
    watch.stream.write(ack(second.version));
    await eventually(async () => assert.equal((await acknowledgements(site))[0]?.version, second.version));
    watch.stream.end();
    await issuer.suspend("tenant", "media", false);
  });
  for (const [title, wrong] of [
    ["a version that was never sent", ack("0123456789abcdef")],
    ["a version of another cluster", undefined],
    ["an agent with a name that is none", ack("", { agent: "Nobody\n" })],
    ["an agent with a name of 254 characters", ack("", { agent: "a".repeat(254) })],
  ] as const) {
    await t.test(`${title} is refused, told and not written down`, async () => {
      const watch = openWatch(thief);
      const { version } = await watch.latest(1);
      const before = JSON.stringify(await acknowledgements(site));
      const lines = issuer.log.of("refused").length;
      using west = await openThief(site, issuer.address, "west");
      const other = wrong === undefined ? ack((await openWatch(west).latest(1)).version) : wrong;
      watch.stream.write(other.version === "" ? { ...other, version } : other);
      assert.equal(await watch.ended, "malformed");
      assert.equal(issuer.log.of("refused").length, lines + 1);
      assert.equal(JSON.stringify(await acknowledgements(site)), before);
    });
  }
  await t.test("a time in the future is now", async () => {
    const watches = [openWatch(thief), openWatch(thief)] as const;
    const { version } = await watches[0].latest(1);
    await watches[1].latest(1);
    watches[0].stream.write(ack(version, { inForceSince: "2999-01-01T00:00:00Z", agent: "agent-2" }));
    watches[1].stream.write(ack(version, { inForceSince: "garbage", agent: "agent-3" }));
    await eventually(async () => {
      const own = (await acknowledgements(site)).filter((one) => one.agent !== "agent-1");
      assert.equal(own.length, 2);
      for (const { inForceSince } of own) assert.ok(inForceSince <= new Date());
    });
    for (const { stream } of watches) stream.end();
  });
  await t.test("what refuses it is told in few lines of few words, and acknowledges nothing", async () => {
    const watch = openWatch(thief);
    await watch.latest(1);
    const before = JSON.stringify(await acknowledgements(site));
    const lacking = Array.from({ length: 200 }, (_, index) => `roots in namespace-${index}`);
    for (let times = 0; times < 200; times += 1) watch.stream.write(ack("", { lacking }));
    await issuer.suspend("tenant", "media");
    await watch.latest(2);
    const told = await eventually(() => {
      const lines = issuer.log.of("trust refused in a cluster");
      assert.ok(lines.length > 0);
      return lines;
    });
    assert.ok(told.length <= 64, `${told.length} lines`);
    for (const { fields } of told) assert.ok(fields["cluster"] === "east" && String(fields["places"]).length <= 1_024);
    assert.equal(JSON.stringify(await acknowledgements(site)), before);
    watch.stream.end();
    await issuer.suspend("tenant", "media", false);
  });
  await t.test("a version is written down once for each stream, whatever names it is said under", async () => {
    const watch = openWatch(thief);
    const { version } = await watch.latest(1);
    for (let i = 0; i < 20; i++) watch.stream.write(ack(version, { agent: `many-${i}` }));
    await issuer.suspend("tenant", "media");
    const next = await watch.latest(2);
    watch.stream.write(ack(next.version, { agent: "last" }));
    const names = await eventually(async () => {
      const own = (await acknowledgements(site)).map(({ agent }) => agent);
      assert.ok(own.includes("last"));
      return own;
    });
    assert.deepEqual(
      names.filter((name) => name.startsWith("many-")),
      ["many-0"],
    );
    watch.stream.end();
    await issuer.suspend("tenant", "media", false);
  });
  await t.test("an agent whose certificate has expired acknowledges nothing", async () => {
    const watch = openWatch(thief);
    const { version } = await watch.latest(1);
    await moved(issuer.clock, daySeconds + 60, async () => {
      watch.stream.write(ack(version, { agent: "agent-9" }));
      assert.equal(await watch.ended, "proof-invalid");
    });
    assert.equal(
      (await acknowledgements(site)).some((one) => one.agent === "agent-9"),
      false,
    );
  });
  await t.test("an agent learns of the tenants of its own cluster and of no others", async () => {
    using west = await openThief(site, issuer.address, "west");
    const { tenants } = await openWatch(west).latest(1);
    assert.deepEqual(
      tenants.map((one) => one.tenant),
      ["payments"],
    );
  });
});

test("an issuer that does not hear from its database tells nobody what to trust", async () => {
  using site = await makeSite();
  await using opened = await openLiveSite(site);
  const { live, database, log } = opened;
  const { state } = database;
  const written: unknown[] = [];
  const stream: Stream<TrustAck__Output, Trust> = {
    onMessage: () => {},
    onEnd: () => {},
    write: (message) => void written.push(message),
    pause: () => {},
    resume: () => {},
    end: () => {},
    fail: (error) => assert.fail(error),
  };
  const accept = (behindMs: number): void =>
    acceptWatch(
      stream,
      { cluster: "east", serial: "", notAfter: new Date(8.64e15) },
      {
        live,
        state,
        behindMs: () => behindMs,
        draining: new AbortController().signal,
        now: () => new Date(),
        log,
        metrics: openMetrics({ process: "issuer" }),
      },
    );
  // It may be of before a rotation: who is told so finds no other issuer again.
  assert.throws(() => accept(31_000), { code: "unavailable", message: /does not hear from its database/ });
  assert.equal(written.length, 0);
  accept(29_000);
  assert.equal(written.length, 1);
});
