/** Two issuers on one database, as processes, with an agent that reaches both. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryDirectory } from "../contract/directory.ts";
import { groundTrustDomain, layGround } from "../support/ground.ts";
import { eventually } from "../support/patience.ts";
import { startPostgres } from "../support/postgres.ts";
import { type Daemon, freePort, startDaemon } from "../support/processes.ts";

const base = temporaryDirectory();
const server = await startPostgres();
const daemons = new AsyncDisposableStack();
after(async () => {
  await daemons.disposeAsync();
  await server[Symbol.asyncDispose]();
  base[Symbol.dispose]();
});
const { port, database } = await server.database();
const ground = await layGround({ directory: base.path, port, database, synchronousStandby: false });
const { at, say } = ground;

async function startIssuer(file: string): Promise<Daemon> {
  const daemon = daemons.use(startDaemon(["issuer", "run", "--config", file]));
  await daemon.event("issuer ready");
  return daemon;
}

/** With nothing else to go by, an agent takes the first of its issuers. */
async function startAgent(name: string, ports: readonly number[]): Promise<string> {
  const port = await freePort();
  const daemon = daemons.use(startDaemon(["agent", "run", "--config", await ground.agent(name, port, ports)]));
  await daemon.event("serving workloads");
  return `localhost:${port}`;
}

interface Listed {
  readonly log: string;
  readonly position?: number;
  readonly kind: string;
  readonly body: Readonly<Record<string, string>>;
}

async function intents(name: string): Promise<readonly Listed[]> {
  const said = await say(name, "ledger", "list", "--log", "shop", "-o", "json");
  const listed: readonly Listed[] = JSON.parse(said.stdout);
  return listed.filter(({ kind }) => kind === "intent");
}

test("two issuers share a PostgreSQL ledger: leaves from both, one order, one that leads and another that takes over", async (t) => {
  const ports = [await freePort(), await freePort()];
  const files = [await ground.issuer("first", ports[0] ?? 0), await ground.issuer("second", ports[1] ?? 0)];
  await ground.init("first");
  const first = await startIssuer(files[0] ?? "");
  await ground.createRoots("first");
  const second = await startIssuer(files[1] ?? "");
  const agents = [await startAgent("one", ports), await startAgent("two", ports.toReversed())];
  let asked = 0;
  const request = async (): Promise<void> => {
    const nth = (asked += 1);
    const token = at(`${nth}.token`);
    await writeFile(token, ground.token("web"));
    const files = ["--token-file", token, "--ca", at("one", "root-cert.pem"), "--out", at(`out-${nth}`)];
    await say("first", "request", "--agent", agents[nth % 2] ?? "", ...files, "--trust-domain", groundTrustDomain);
  };
  const issuedBy = (daemon: Daemon): number =>
    daemon.lines.filter((line) => line["event"] === "issued" && line["tenant"] === "shop").length;

  await t.test("an agent's requests are served by both", async () => {
    for (let tries = 0; tries < 20 && (issuedBy(first) === 0 || issuedBy(second) === 0); tries += 1) {
      await Promise.all([request(), request()]);
      await delay(200);
    }
    assert.ok(issuedBy(first) > 0 && issuedBy(second) > 0, `${issuedBy(first)} and ${issuedBy(second)}`);
    assert.equal((await intents("second")).length, asked);
  });

  await t.test("a suspension at one holds at the other, and so does its end", async () => {
    await say("first", "tenant", "suspend", "shop", "--reason", "test");
    await assert.rejects(request(), /suspended/);
    await say("second", "tenant", "resume", "shop", "--reason", "test");
    await eventually(request);
  });

  await t.test("the one that leads is killed: the other serves, and takes its place", async () => {
    await first.stop("SIGKILL");
    await request();
    const positions = await eventually(async () => {
      const all = (await intents("second")).map(({ position }) => position);
      assert.ok(!all.includes(undefined), all.join());
      return all;
    });
    assert.equal(new Set(positions).size, positions.length);
  });

  await t.test(
    "the server is killed and comes back: UNAVAILABLE meanwhile, and then it goes on by itself",
    async () => {
      await server.stop("SIGKILL");
      await assert.rejects(request(), /cannot be used now|UNAVAILABLE|unavailable|did not/);
      await server.start();
      await eventually(request);
      assert.equal(second.child.exitCode, null);
    },
  );

  await t.test("the first one is back, and the whole ledger holds", async () => {
    await startIssuer(files[0] ?? "");
    const verified = JSON.parse((await say("first", "ledger", "verify", "-o", "json")).stdout);
    assert.equal(verified.sound, true, JSON.stringify(verified.logs));
  });
});
