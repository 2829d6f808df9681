import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { openAdmin, readStream } from "../../src/rpc/client.ts";
import type { VerifyProgress } from "../../src/rpc/gen/espalier/v1/VerifyProgress.ts";
import { Admin } from "../../src/rpc/proto.ts";
import { type RpcServer, serverStream, startServer, unencrypted } from "../../src/rpc/server.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { eventually } from "../support/patience.ts";

const limits = {
  messageBytesMax: 65_536,
  streamsPerConnectionMax: 100,
  connectionAgeMs: 3_600_000,
  connectionIdleMs: 3_600_000,
};
const reply: VerifyProgress = { log: "x".repeat(10_000) };

async function start(
  address: string,
  answer: () => AsyncIterable<VerifyProgress>,
  unreadMs: number,
): Promise<RpcServer> {
  return await startServer({ address, limits, drainMs: 50 }, unencrypted, (s) =>
    s.addService(Admin.service, { VerifyLedger: serverStream(answer, unreadMs) }),
  );
}

test("whoever does not read the answer holds what makes it for so long, and no longer", async () => {
  using directory = temporaryDirectory();
  const address = `unix:${directory.path}/socket`;
  let made = 0;
  let ended = false;
  await using _ = await start(
    address,
    async function* () {
      try {
        for (;;) {
          made += 1;
          yield reply;
          await setImmediate();
        }
      } finally {
        ended = true;
      }
    },
    300,
  );
  // A client of ours would keep what nobody reads. This one gives no room for it.
  const session = connectHttp2("http://localhost", { createConnection: () => connect(address.slice("unix:".length)) });
  const request = session.request({
    ":method": "POST",
    ":path": "/espalier.v1.Admin/VerifyLedger",
    "content-type": "application/grpc",
    te: "trailers",
  });
  const status = new Promise<unknown>((resolve) => {
    request.once("trailers", (trailers) => resolve(trailers["grpc-status"]));
  });
  // A message of no length.
  request.end(Buffer.alloc(5));
  await eventually(() => assert.equal(ended, true));
  assert.ok(made > 0 && made < 1_000, `${made} replies were made for nobody`);
  request.resume();
  // RESOURCE_EXHAUSTED.
  assert.equal(await status, "8");
  session.close();
});

test("whoever reads gets all of it, however long it takes to make", async () => {
  using directory = temporaryDirectory();
  const address = `unix:${directory.path}/socket`;
  const count = 300;
  await using _ = await start(
    address,
    async function* () {
      for (let n = 0; n < count; n += 1) {
        yield reply;
        await setImmediate();
      }
    },
    60_000,
  );
  const admin = openAdmin(address.slice("unix:".length));
  let read = 0;
  for await (const { log } of readStream(admin.verifyLedger({}))) read += log.length;
  assert.equal(read, count * 10_000);
  admin.close();
});
