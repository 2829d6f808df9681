import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type IncomingHttpHeaders,
} from "node:http2";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Guard, type GuardLimits, type Limited, openGuard } from "../../src/rpc/guard.ts";
import { IstioCertificateService } from "../../src/rpc/proto.ts";
import { startServer, unary, unencrypted } from "../../src/rpc/server.ts";
import { eventually } from "../support/patience.ts";

const method = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
const serverLimits = {
  messageBytesMax: 65_536,
  streamsPerConnectionMax: 100,
  connectionAgeMs: 60_000,
  connectionIdleMs: 60_000,
};
/** An empty message, framed as gRPC does. */
const whole = Buffer.alloc(5);

interface Setting extends AsyncDisposable {
  readonly guard: Guard;
  readonly told: Limited[];
  readonly port: number;
  /** A TCP connection that says nothing. */
  dial(from?: string): Promise<Socket>;
  /** One that asks. */
  open(from?: string): ClientHttp2Session;
  /** How many requests have come to be worked on. */
  begun(): number;
  /** Lets what is being worked on be answered. */
  answer(): void;
}

async function start(
  limits: Partial<GuardLimits>,
  isLasting: (path: string) => boolean = () => false,
): Promise<Setting> {
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  await using stack = new AsyncDisposableStack();
  const server = stack.use(
    await startServer({ address: "0.0.0.0:0", limits: serverLimits, drainMs: 50 }, unencrypted, (s) =>
      s.addService(IstioCertificateService.service, {
        CreateCertificate: unary(30_000, async () => {
          begun += 1;
          await gate.promise;
          return { certChain: [] };
        }),
      }),
    ),
  );
  const { port } = server;
  const told: Limited[] = [];
  const usual = { connectionsMax: 100, connectionsPerAddressMax: 100, requestsMax: 100, requestsPerAddressMax: 100 };
  const config = { port, limits: { ...usual, arrivalMsMax: 10_000, ...limits }, isLasting };
  const guard = stack.use(openGuard({ ...config, onLimited: (limited) => told.push(limited) }));
  const sockets: { destroy(): void }[] = [];
  stack.defer(() => {
    for (const socket of sockets) socket.destroy();
  });
  const opened = stack.move();
  const toSocket = (from: string): Socket => {
    const socket = connect({ port, host: "127.0.0.1", localAddress: from });
    socket.on("error", () => {}).resume();
    sockets.push(socket);
    return socket;
  };
  return {
    guard,
    told,
    port,
    dial: async (from = "127.0.0.1") => {
      const before = guard.connections();
      const socket = toSocket(from);
      await once(socket, "connect");
      await eventually(() => assert.ok(guard.connections() !== before || guard.limited() > 0));
      return socket;
    },
    open: (from = "127.0.0.1") => {
      const session = connectHttp2(`http://127.0.0.1:${port}`, { createConnection: () => toSocket(from) });
      return session.on("error", () => {});
    },
    begun: () => begun,
    answer: gate.resolve,
    [Symbol.asyncDispose]: async () => {
      gate.resolve();
      await opened.disposeAsync();
    },
  };
}

function ask(session: ClientHttp2Session): ClientHttp2Stream {
  const stream = session.request({ ":path": method, ":method": "POST", "content-type": "application/grpc" });
  stream.on("error", () => {}).resume();
  return stream;
}

/** How a stream ended: HTTP/2's code, and gRPC's status where it was answered. */
async function endOf(stream: ClientHttp2Stream): Promise<{ readonly code: number | undefined; status: string }> {
  let status = "";
  const note = ({ "grpc-status": sent }: IncomingHttpHeaders): void => {
    status = typeof sent === "string" ? sent : status;
  };
  stream.on("response", note).on("trailers", note);
  if (!stream.closed) await new Promise((resolve) => stream.once("close", resolve));
  return { code: stream.rstCode, status };
}

test("over the limit the connection that has waited longest goes, and the newcomer is heard", async () => {
  await using setting = await start({ connectionsMax: 3 });
  const silent = [await setting.dial(), await setting.dial("127.0.0.2"), await setting.dial("127.0.0.3")];
  const session = setting.open("127.0.0.4");
  const asked = ask(session);
  asked.end(whole);
  setting.answer();
  assert.equal((await endOf(asked)).status, "0");
  await eventually(() =>
    assert.deepEqual(
      silent.map((s) => s.closed),
      [true, false, false],
    ),
  );
  assert.equal(setting.guard.connections(), 3);
});

