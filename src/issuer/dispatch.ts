/** Between the streams and the story: what is admitted waits in a fair queue and is issued in batches, whoever sent it. */
import { Refusal, toRefusal } from "../errors.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import { matchOf, tenantOf } from "../policy/tenant.ts";
import { admit, type IssueParts, issue } from "./issue.ts";
import type { Admitted, Asked, Outcome } from "./item.ts";
import { openQueue } from "./queue.ts";

/** 32 take almost all of what batching gains; more only hold the loop longer. */
const batchMax = 32;
/** More than one, so that a slow signer or database does not leave the other idle. */
const batchesInFlightMax = 4;
/** What a waiting request costs beside its CSR: its objects, and its reply. */
const overheadBytes = 4 * 1024;

export interface Dispatch {
  /** Always resolves: a refusal is an outcome. */
  dispatch(asked: Asked, cluster: string): Promise<Outcome>;
  readonly waiting: () => number;
  /** Resolves when nothing waits and nothing is in flight. */
  idle(): Promise<void>;
}

export interface DispatchParts extends IssueParts {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly queueBytes: number;
}

interface Waiting {
  readonly admitted: Admitted;
  readonly settle: (outcome: Outcome) => void;
}

export function openDispatch(parts: DispatchParts): Dispatch {
  const queue = openQueue<Waiting>(parts.queueBytes);
  let inFlight = 0;
  let scheduled = false;
  const idlers: (() => void)[] = [];

  const schedule = (): void => {
    if (scheduled || inFlight >= batchesInFlightMax) return;
    scheduled = true;
    // After the I/O of this turn: what came with it shares the batch, and other connections get theirs in between.
    setImmediate(pump);
  };

  const pump = (): void => {
    scheduled = false;
    const batch = queue.take(batchMax);
    if (batch.length === 0) return;
    inFlight += 1;
    // Before the ledger's own turn: the batches of a backlog share one durable write, two by two.
    if (queue.size > 0) schedule();
    issueAll(batch).then(
      () => {
        inFlight -= 1;
        if (queue.size > 0) schedule();
        else if (inFlight === 0) for (const done of idlers.splice(0)) done();
      },
      parts.log.error.bind(parts.log, "a batch was lost", {}),
    );
  };

  const issueAll = async (batch: readonly Waiting[]): Promise<void> => {
    const outcomes = await issue(
      batch.map((w) => w.admitted),
      parts,
    ).catch((error: unknown) => toRefusal(error));
    for (const [i, waiting] of batch.entries()) {
      waiting.settle((outcomes instanceof Refusal ? undefined : outcomes[i]) ?? lost(outcomes));
    }
  };

  const enqueue = (admitted: Admitted): Promise<Outcome> =>
    new Promise((settle) => {
      const tenant = lineOf(admitted, parts);
      const given = queue.push(tenant, admitted.asked.csr.length + overheadBytes, { admitted, settle });
      given?.settle({
        kind: "refused",
        refusal: new Refusal("overloaded", "the issuer has more waiting than it can hold"),
        tenant,
      });
      schedule();
    });

  return {
    dispatch: async (asked, cluster) => {
      try {
        return await enqueue(await admit(asked, cluster, parts));
      } catch (error) {
        return { kind: "refused", refusal: toRefusal(error), tenant: "" };
      }
    },
    waiting: () => queue.size,
    idle: () => new Promise((resolve) => (queue.size === 0 && inFlight === 0 ? resolve() : idlers.push(resolve))),
  };
}

/** What a whole batch failed with; a batch that answers for fewer than it was given is our own fault. */
function lost(outcomes: Refusal | readonly Outcome[]): Outcome {
  const refusal = outcomes instanceof Refusal ? outcomes : new Refusal("internal", "internal error");
  return { kind: "refused", refusal, tenant: "" };
}

/** Whose line a request waits in: its tenant's, or its cluster's where no rule gives it one. */
function lineOf({ asked, proven, cluster }: Admitted, parts: IssueParts): string {
  const { table } = parts.world();
  switch (proven.kind) {
    case "workload":
      return tenantOf(table, proven.workload)?.tenant.name ?? `@${cluster}`;
    case "request": {
      const facts = { cluster, namespace: proven.request.namespace, serviceAccount: "" };
      return matchOf(table, facts, asked.signer)?.tenant.name ?? `@${cluster}`;
    }
    case "agent":
      return `@${cluster}`;
  }
}
