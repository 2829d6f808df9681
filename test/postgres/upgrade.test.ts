/** A hub and its agents go from the previous version to this one, process by process, under load. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { migrations } from "../../src/ledger/schema.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { layGround } from "../support/ground.ts";
import { startLoad } from "../support/load.ts";
import { startPostgres } from "../support/postgres.ts";
import { historyMissing, unpackPrevious } from "../support/previous.ts";
import { type Daemon, espalier, freePort, startDaemon } from "../support/processes.ts";
import { openRandom } from "../support/random.ts";
import { startRelay } from "../support/relay.ts";

const base = temporaryDirectory();
const previous = unpackPrevious();
const server = await startPostgres();
const stack = new AsyncDisposableStack();
after(async () => {
  await stack.disposeAsync();
  await server[Symbol.asyncDispose]();
  previous?.[Symbol.dispose]();
  base[Symbol.dispose]();
});

const [workloads, pauseMs] = [2, 100];

test("a rolling upgrade loses no request: issuers first, then agents, each one version apart from what it speaks with", async (t) => {
  if (previous === undefined) return t.skip(historyMissing);
  const { database, port } = await server.database();
  const { main } = previous;
  const ground = await layGround({ directory: base.path, port, database, synchronousStandby: false, main });
  const ports = [await freePort(), await freePort()];
  const files = [await ground.issuer("first", ports[0] ?? 0), await ground.issuer("second", ports[1] ?? 0)];
  const issuer = async (n: number, version: "previous" | "present"): Promise<Daemon> => {
    const daemon = stack.use(
      startDaemon(["issuer", "run", "--config", files[n] ?? ""], version === "previous" ? [main] : undefined),
    );
    await daemon.event("issuer ready");
    return daemon;
  };
  const doors = [await freePort(), await freePort()];
  // A Service's endpoints: an agent is among them from when it is ready until it begins to end.
  const endpoints = new Set<number>();
  const agent = async (n: number, version: "previous" | "present"): Promise<Daemon> => {
    const file = await ground.agent(`agent-${n}`, doors[n] ?? 0, ports);
    const daemon = stack.use(
      startDaemon(["agent", "run", "--config", file], version === "previous" ? [main] : undefined),
    );
    await daemon.event("serving workloads");
    endpoints.add(doors[n] ?? 0);
    return daemon;
  };

  await ground.init("first");
  let first = await issuer(0, "previous");
  await ground.createRoots("first");
  let second = await issuer(1, "previous");
  // The previous version and this one, both at the previous version's issuers.
  let older = await agent(0, "previous");
  let newer = await agent(1, "present");
  const applied = async (): Promise<number> =>
    Number((await server.sql("SELECT count(*) AS n FROM espalier.migrations", database)).rows[0].n);
  const migratedBefore = await applied();

  const { stdout: servingRootPem } = await ground.say("first", "root", "show", "east", "--serving");
  const random = openRandom(1);
  const service = stack.use(await startRelay(() => random.pick([...endpoints])));
  const load = startLoad({ address: `localhost:${service.port}`, servingRootPem, token: ground.token, random });
  const stopped = new AbortController();
  const asking = Promise.all(
    Array.from({ length: workloads }, async () => {
      while (!stopped.signal.aborted) {
        await load.call();
        await delay(pauseMs);
      }
    }),
  );
  const issuedBy = (daemon: Daemon): number =>
    daemon.lines.filter((line) => line["event"] === "issued" && line["tenant"] === "shop").length;
  /** That it goes on issuing from now on. */
  const goesOn = async (what: string, ...daemons: readonly Daemon[]): Promise<void> => {
    const before = daemons.map(issuedBy);
    for (let tries = 0; daemons.some((daemon, n) => issuedBy(daemon) <= (before[n] ?? 0)); tries += 1) {
      assert.ok(tries < 2_400, `${what}: not everybody issues`);
      await delay(50);
    }
  };

  await t.test("agents of both versions are served by the previous version's issuers", async () => {
    await goesOn("at first", first, second);
  });

  await t.test("one issuer of this version migrates the database, and the previous one goes on beside it", async () => {
    await first.stop();
    first = await issuer(0, "present");
    assert.equal(await applied(), migrations.length);
    await goesOn("side by side", first, second);
    // Operators' acts go through either.
    await ground.say("second", "tenant", "suspend", "bank", "--reason", "a test");
    await ground.say("first", "tenant", "resume", "bank", "--reason", "a test");
    const { stdout } = await ground.say("first", "ledger", "list", "--log", "bank", "-o", "json");
    assert.deepEqual([/suspend-tenant/.test(stdout), /resume-tenant/.test(stdout)], [true, true]);
  });

  await t.test("an issuer of the previous version that starts now says that it needs a newer one", async () => {
    if (migrations.length === migratedBefore) return;
    const third = await ground.issuer("third", await freePort());
    const said = await espalier(["issuer", "run", "--config", third], {}, main);
    assert.notEqual(said.code, 0);
    assert.match(said.stdout + said.stderr, /this binary knows \d+: use a newer one/);
  });

  await t.test("all issuers are of this version, and agents of both are served", async () => {
    await second.stop();
    second = await issuer(1, "present");
    await goesOn("issuers upgraded", first, second);
  });

  await t.test("an agent of this version goes on with what the previous one kept, and may go back to it", async () => {
    endpoints.delete(doors[0] ?? 0);
    await older.stop();
    older = await agent(0, "present");
    await goesOn("agents upgraded", first, second);
    endpoints.delete(doors[1] ?? 0);
    await newer.stop();
    newer = await agent(1, "previous");
    await goesOn("an agent went back", first, second);
  });

  stopped.abort();
  await asking;
  load.close();
  await t.test("no call was lost, and none was told anything but to ask again", () => {
    const told = load.calls.flatMap(({ attempts }) => attempts.map(({ status }) => status));
    assert.deepEqual(
      [...new Set(told)].filter((status) => status !== "OK" && status !== "UNAVAILABLE"),
      [],
    );
    const lost = load.calls.filter(({ held }) => held === undefined);
    assert.deepEqual(lost, []);
    assert.ok(load.calls.length > 50, `${load.calls.length} calls`);
  });
  await t.test("the ledger of both versions verifies as one", async () => {
    const { sound, logs } = JSON.parse((await ground.say("first", "ledger", "verify", "-o", "json")).stdout);
    assert.equal(sound, true, JSON.stringify(logs));
  });
});
