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
  await assertRefusal(stack, before, code, at, cluster);
  const events = (kept: Kept, from: number): readonly string[] => kept.lines.slice(from).map(({ event }) => event);
  assert.deepEqual(events(stack.agent(cluster).log, before.agentLines), ["refused"], "the agent's log");
  assert.deepEqual(
    events(stack.issuer.log, before.issuerLines),
    at === "issuer" ? ["refused"] : [],
    "the issuer's log",
  );
  assert.equal(stack.site.entries(), before.entries, "the ledger");
}

/** The same of lines and counts of refusals, and nothing of what else goes on. */
export async function assertRefusal(
  stack: Traced,
  before: Traces,
  code: RefusalCode,
  at: "agent" | "issuer",
  cluster = "east",
): Promise<void> {
  const after = await traces(stack, cluster);
  const refusals = (kept: Kept, from: number): readonly unknown[] =>
    kept.lines.slice(from).flatMap(({ event, fields }) => (event === "refused" ? [fields["code"]] : []));
  assert.deepEqual(refusals(stack.agent(cluster).log, before.agentLines), [code], "the agent's log");
  assert.deepEqual(refusals(stack.issuer.log, before.issuerLines), at === "issuer" ? [code] : [], "the issuer's log");
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
}
