/** The hub root is rotated while agents, one of them cut off for a while, and operators go on; TLS is real, and judges every step. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { call, openRemoteAdmin } from "../../src/rpc/client.ts";
import type { Rotation__Output } from "../../src/rpc/gen/espalier/v1/Rotation.ts";
import { espalier } from "../ctl/stage.ts";
import { hubName, podToken } from "../support/documents.ts";
import { act, enrol } from "../support/operators.ts";
import { eventually } from "../support/patience.ts";
import { startRelay } from "../support/relay.ts";
import { type AgentStack, type Stack, startAgentOf, startStack } from "../support/stack.ts";
import { assertIssued, csrFor, newKey, openWorkload, tlsOf, type WorkloadClient } from "../support/workload.ts";

const settleSeconds = 60;
const waitMs = 60_000;

async function say({ site }: Stack, ...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await espalier(argv, site.config.adminSocket);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function show(stack: Stack): Promise<Rotation__Output> {
  const [rotation]: readonly Rotation__Output[] = JSON.parse(await say(stack, "root", "status", "--hub", "-o", "json"));
  assert.ok(rotation);
  return rotation;
}

/** Without their hosts' names. */
async function waits(stack: Stack): Promise<readonly string[]> {
  const { waitingFor } = await show(stack);
  return [...new Set(waitingFor.map(({ kind, name }) => `${kind} ${name.replace(/\/.*/, "")}`))];
}

/** Asks without a pause, and counts what is answered with anything but a certificate. */
function startLoad(
  workload: WorkloadClient,
): Disposable & { stop(): Promise<readonly string[]>; readonly issued: () => number } {
  const stopping = new AbortController();
  const failed: string[] = [];
  let issued = 0;
  const key = newKey();
  const ask = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const answered = await workload.ask({ csr: csrFor(undefined, key) });
      if ("chain" in answered) issued += 1;
      else failed.push(`${answered.status} ${answered.message}`);
      await delay(20);
    }
  };
  const asking = ask();
  return {
    issued: () => issued,
    [Symbol.dispose]: () => stopping.abort(),
    stop: async () => {
      stopping.abort();
      await asking;
      return failed;
    },
  };
}

/** The serials of an identity's certificates that this root has signed. */
async function serialsUnder(stack: Stack, identity: string, root: string): Promise<readonly string[]> {
  const listed: readonly { readonly body: { readonly authority: string; readonly serial: string } }[] = JSON.parse(
    await say(stack, "ledger", "list", "--log", "@hub", "--identity", identity, "-o", "json"),
  );
  return listed.flatMap(({ body }) => (body.authority === root ? [body.serial] : []));
}

