import assert from "node:assert/strict";
import { test } from "node:test";
import { openUnsettled } from "../../src/agent/unsettled.ts";
import { openMetrics } from "../../src/ops/metrics.ts";

test("what waits is counted by door and reason, with the age of the oldest, until it is settled or its door closes", async () => {
  const metrics = openMetrics({ process: "agent" });
  let at = 0;
  const open = openUnsettled({ metrics, now: () => new Date(at * 1000) });
  const shown = async (): Promise<readonly string[]> =>
    (await metrics.registry.metrics()).split("\n").filter((line) => line.startsWith("espalier_agent_requests_"));
  const rows = (door: string, reason: string, count: number, seconds: number): readonly string[] => {
    const labels = `{door="${door}",reason="${reason}"}`;
    return [
      `espalier_agent_requests_waiting${labels} ${count}`,
      `espalier_agent_requests_oldest_seconds${labels} ${seconds}`,
    ];
  };
  assert.deepEqual(await shown(), []);
  using csr = open("csr");
  {
    using other = open("certificate-request");
    for (at = 1; at <= 3; at++) other.see(`uid-${at}`);
    other.see("uid-1");
    const waitsFor = { event: "IssuerNotFound", told: true };
    other.wait("uid-2", waitsFor);
    other.wait("nobody", waitsFor);
    at = 10;
    const nothing = { event: "", told: false };
    assert.deepEqual(
      [other.waitsFor("uid-1"), other.waitsFor("uid-2"), csr.waitsFor("uid-2"), other.waitsFor("nobody")],
      [nothing, waitsFor, nothing, nothing],
    );
    const all = [
      ...rows("csr", "", 0, 0),
      ...rows("certificate-request", "", 2, 9),
      ...rows("certificate-request", "IssuerNotFound", 1, 8),
    ];
    assert.deepEqual([...(await shown())].sort(), [...all].sort());
    for (const uid of ["uid-1", "uid-2"]) other.settle(uid);
    const left = [...rows("csr", "", 0, 0), ...rows("certificate-request", "", 1, 7)];
    assert.deepEqual([...(await shown())].sort(), [...left].sort());
  }
  assert.deepEqual(await shown(), rows("csr", "", 0, 0));
});
