import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Refusal } from "../../src/errors.ts";
import { openAdmin, readStream } from "../../src/rpc/client.ts";
import { Admin } from "../../src/rpc/proto.ts";
import { serverStream, startServer, unencrypted } from "../../src/rpc/server.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { eventually } from "../support/patience.ts";

const limits = {
  messageBytesMax: 65_536,
  streamsPerConnectionMax: 100,
  connectionAgeMs: 3_600_000,
  connectionIdleMs: 3_600_000,
};

test("a stream ends a second or so after its caller may not go on, and what makes it ends too", async () => {
  using directory = temporaryDirectory();
  const address = `unix:${directory.path}/socket`;
  let may = true;
  let asked = 0;
  let ended = false;
  const admit = async (_method: string, _certificate: unknown, request: unknown): Promise<unknown> => {
    asked += 1;
    if (!may) throw new Refusal("not-this-caller", "she was revoked");
    return request;
  };
  await using _ = await startServer({ address, limits, drainMs: 50, admit }, unencrypted, (s) =>
    s.addService(Admin.service, {
      VerifyLedger: serverStream(async function* () {
        try {
          for (;;) {
            yield { log: "shop" };
            await delay(10);
          }
        } finally {
          ended = true;
        }
      }),
    }),
  );
  const admin = openAdmin(address.slice("unix:".length));
  let told = 0;
  const reading = (async () => {
    for await (const _ of readStream(admin.verifyLedger({}))) told += 1;
  })();
  const refused = assert.rejects(reading, { code: "not-this-caller", message: "she was revoked" });
  await eventually(() => assert.ok(told > 10 && asked > 1));
  assert.equal(ended, false);
  may = false;
  await refused;
  await eventually(() => assert.equal(ended, true));
  // Nobody is asked about a call that is over.
  const last = asked;
  await delay(1_500);
  assert.equal(asked, last);
  admin.close();
});
