/**
 * Between the streams and the story. What arrives waits in its cluster's line until it is admitted, and then in its tenant's
 * until it is issued, in batches, whoever sent it. In one turn of the event loop a little of both is done, each line in its
 * turn: however much one cluster or one tenant has brought, another waits for one turn and not for all of that.
 */
import { Refusal, toRefusal } from "../errors.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import { matchOf, tenantOf } from "../policy/tenant.ts";
import { openQueue } from "../rpc/queue.ts";
import { admit, type IssueParts, issue } from "./issue.ts";
import type { Admitted, Asked, Outcome, Shown } from "./item.ts";

/** 32 take almost all of what batching gains; more only hold the loop longer. */
const batchMax = 32;
/** While several tenants ask: a turn of a millisecond or two, at a tenth more for each certificate. */
const sharedBatchMax = 4;
/** A tenant is alone once so many of its requests have come in a row: all that an issuer does in a second. */
const aloneAfter = 2048;
/** For each that a turn issues. More than one, or tenants of one cluster would wait in its line and not in their own. */
const admittedPerIssued = 2;
/** More than one batch, so that a slow signer or database does not leave the other idle. */
const inFlightMax = 4 * batchMax;
/** Of what nobody has looked at yet. It leaves faster than it can be issued, so that this is for the moment in which it comes. */
const arrivedBytesMax = 64 * 1024 * 1024;
/** What a waiting request costs beside what it brought: its objects, and its reply. */
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

interface Arrived {
  readonly asked: Asked;
  readonly cluster: string;
  readonly settle: (outcome: Outcome) => void;
}

interface Waiting {
  readonly admitted: Admitted;
  readonly tenant: string;
  readonly settle: (outcome: Outcome) => void;
}

export function openDispatch(parts: DispatchParts): Dispatch {
  const arrived = openQueue<Arrived>(arrivedBytesMax);
  const waiting = openQueue<Waiting>(parts.queueBytes);
  const company = openCompany();
  let admitting = 0;
  let inFlight = 0;
  let scheduled = false;
  const idlers: (() => void)[] = [];

  const size = (): number => arrived.size + waiting.size;
  const isIdle = (): boolean => size() + admitting + inFlight === 0;
  const batchNow = (): number => (company.isAlone() ? batchMax : sharedBatchMax);

  const schedule = (): void => {
    if (scheduled || (arrived.size === 0 && (waiting.size === 0 || inFlight >= inFlightMax))) return;
    scheduled = true;
    // After the I/O of this turn: what came with it shares the batch, and other connections get theirs in between. Whoever is
    // admitted by the first is in its line before the second looks.
    setImmediate(admitSome);
    setImmediate(issueSome);
  };

  const admitSome = (): void => {
    for (const one of arrived.take(batchNow() * admittedPerIssued)) void admitOne(one);
  };

  const admitOne = async ({ asked, cluster, settle }: Arrived): Promise<void> => {
    admitting += 1;
    try {
      enqueue(await admit(asked, cluster, parts), settle);
    } catch (error) {
      settle({ kind: "refused", refusal: toRefusal(error), tenant: "" });
    }
    admitting -= 1;
    goOn();
  };

  const enqueue = (admitted: Admitted, settle: Waiting["settle"]): void => {
    const tenant = lineOf(admitted, parts);
    company.note(tenant);
    const givenUp = waiting.push(tenant, bytesOf(admitted.asked), { admitted, tenant, settle });
    givenUp?.settle(tooMuch(givenUp.tenant));
  };

  const issueSome = (): void => {
    scheduled = false;
    const batch = inFlight < inFlightMax ? waiting.take(batchNow()) : [];
    inFlight += batch.length;
    // Before the ledger's own turn the batches of a backlog share one durable write, two by two; behind it, nobody waits for
    // another's batch.
    if (company.isAlone()) schedule();
    if (batch.length > 0) issueAll(batch).catch(parts.log.error.bind(parts.log, "a batch was lost", {}));
    schedule();
  };

  const issueAll = async (batch: readonly Waiting[]): Promise<void> => {
    const outcomes = await issue(
      batch.map((w) => w.admitted),
      parts,
    ).catch((error: unknown) => toRefusal(error));
    for (const [i, one] of batch.entries()) {
      one.settle((outcomes instanceof Refusal ? undefined : outcomes[i]) ?? lost(outcomes));
    }
    inFlight -= batch.length;
    goOn();
  };

  const goOn = (): void => {
    schedule();
    if (isIdle()) for (const done of idlers.splice(0)) done();
  };

  return {
    dispatch: (asked, cluster) =>
      new Promise((settle) => {
        arrived.push(cluster, bytesOf(asked), { asked, cluster, settle })?.settle(tooMuch(""));
        schedule();
      }),
    waiting: size,
    idle: () => new Promise((resolve) => (isIdle() ? resolve() : idlers.push(resolve))),
  };
}

/** Whether one tenant alone has asked of late. Counted in requests, so that it is the same at any speed. */
function openCompany(): { note(tenant: string): void; isAlone(): boolean } {
  let last = "";
  let inRow = aloneAfter;
  return {
    note: (tenant) => {
      inRow = tenant === last || last === "" ? inRow + 1 : 0;
      last = tenant;
    },
    isAlone: () => inRow >= aloneAfter,
  };
}

function bytesOf({ csr, proof }: Asked): number {
  return csr.length + shownBytes(proof) + overheadBytes;
}

function shownBytes(shown: Shown): number {
  switch (shown.kind) {
    case "token":
      return shown.token.length;
    case "impersonated":
      return shown.token.length + shown.identity.length;
    case "certificate":
      return shown.certificate.length;
    case "request": {
      const { username, groups, usages } = shown.request;
      return [username, ...groups, ...usages].reduce((sum, { length }) => sum + length, 0);
    }
    case "serving":
      return 0;
  }
}

function tooMuch(tenant: string): Outcome {
  const refusal = new Refusal("overloaded", "the issuer has more waiting than it can hold");
  return { kind: "refused", refusal, tenant };
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
