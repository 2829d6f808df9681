/** PostgreSQL on a disk that is full, with an issuer and an agent, as processes. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryDirectory } from "../contract/directory.ts";
import { mountDisk, noDisk } from "../support/disk.ts";
import { groundServingName, groundTrustDomain, layGround } from "../support/ground.ts";
import { eventually } from "../support/patience.ts";
import { startPostgres } from "../support/postgres.ts";
import { freePort, startDaemon } from "../support/processes.ts";
import { type Answer, assertIssued, csrFor, openWorkload } from "../support/workload.ts";

const stack = new AsyncDisposableStack();
after(async () => await stack.disposeAsync());

test("a disk without room: nothing is promised, and the issuer goes on by itself once there is some", async (t) => {
  const disk = mountDisk(160);
  if (disk === undefined) return t.skip(noDisk);
  stack.use(disk);
  const base = stack.use(temporaryDirectory());
  const server = stack.use(await startPostgres([], disk.path));
  const { port, database } = await server.database();
  const ground = await layGround({ directory: base.path, port, database, synchronousStandby: false });
  const [issuerPort, agentPort] = [await freePort(), await freePort()];
  const config = await ground.issuer("first", issuerPort);
  await ground.init("first");
  const issuer = stack.use(startDaemon(["issuer", "run", "--config", config]));
  await issuer.event("issuer ready");
  await ground.createRoots("first");
  const { stdout: rootsPem } = await ground.say("first", "root", "show", "east", "--serving");
  const agent = stack.use(
    startDaemon(["agent", "run", "--config", await ground.agent("one", agentPort, [issuerPort])]),
  );
  await agent.event("serving workloads");

  const tls = { rootsPem, serverName: groundServingName };
  const workload = stack.use(openWorkload(`127.0.0.1:${agentPort}`, tls, "east"));
  const csr = csrFor(`spiffe://${groundTrustDomain}/ns/shop/sa/web`);
  const told = { issued: 0, refused: 0 };
  /** As a client that is told to ask again sees it. */
  const ask = async (): Promise<Answer> => {
    const answer = await workload.ask({ token: ground.token("web"), csr });
    if ("chain" in answer) told.issued += 1;
    else {
      assert.equal(answer.status, "UNAVAILABLE", JSON.stringify(answer));
      told.refused += 1;
    }
    return answer;
  };
  const intents = async (): Promise<number> => {
    const select = "SELECT count(*) AS n FROM espalier.entries WHERE kind = 'intent' AND log = 'shop'";
    return Number((await server.sql(select, database)).rows[0]["n"]);
  };
  const goesOn = async (): Promise<void> => {
    await eventually(async () => assertIssued(await ask()));
    assert.deepEqual([issuer.child.exitCode, issuer.child.signalCode], [null, null]);
  };
  await goesOn();
  const others = (await intents()) - told.issued;
  const noRoom = (): number => server.log().match(/could not extend file.*No space left on device/g)?.length ?? 0;
  /** An intent for each certificate, and for nothing that was refused for want of room. What was refused because it took too long may be there. */
  const assertWhole = async (): Promise<void> => {
    const more = (await intents()) - others - told.issued;
    assert.ok(more >= 0 && more <= Math.max(0, told.refused - noRoom()), `${more} more, ${JSON.stringify(told)}`);
  };

  await t.test("no room for a row: UNAVAILABLE, and no intent of what was refused is there", async () => {
    disk.fill();
    // What it has of pages is used up first.
    for (let tries = 0; noRoom() === 0 || told.refused === 0; tries += 1) {
      assert.ok(tries < 400, "the disk is not full");
      await ask();
    }
    await assertWhole();
    disk.free();
    await goesOn();
    await assertWhole();
  });

  await t.test("no room for the log: the server panics, and is started again when there is some", async () => {
    const before = told.refused;
    disk.fill();
    // Each time another 16 MB file, but for those it has in store.
    const panicked = /PANIC:.*No space left on device/;
    for (let tries = 0; !panicked.test(server.log()) || told.refused === before; tries += 1) {
      assert.ok(tries < 100, server.log());
      await ask();
      // It may never answer.
      await Promise.race([server.sql("SELECT pg_switch_wal()").catch(() => undefined), delay(5_000)]);
    }
    disk.free();
    // Whatever state it is in: it may have ended, or be at its recovery.
    await server.stop("SIGQUIT");
    await server.start();
    await goesOn();
  });

  await t.test("all that was handed out is in the ledger, which verifies", async () => {
    assert.ok((await intents()) >= told.issued + others);
    await ground.say("first", "ledger", "verify");
  });
});
