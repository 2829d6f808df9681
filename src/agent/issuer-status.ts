/** Says of each TenantIssuer and TenantClusterIssuer whether certificates can be had through it: by its Ready condition, and an Event when that changes. */
import { applyStatus } from "../kube/apply.ts";
import type { Client } from "../kube/client.ts";
import { toCondition } from "../kube/condition.ts";
import type { EventRecorder } from "../kube/events.ts";
import { startQueue } from "../kube/queue.ts";
import type { Log } from "../ops/log.ts";
import type { Issuers } from "./issuers.ts";
import type { KeptTrust } from "./kept-trust.ts";
import { decideIssuer, issuerKeyOf, issuerResources, type Readiness, type TenantIssuer } from "./tenant-issuer.ts";

export interface IssuerStatusParts {
  readonly client: Client;
  readonly events: EventRecorder;
  readonly issuers: Issuers;
  readonly trust: () => KeptTrust | undefined;
  readonly now: () => Date;
  readonly log: Log;
}

/** What the hub says of a tenant changes at any time; looking costs nothing where it has not. */
const lookAgainMs = 10_000;

export function startIssuerStatus({ client, events, issuers, trust, now, log }: IssuerStatusParts): AsyncDisposable {
  /** Those whose Event there was no room for. */
  const untold = new Set<string>();

  const work = async (key: string, signal: AbortSignal): Promise<{ againAfterMs: number } | void> => {
    const issuer = issuers.at(key);
    if (issuer === undefined) return void untold.delete(key);
    const { ready, generation: observedGeneration } = issuer;
    const wanted = { type: "Ready", ...decideIssuer(issuer, trust()), observedGeneration };
    const isSaid =
      ready?.status === wanted.status &&
      ready.reason === wanted.reason &&
      ready.message === wanted.message &&
      ready.observedGeneration === observedGeneration;
    if (!isSaid) {
      const status = { observedGeneration, conditions: [toCondition(wanted, ready, now())] };
      // If we stop before this, it says what it said, and the next look is the same.
      await applyStatus(client, issuerResources[issuer.kind], issuer, status, signal);
    }
    if (ready?.reason !== wanted.reason) untold.add(key);
    if (untold.has(key) && tell(issuer, wanted)) untold.delete(key);
    return { againAfterMs: lookAgainMs };
  };

  const tell = (issuer: TenantIssuer, { status, reason, message: note }: Readiness): boolean => {
    const type = status === "True" ? "Normal" : "Warning";
    return events.record({
      resource: issuerResources[issuer.kind],
      object: issuer,
      type,
      reason,
      action: "Check",
      note,
    });
  };

  const queue = startQueue({ name: "issuers", work }, log);
  const subscriptions = new DisposableStack();
  for (const informer of issuers.followed)
    subscriptions.use(informer.subscribe(({ item }) => queue.add(issuerKeyOf(item))));
  return {
    [Symbol.asyncDispose]: async () => {
      subscriptions.dispose();
      await queue[Symbol.asyncDispose]();
    },
  };
}
