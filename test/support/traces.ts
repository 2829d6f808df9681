/** What a refusal leaves behind: lines, counts, and nothing in the ledger. */
import assert from "node:assert/strict";
import type { RefusalCode } from "../../src/errors.ts";
import type { Metrics } from "../../src/ops/metrics.ts";
import type { Kept } from "./kept-log.ts";
import type { Stack } from "./stack.ts";

/** How often a process has refused something, by code. */
export async function refusedCounts(metrics: Metrics): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const { name, values } of await metrics.registry.getMetricsAsJSON()) {
    if (!name.endsWith("_refused_total")) continue;
    for (const { labels, value } of values)
      counts[String(labels["code"])] = (counts[String(labels["code"])] ?? 0) + value;
  }
  return counts;
}

export type Traced = Pick<Stack, "site" | "issuer" | "agent">;

/** Everything a refusal leaves behind, counted before and after. */
export interface Traces {
  readonly agentLines: number;
  readonly issuerLines: number;
  readonly agentCounts: Readonly<Record<string, number>>;
  readonly issuerCounts: Readonly<Record<string, number>>;
  readonly entries: number;
}

export async function traces(stack: Traced, cluster = "east"): Promise<Traces> {
  const agent = stack.agent(cluster);
  return {
    agentLines: agent.log.lines.length,
    issuerLines: stack.issuer.log.lines.length,
    agentCounts: await refusedCounts(agent.metrics),
    issuerCounts: await refusedCounts(stack.issuer.metrics),
    entries: stack.site.entries(),
  };
}

/**
 * That a request which was just refused left one line and one count under its code at the agent, the same at the issuer where
 * it got that far and nothing there where it did not, and nothing in the ledger.
 */
export async function assertTraces(
  stack: Traced,
  before: Traces,
  code: RefusalCode,
  at: "agent" | "issuer",
  cluster = "east",
): Promise<void> {
  const after = await traces(stack, cluster);
  const line = (kept: Kept, from: number): unknown =>
    kept.lines.slice(from).map(({ event, fields }) => ({ event, code: fields["code"] }));
  const expected = [{ event: "refused", code }];
  assert.deepEqual(line(stack.agent(cluster).log, before.agentLines), expected, "the agent's log");
  assert.deepEqual(line(stack.issuer.log, before.issuerLines), at === "issuer" ? expected : [], "the issuer's log");
  const counted = (counts: Readonly<Record<string, number>>): object => ({
    ...counts,
    [code]: (counts[code] ?? 0) + 1,
  });
  assert.deepEqual(after.agentCounts, counted(before.agentCounts), "the agent's metric");
  assert.deepEqual(
    after.issuerCounts,
    at === "issuer" ? counted(before.issuerCounts) : before.issuerCounts,
    "the issuer's metric",
  );
  assert.equal(after.entries, before.entries, "the ledger");
}
