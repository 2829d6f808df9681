import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Refusal } from "../../src/errors.ts";
import type { Outcome } from "../../src/issuer/item.ts";
import { openShares } from "../../src/issuer/share.ts";
import { type AgentConnection, acceptSigning, type SignParts, signOnce } from "../../src/issuer/sign-stream.ts";
import { openMetrics } from "../../src/ops/metrics.ts";
import { type IssuerClient, openWatchStream } from "../../src/rpc/client.ts";
import type { SignBatch__Output } from "../../src/rpc/gen/espalier/v1/SignBatch.ts";
import type { SignReplies } from "../../src/rpc/gen/espalier/v1/SignReplies.ts";
import { Issuer } from "../../src/rpc/proto.ts";
import { readStatus } from "../../src/rpc/status.ts";
import type { Stream } from "../../src/rpc/stream.ts";
import { openLiveSite } from "../support/live-site.ts";
import { eventually } from "../support/patience.ts";
import { makeSite } from "../support/site.ts";
import { startStack } from "../support/stack.ts";
import { openThiefWith } from "../support/thief.ts";

test("a cluster's share is one, whoever takes of it; who waits reads on in turn, one for each that is answered", () => {
  const shares = openShares(10);
  const told: string[] = [];
  const tell = (name: string) => (): void => void told.push(name);
  const leaver = tell("left");
  assert.ok(shares.take("east", 10));
  assert.ok(!shares.take("east", 3));
  for (const name of ["a", "b", "c"]) shares.hold("east", tell(name));
  shares.hold("east", leaver);
  shares.leave("east", leaver);
  assert.ok(shares.take("west", 10), "another cluster's is its own");
  shares.give("east", 1);
  shares.give("east", 1);
  assert.deepEqual(told, [], "it still has more than its share");
  shares.give("east", 1);
  assert.deepEqual(told, ["a"]);
  shares.give("east", 1);
  assert.deepEqual(told, ["a", "b"]);
  for (let n = 0; n < 9; n++) shares.give("east", 1);
  assert.deepEqual(told, ["a", "b", "c"]);
});

test("nobody waits on after the last answer", () => {
  const shares = openShares(1);
  let told = 0;
  assert.ok(!shares.take("east", 2));
  for (let n = 0; n < 5; n++) shares.hold("east", () => void (told += 1));
  shares.give("east", 1);
  shares.give("east", 1);
  assert.equal(told, 5);
});

interface Wire extends Stream<SignBatch__Output, SignReplies> {
  readonly reading: () => boolean;
  send(items: number): void;
}

/** An agent's end, to look at from ours. */
function openWire(): Wire {
  let take: (message: SignBatch__Output) => void = () => {};
  let reading = true;
  return {
    onMessage: (next) => {
      take = next;
    },
    onEnd: () => {},
    write: (_, flushed) => flushed?.(),
    pause: () => {
      reading = false;
    },
    resume: () => {
      reading = true;
    },
    end: () => {},
    fail: (error) => assert.fail(error),
    reading: () => reading,
    send: (items) => {
      assert.ok(reading, "it is not read");
      take(toBatch(items));
    },
  };
}

function toBatch(items: number): SignBatch__Output {
  const { requestSerialize, requestDeserialize } = Issuer.service.SignOnce;
  const item = { id: 1, csr: new Uint8Array([1]), token: "x" };
  return requestDeserialize(requestSerialize({ items: Array.from({ length: items }, () => item) }));
}

test("an agent with many streams has no more at work than with one, and leaves the others theirs", async () => {
  using site = await makeSite();
  await using opened = await openLiveSite(site);
  const { live, log } = opened;
  const atWork: ((outcome: Outcome) => void)[] = [];
  const parts: SignParts = {
    draining: new AbortController().signal,
    dispatch: {
      dispatch: async () => await new Promise<Outcome>((resolve) => void atWork.push(resolve)),
      waiting: () => atWork.length,
      idle: async () => {},
    },
    shares: openShares(100),
    live,
    now: () => new Date(),
    log,
    metrics: openMetrics({ process: "issuer" }),
  };
  const agentOf = (cluster: string): AgentConnection => ({ cluster, serial: "", notAfter: new Date(8.64e15) });
  const accept = (cluster: string): Wire => {
    const wire = openWire();
    acceptSigning(wire, agentOf(cluster), parts);
    return wire;
  };
  const answer = async (count: number): Promise<void> => {
    const refusal = new Refusal("overloaded", "only a test");
    for (const settle of atWork.splice(0, count)) settle({ kind: "refused", refusal, tenant: "" });
    await setImmediate();
  };

  const many = Array.from({ length: 20 }, () => accept("east"));
  for (const wire of many) for (let n = 0; n < 10 && wire.reading(); n++) wire.send(32);
  // The first filled the share; each of the others was heard once.
  assert.equal(atWork.length, (4 + 19) * 32);
  assert.ok(many.every((wire) => !wire.reading()));
  await assert.rejects(signOnce(toBatch(1), agentOf("east"), parts), { code: "overloaded" });
  const west = accept("west");
  west.send(32);
  assert.ok(west.reading());

  await answer(atWork.length - 100 - 33);
  assert.ok(
    many.every((wire) => !wire.reading()),
    "it still has more than its share",
  );
  await answer(3);
  assert.equal(many.filter((wire) => wire.reading()).length, 3);
  for (const wire of many) if (wire.reading()) wire.send(32);
  assert.ok(many.every((wire) => !wire.reading()));
  await answer(1000);
  assert.ok(
    many.every((wire) => wire.reading()),
    "somebody was forgotten",
  );
});

test("a stolen agent opens so many streams, and leaves the port to the agents of other clusters", async () => {
  await using stack = await startStack({ clusters: ["east", "west"] });
  const { site, issuer } = stack;
  const { identity } = await stack.thief("east");
  const watch = (client: IssuerClient, told: () => void, over: (code: string) => void) => {
    const stream = openWatchStream(client);
    stream.onMessage(told);
    stream.onEnd((error) => over(error === undefined ? "" : readStatus(error).code));
    stream.write({ version: "", inForceSince: "", agent: "x" });
    return stream;
  };
  let told = 0;
  const ends: string[] = [];
  const clients = Array.from({ length: 3 }, () => stack.use(openThiefWith(site, issuer.address, identity)).client);
  const streams = clients.flatMap((client) =>
    Array.from({ length: 200 }, () =>
      watch(
        client,
        () => void (told += 1),
        (code) => void ends.push(code),
      ),
    ),
  );
  await eventually(() => assert.equal(told + ends.length, 600));
  assert.ok(told <= 512, `${told} are open`);
  assert.deepEqual(new Set(ends), new Set(["overloaded"]));

  const west = await stack.thief("west");
  const heard = Promise.withResolvers<void>();
  watch(west.client, heard.resolve, heard.reject).onEnd(() => {});
  await heard.promise;

  for (const stream of streams) stream.end();
  await eventually(async () => {
    const again = Promise.withResolvers<string>();
    watch(clients[0] ?? assert.fail(), () => again.resolve("told"), again.resolve);
    assert.equal(await again.promise, "told");
  });
});