test("the hub root is rotated under load: an agent that is cut off holds it and is named, and nobody is cut off by it", async () => {
  await using stack = await startStack({
    clusters: ["east"],
    serving: ["east", "west"],
    renewalMs: 100,
    config: { rotation: { settleSeconds }, adminListen: "127.0.0.1:0" },
  });
  const { site, clock, issuer } = stack;
  const relay = stack.use(await startRelay(issuer.running.port));
  const through = { clock, issuers: [`127.0.0.1:${relay.port}`] };
  let west: AgentStack = await startAgentOf(site, "west", through);
  await west.ready();
  const alice = await enrol(issuer, "alice", "viewer");
  using load = startLoad(await stack.workload("east"));
  const oldPem = site.hubRootPem;

  assert.match(await say(stack, "root", "rotate", "--hub", "--dry-run"), /nothing done; without --dry-run/);
  assert.equal((await show(stack)).phase, "none");
  relay.to(1);
  await say(stack, "root", "rotate", "--hub", "--reason", "yearly");
  assert.match(await say(stack, "root", "rotate", "--hub"), /is so already/);
  await eventually(
    async () => assert.deepEqual(await waits(stack), ["door operator:alice", "agent agent:west", "settle agent:east"]),
    waitMs,
  );
  const bothPem = await say(stack, "root", "show", hubName);
  assert.deepEqual(bothPem.split(oldPem).length, 2, "the old one and another");
  const newPem = bothPem.replace(oldPem, "");
  relay.to(issuer.running.port);
  await eventually(
    async () => assert.deepEqual(await waits(stack), ["door operator:alice", "settle agent:east", "settle agent:west"]),
    waitMs,
  );
  await say(stack, "root", "continue", "--hub", "--acknowledge", "operator:alice", "--reason", "her copy is replaced");
  const { coming, leaving } = await show(stack);
  const [newId = "", oldId = ""] = [coming?.id, leaving?.id];
  // Certificates of agents begin two minutes back: the clock of TLS is the real one.
  clock.offsetSeconds += settleSeconds + 1;
  await eventually(async () => assert.equal((await show(stack)).phase, "active"), waitMs);

  const list = async (rootsPem: string): Promise<unknown> => {
    const tls = { rootsPem, serverName: `issuer.${hubName}`, identity: alice };
    const admin = openRemoteAdmin(`127.0.0.1:${issuer.running.adminPort}`, tls);
    try {
      return await call<object, unknown>(admin.listRoots.bind(admin), { act }, 5_000);
    } finally {
      admin.close();
    }
  };
  await eventually(async () => await assert.rejects(list(oldPem), { code: "unavailable" }), waitMs);
  await list(newPem);
  for (const cluster of ["east", "west"])
    await eventually(
      async () =>
        assert.notEqual((await serialsUnder(stack, `spiffe://${hubName}/cluster/${cluster}`, newId)).length, 0),
      waitMs,
    );
  await eventually(
    async () => assert.deepEqual(await waits(stack), ["door operator:alice", "door issuer", "leaves hub.example"]),
    waitMs,
  );

  // Both agents have others by now: these are nobody's.
  for (const cluster of ["east", "west"]) {
    const serials = await serialsUnder(stack, `spiffe://${hubName}/cluster/${cluster}`, oldId);
    await say(stack, "revoke", "serial", ...serials, "--reason", "moved");
  }
  await say(stack, "root", "continue", "--hub", "--acknowledge", "operator:alice", "issuer", "--reason", "all moved");
  await eventually(async () => assert.equal((await show(stack)).phase, "none"), waitMs);
  assert.equal(await say(stack, "root", "show", hubName), newPem);
  const kept = (agent: AgentStack): { readonly pem: string } =>
    JSON.parse(readFileSync(join(agent.directory, "data/trust.json"), "utf8")).hubRoots;
  for (const agent of [stack.agent("east"), west])
    await eventually(() => assert.equal(kept(agent).pem, newPem), waitMs);
  await assert.rejects(list(newPem), { code: "proof-missing" });

  // One that is started again with the configuration of before goes by what it has kept.
  await west[Symbol.asyncDispose]();
  west = stack.use(await startAgentOf(site, "west", { ...through, directory: west.directory }));
  await west.ready();
  const served = stack.use(openWorkload(await west.address(), tlsOf(site, "west"), "west"));
  assertIssued(await served.ask({ token: podToken("west") }));
  // One that has lost that too needs the new root in its configuration, and then has all again.
  await west[Symbol.asyncDispose]();
  rmSync(join(west.directory, "data"), { recursive: true });
  {
    await using lost = await startAgentOf(site, "west", { ...through, directory: west.directory });
    await eventually(() => assert.ok(lost.log.of("certificate not obtained").length > 2), waitMs);
    assert.deepEqual(lost.log.of("certificate obtained"), []);
  }
  await using again = await startAgentOf({ ...site, hubRootPem: newPem }, "west", through);
  await again.ready();

  assert.deepEqual(await load.stop(), []);
  assert.ok(load.issued() > 20, `${load.issued()} calls`);
  assert.deepEqual(issuer.log.of("roots not rotated"), []);
  assert.equal(new X509Certificate(newPem).subject.includes("Espalier hub"), true);
  await issuer[Symbol.asyncDispose]();
  await site.verify();
});
