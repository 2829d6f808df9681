import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openHub } from "../../src/agent/hub.ts";
import { Refusal } from "../../src/errors.ts";
import { readStatus } from "../../src/rpc/status.ts";
import { podToken } from "../support/documents.ts";
import { startFakeIssuer } from "../support/fake-issuer.ts";
import { openKeptLog } from "../support/kept-log.ts";
import { callMs, eventually } from "../support/patience.ts";
import { makeSite } from "../support/site.ts";
import { startAgentOf, startIssuerOn, startStack } from "../support/stack.ts";
import { issuerTls, openThief } from "../support/thief.ts";
import { refusedCounts } from "../support/traces.ts";
import { assertIssued, assertRefused, openWorkload, tlsOf } from "../support/workload.ts";

/** An address that accepts connections and never says a word. */
async function startMute(): Promise<AsyncDisposable & { readonly address: string }> {
  const sockets = new Set<Socket>();
  let closing = false;
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    // One that was on its way while we close would keep the server open for as long as its client likes.
    if (closing) socket.destroy();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === "object");
  return {
    address: `127.0.0.1:${bound.port}`,
    [Symbol.asyncDispose]: async () => {
      closing = true;
      const closed = new Promise((resolve) => void server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** An issuer in a process of its own, so that it can be stopped and killed. */
async function spawnIssuer(
  file: string,
): Promise<{ readonly address: string; signal(name: NodeJS.Signals): void; readonly dead: Promise<unknown> }> {
  const script = join(import.meta.dirname, "../support/dying-issuer.ts");
  const child = spawn(process.execPath, [script, file, "none", "before"], { stdio: ["ignore", "pipe", "inherit"] });
  const dead = once(child, "exit");
  const [port] = await once(child.stdout, "data");
  return { address: `127.0.0.1:${String(port).trim()}`, signal: (name) => void child.kill(name), dead };
}

test("an issuer that is stopped or killed is UNAVAILABLE within the agent's deadline, and then not", async (t) => {
  using site = await makeSite();
  const file = join(site.directory, "issuer.json");
  writeFileSync(file, JSON.stringify(site.config));
  let issuer = await spawnIssuer(file);
  const { address } = issuer;
  await using agent = await startAgentOf(site, "east", { issuers: [address], config: { deadlineMs: 700 } });
  using workload = openWorkload(await agent.address(), tlsOf(site, "east"), "east");
  try {
    const refusedInTime = async (): Promise<void> => {
      const before = await refusedCounts(agent.metrics);
      const lines = agent.log.of("refused").length;
      assertRefused(await workload.ask(), "unavailable", /within 700 ms/);
      assert.equal((await refusedCounts(agent.metrics))["unavailable"], (before["unavailable"] ?? 0) + 1);
      assert.equal(agent.log.of("refused").length, lines + 1);
    };
    // On a machine with much else to do the first one takes longer.
    await eventually(async () => assertIssued(await workload.ask()));
    await t.test("while it does not run", async () => {
      issuer.signal("SIGSTOP");
      for (const one of await Promise.all([workload.ask(), workload.ask()])) assertRefused(one, "unavailable");
      await refusedInTime();
      issuer.signal("SIGCONT");
      await eventually(async () => assertIssued(await workload.ask()));
    });
    await t.test("when it is killed with requests under way", async () => {
      issuer.signal("SIGSTOP");
      const asked = [workload.ask(), workload.ask()];
      issuer.signal("SIGKILL");
      await issuer.dead;
      for (const one of await Promise.all(asked)) assertRefused(one, "unavailable");
      await refusedInTime();
      assert.ok(agent.log.of("issuer connection broke").length > 0);
    });
    await t.test("and once it is back", async () => {
      writeFileSync(file, JSON.stringify({ ...site.config, listen: address }));
      issuer = await spawnIssuer(file);
      await eventually(async () => assertIssued(await workload.ask()));
      await agent.ready();
    });
  } finally {
    issuer.signal("SIGKILL");
    await issuer.dead;
  }
});

test("behind a mute issuer and a dead one the third carries on", async () => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  await using mute = await startMute();
  const issuers = [mute.address, "127.0.0.1:1", issuer.address];
  await using agent = await startAgentOf(site, "east", { issuers });
  using workload = openWorkload(await agent.address(), tlsOf(site, "east"), "east");
  for (let n = 0; n < 5; n++) assertIssued(await workload.ask());
});

test("an issuer that closes answers what it has read, and the agent finds the next one", async () => {
  using site = await makeSite();
  const first = await startIssuerOn(site);
  const { address } = first;
  await using agent = await startAgentOf(site, "east", { issuers: [address], config: { deadlineMs: callMs } });
  using workload = openWorkload(await agent.address(), tlsOf(site, "east"), "east");
  assertIssued(await workload.ask());
  const asked = Array.from({ length: 30 }, async () => await workload.ask());
  const began = performance.now();
  await first[Symbol.asyncDispose]();
  assert.ok(performance.now() - began < callMs, "closing waits for streams that never end");
  await using second = await startIssuerOn(site, { listen: address });
  for (const one of await Promise.all(asked)) assertIssued(one);
  assert.ok(second.running.port > 0);
  assert.equal((await refusedCounts(agent.metrics))["unavailable"], undefined);
});

test("an agent that starts while the hub is away serves from its store, says UNAVAILABLE, and recovers", async () => {
  using site = await makeSite();
  const first = await startIssuerOn(site);
  const { address } = first;
  const one = await startAgentOf(site, "east", { issuers: [address] });
  await one.ready();
  const { directory } = one;
  await one[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();

  await using agent = await startAgentOf(site, "east", { issuers: [address], directory, config: { deadlineMs: 500 } });
  using workload = openWorkload(await agent.address(), tlsOf(site, "east"), "east");
  assertRefused(await workload.ask(), "unavailable");
  assertRefused(await workload.ask({ token: "garbage" }), "proof-invalid");
  const ready = await fetch(`http://127.0.0.1:${agent.running.httpPort}/readyz`);
  assert.deepEqual([ready.status, await ready.text()], [503, "waiting for a connection to an issuer\n"]);
  await using second = await startIssuerOn(site, { listen: address });
  await eventually(async () => assertIssued(await workload.ask()));
  await agent.ready();
  assert.equal(second.log.of("joined").length, 0, "it has a certificate and does not join for each start");
});

test("an agent that the hub does not know is UNAVAILABLE to its workloads, never UNAUTHENTICATED", async () => {
  await using stack = await startStack({ agent: { config: { deadlineMs: 500 } } });
  const workload = await stack.workload("east");
  await eventually(async () => assertIssued(await workload.ask()));
  // As after a long sleep: its certificate has ended and it has not joined again.
  stack.clock.offsetSeconds += 86_400 + 600;
  const token = podToken("east", { issuedAt: stack.clock.now() });
  assertRefused(await workload.ask({ token }), "unavailable");
});

test("no more waits for an issuer that does not answer than can be held", async () => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  using agent = await openThief(site, issuer.address, "east");
  await using mute = await startFakeIssuer(site);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  mute.answer = async ({ id }) => {
    await held;
    return { replies: [{ id, refused: { code: "unavailable", message: "late", reference: "" } }], chains: [] };
  };
  await using hub = openHub({
    addresses: [mute.address],
    channelsPerIssuer: 1,
    deadlineMs: 3_000,
    tls: () => issuerTls(site, agent.identity),
    now: () => new Date(),
    log: openKeptLog(),
  });
  await eventually(() => assert.equal(hub.connected(), 1));
  const codes = await Promise.all(
    Array.from({ length: 4_100 }, async () => await hub.sign({ csr: new Uint8Array(1) }).catch(readStatus)),
  );
  const count = (code: string): number => codes.filter((one) => one instanceof Refusal && one.code === code).length;
  assert.deepEqual([count("unavailable"), count("overloaded")], [4_096, 4]);
  release();
  // Until what waited has been passed over.
  await delay(500);
});

test("a storm of one namespace holds up nobody of another", async () => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  using agent = await openThief(site, issuer.address, "east");
  await using busy = await startFakeIssuer(site);
  const sent: string[] = [];
  busy.answer = async ({ id, signer }) => {
    sent.push(signer);
    return { replies: [{ id, refused: { code: "unavailable", message: "only a test", reference: "" } }], chains: [] };
  };
  await using hub = openHub({
    addresses: [busy.address],
    channelsPerIssuer: 1,
    deadlineMs: 20_000,
    tls: () => issuerTls(site, agent.identity),
    now: () => new Date(),
    log: openKeptLog(),
  });
  await eventually(() => assert.equal(hub.connected(), 1));
  const ask = async (line: string): Promise<unknown> =>
    await hub.sign({ csr: new Uint8Array(1), signer: line }, line).catch(readStatus);
  const storm = Array.from({ length: 4_096 }, async () => await ask("storm"));
  const quiet = Array.from({ length: 3 }, async () => await ask("quiet"));
  const [first, ...others] = await Promise.all([...quiet, ...storm]);
  assert.ok(first instanceof Refusal && first.code === "unavailable");
  assert.deepEqual(sent.slice(0, 6), ["storm", "quiet", "storm", "quiet", "storm", "quiet"]);
  // Who came last to a full queue is served: the storm's newest made room.
  const overloaded = others.filter((one) => one instanceof Refusal && one.code === "overloaded");
  assert.deepEqual([overloaded.length, others.indexOf(overloaded[0])], [3, 2 + 4_096 - 3]);
});

test("while no issuer is connected a storm takes nobody else's place, and who has given up holds none", async () => {
  await using hub = openHub({
    addresses: ["127.0.0.1:1"],
    channelsPerIssuer: 1,
    deadlineMs: 500,
    tls: () => undefined,
    now: () => new Date(),
    log: openKeptLog(),
  });
  const ask = async (line: string): Promise<string> => {
    const refusal = await hub.sign({ csr: new Uint8Array(1) }, line).catch(readStatus);
    assert.ok(refusal instanceof Refusal);
    return refusal.code;
  };
  for (let round = 0; round < 2; round++) {
    const storm = Array.from({ length: 4_096 }, async () => await ask("storm"));
    const quiet = await Promise.all(Array.from({ length: 3 }, async () => await ask("quiet")));
    assert.deepEqual(new Set(quiet), new Set(["unavailable"]));
    const overloaded = (await Promise.all(storm)).filter((code) => code === "overloaded");
    assert.equal(overloaded.length, 3);
  }
});
