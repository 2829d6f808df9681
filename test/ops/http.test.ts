import assert from "node:assert/strict";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { isRefusalCode, refusals } from "../../src/errors.ts";
import { startHttp } from "../../src/ops/http.ts";
import { openMetrics } from "../../src/ops/metrics.ts";

test("the port for machines says what it waits for, and serves nothing but its three pages", async (t) => {
  const metrics = openMetrics({ process: "agent" });
  let missing: readonly string[] = ["the hub", "a key"];
  await using http = await startHttp("127.0.0.1:0", { metrics, waitingFor: () => missing });
  const get = async (path: string, method = "GET"): Promise<readonly [number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${http.port}${path}`, { method });
    return [answer.status, await answer.text()];
  };
  assert.deepEqual(await get("/readyz"), [503, "waiting for the hub, a key\n"]);
  missing = [];
  assert.deepEqual(await get("/readyz"), [200, "ok\n"]);
  assert.deepEqual(await get("/healthz"), [200, "ok\n"]);
  for (const [path, method] of [
    ["/", "GET"],
    ["/metrics", "POST"],
    ["/metrics/../healthz/x", "GET"],
    ["/healthz?x", "GET"],
  ] as const) {
    assert.deepEqual(await get(path, method), [404, "not found\n"]);
  }

  await t.test("every code of the table is counted under its name", async () => {
    for (const code of Object.keys(refusals).filter(isRefusalCode))
      metrics.refused({ code, tenant: "a", cluster: "east" });
    metrics.issued({ tenant: "a", cluster: "east", profile: "workload" });
    const [status, page] = await get("/metrics");
    assert.equal(status, 200);
    for (const code of Object.keys(refusals))
      assert.ok(page.includes(`espalier_agent_refused_total{code="${code}",tenant="a",cluster="east"} 1`), code);
    assert.ok(page.includes('espalier_agent_issued_total{tenant="a",cluster="east",profile="workload"} 1'));
  });
  await t.test("what is not HTTP is hung up on", async () => {
    const socket = connect(http.port, "127.0.0.1");
    socket.end("\x16\x03\x01\x00garbage\r\n\r\n");
    assert.match(await text(socket), /^HTTP\/1.1 400/);
    assert.equal((await get("/healthz"))[0], 200);
  });
});