test("the connections of one address push out only each other", async () => {
  await using setting = await start({ connectionsPerAddressMax: 2 });
  const other = await setting.dial("127.0.0.2");
  const many: Socket[] = [];
  for (let n = 0; n < 5; n += 1) many.push(await setting.dial());
  await eventually(() =>
    assert.deepEqual(
      many.map((s) => s.closed),
      [true, true, true, false, false],
    ),
  );
  assert.equal(other.closed, false);
  assert.equal(setting.guard.connections(), 3);
});

test("a connection that is being worked for is not given up for others; one that only dribbles is", async () => {
  await using setting = await start({ connectionsMax: 2 });
  const worked = setting.open("127.0.0.2");
  const asked = ask(worked);
  asked.end(whole);
  await eventually(() => assert.equal(setting.begun(), 1));
  const dribbling = setting.open("127.0.0.3");
  const dribbled = ask(dribbling);
  dribbled.write(whole.subarray(0, 3));
  await once(dribbling, "remoteSettings");
  await delay(50);
  await setting.dial();
  await eventually(() => assert.ok(dribbling.closed));
  setting.answer();
  assert.equal((await endOf(asked)).status, "0");
});

test("where every connection is being worked for, it is the newcomer that goes", async () => {
  await using setting = await start({ connectionsMax: 1 });
  const worked = setting.open();
  const asked = ask(worked);
  asked.end(whole);
  await eventually(() => assert.equal(setting.begun(), 1));
  const late = await setting.dial();
  await eventually(() => assert.ok(late.closed));
  setting.answer();
  assert.equal((await endOf(asked)).status, "0");
});

test("a request that is not all there in time is cancelled, and its connection goes on", async () => {
  await using setting = await start({ arrivalMsMax: 200 });
  const session = setting.open();
  const slow = ask(session);
  slow.write(whole.subarray(0, 3));
  const begun = performance.now();
  assert.equal((await endOf(slow)).code, 8);
  assert.ok(performance.now() - begun < 10_000);
  const next = ask(session);
  next.end(whole);
  await eventually(() => assert.equal(setting.begun(), 1));
  await delay(400);
  setting.answer();
  assert.equal((await endOf(next)).status, "0", "one that is there may take longer to answer");
});

test("a method whose requests are streams has no such limit", async () => {
  await using setting = await start({ arrivalMsMax: 100 }, (path) => path === method);
  const stream = ask(setting.open());
  await delay(400);
  assert.equal(stream.closed, false);
  assert.equal(setting.guard.limited(), 0);
});

test("more requests than are taken at once, of one address or of all, are refused as if not begun", async () => {
  for (const limits of [{ requestsMax: 2 }, { requestsPerAddressMax: 2 }]) {
    await using setting = await start(limits);
    const [first, second] = [setting.open(), setting.open()];
    const held = [ask(first), ask(second)];
    for (const stream of held) stream.write(whole.subarray(0, 3));
    await delay(100);
    assert.equal((await endOf(ask(second))).code, 7);
    const ends = held.map(endOf);
    for (const stream of held) stream.end(whole.subarray(3));
    setting.answer();
    for (const { status } of await Promise.all(ends)) assert.equal(status, "0");
    const later = ask(first);
    later.end(whole);
    assert.equal((await endOf(later)).status, "0", "their places are free again");
  }
});

test("the first one closed is told at once, those that follow are told together", async (t) => {
  await using setting = await start({ connectionsMax: 1 });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const dialled: Socket[] = [];
  for (let n = 0; n < 4; n += 1) {
    const socket = connect(setting.port, "127.0.0.1")
      .on("error", () => {})
      .resume();
    dialled.push(socket);
    await once(socket, "connect");
  }
  while (setting.guard.limited() < 3) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(setting.told, [{ closed: 1, address: "127.0.0.1", connections: 2 }]);
  t.mock.timers.tick(10_000);
  assert.equal(setting.told.length, 2);
  assert.equal(setting.told[1]?.closed, 2);
  t.mock.timers.tick(10_000);
  assert.equal(setting.told.length, 2, "nothing since, nothing told");
  for (const socket of dialled) socket.destroy();
});

test("nothing of a connection is left behind, and other ports are not looked at", async () => {
  await using setting = await start({});
  await using other = await start({});
  const session = other.open();
  const asked = ask(session);
  asked.end(whole);
  other.answer();
  await endOf(asked);
  assert.deepEqual([setting.guard.connections(), other.guard.connections()], [0, 1]);
  session.close();
  await eventually(() => assert.equal(other.guard.connections(), 0));
});
