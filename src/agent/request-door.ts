/**
 * A door whose requests are objects of the cluster's API, run by the one agent that leads. One object is one certificate, however often
 * it is asked for: its UID is the hub's idempotency key, and what became of it is written into its status once.
 */
import { Refusal, type RefusalCode, toRefusal } from "../errors.ts";
import { applyStatus } from "../kube/apply.ts";
import type { Client } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Informer } from "../kube/informer.ts";
import { keyOf, type Meta } from "../kube/meta.ts";
import { startQueue } from "../kube/queue.ts";
import type { Resource } from "../kube/resource.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import type { Hub } from "./hub.ts";
import type { Issuers } from "./issuers.ts";
import type { KeptTrust } from "./kept-trust.ts";
import { openRequestCheck, type RequestCertificate } from "./request-certificate.ts";
import { type DoorName, toItem } from "./request-item.ts";
import { type End, type KnownIssuer, type Sign, type Step, toEnd, type Wait } from "./request-step.ts";
import { decideIssuer, type IssuerName, issuerKeyOf } from "./tenant-issuer.ts";
import type { OpenUnsettled } from "./unsettled.ts";

export interface RequestMeta extends Meta {
  /** Undefined where it asks nothing of ours. */
  readonly ask: { readonly issuer: IssuerName } | undefined;
}

/** For the informer of a door's requests. */
export const byIssuer = {
  issuer: ({ ask }: RequestMeta): readonly string[] => (ask === undefined ? [] : [issuerKeyOf(ask.issuer)]),
};

export interface RequestDoor<T extends RequestMeta> {
  /** As the hub calls it. */
  readonly door: DoorName;
  readonly resource: Resource;
  readonly requests: Informer<T, keyof typeof byIssuer>;
  /** All that a decision rests on beside requests and issuers. */
  readonly followed: readonly Pick<Informer<Meta, never>, "synced" | "freshness">[];
  readonly decide: (request: T, known: KnownIssuer) => Step;
  /** Whether it says already what it waits for, as the informer has it: asked where nothing else is known of it. */
  readonly isTold: (request: T, wait: Wait) => boolean;
  /** All that we own of its status: what is left out of an application goes. Undefined where it has no place for that. */
  readonly toStatus: (request: T, outcome: Outcome) => object | undefined;
}

export type Outcome = ({ readonly kind: "issued"; readonly message: string } & RequestCertificate) | End | Wait;

export interface DoorParts {
  readonly cluster: string;
  readonly client: Client;
  readonly events: EventRecorder;
  readonly hub: Hub;
  readonly issuers: Issuers;
  readonly trust: () => KeptTrust | undefined;
  readonly now: () => Date;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly openUnsettled: OpenUnsettled;
}

export interface RunningDoor<T> extends AsyncDisposable {
  /** Something has happened that these may depend on. */
  lookAt(requests: readonly T[]): void;
}

/** At once; each waits for the hub and for one write. */
const workers = 32;
/** Others wait long after a failure of ours, so that a hub that comes back is asked soon. */
const backOff = { msMin: 500, msMax: 60_000 };
/** What others mend brings news of its own, but for what the hub says of a tenant. */
const lookAgainMs = 10_000;
/** Requests that have ended, and whose end the informer may not have seen yet. */
const rememberedMax = 10_000;

export function startRequestDoor<T extends RequestMeta>(
  { door, resource, requests, followed: others, decide, isTold, toStatus }: RequestDoor<T>,
  { cluster, client, events, hub, issuers, trust, now, log, metrics, openUnsettled }: DoorParts,
): RunningDoor<T> {
  const followed = [requests, ...issuers.followed, ...others];
  const check = openRequestCheck({
    now,
    onFault: (error) => log.error("the issuer's answer did not verify", {}, error),
  });
  const ended = new Set<string>();
  const unsettled = openUnsettled(door);

  const settle = (uid: string): void => {
    if (ended.size >= rememberedMax) ended.clear();
    ended.add(uid);
    unsettled.settle(uid);
  };

  const sign = async (request: T, step: Sign): Promise<RequestCertificate> => {
    const signed = await hub.sign(toItem(door, request, step));
    return check(signed, step);
  };

  const write = async (request: T, outcome: Outcome, signal: AbortSignal): Promise<void> => {
    const status = toStatus(request, outcome);
    // If we stop before this, whoever leads next judges it again, and gets the same certificate from the hub.
    if (status !== undefined) await applyStatus(client, resource, request, status, signal);
  };

  const tell = (type: "Normal" | "Warning", reason: string, note: string, object: T): boolean =>
    events.record({ resource, object, type, reason, action: "Sign", note });

  const issue = async (request: T, certificate: RequestCertificate, signal: AbortSignal): Promise<void> => {
    const message = "signed by the tenant's authority";
    await write(request, { kind: "issued", message, ...certificate }, signal);
    tell("Normal", "CertificateIssued", message, request);
    log.info("request issued", { request: keyOf(request) });
    settle(request.uid);
  };

  const end = async (request: T, step: End, signal: AbortSignal, code: RefusalCode): Promise<void> => {
    metrics.refused({ code, tenant: "", cluster });
    await write(request, step, signal);
    const { event, message } = step;
    tell("Warning", event, message, request);
    log.warn("request failed", { request: keyOf(request), reason: event, message });
    settle(request.uid);
  };

  /**
   * Written once, and not with each try: who waits learns nothing from that. Told once, when there is room for the Event. What the informer
   * has may be older than what was written last, and counts for those alone that were waiting before we led.
   */
  const wait = async (request: T, step: Wait, signal: AbortSignal): Promise<void> => {
    const { event, message } = step;
    const before = unsettled.waitsFor(request.uid);
    if (before.event === event && before.told) return;
    if (before.event !== event) {
      if (before.event === "" && isTold(request, step)) return unsettled.wait(request.uid, { event, told: true });
      await write(request, step, signal);
      log.info("request waits", { request: keyOf(request), reason: event, message });
    }
    unsettled.wait(request.uid, { event, told: tell("Normal", event, message, request) });
  };

  const work = async (key: string, signal: AbortSignal): Promise<{ againAfterMs: number } | void> => {
    // Of what is half known, nothing is said.
    if (followed.some((one) => one.freshness() === undefined)) return;
    const request = requests.at(key);
    if (request?.ask === undefined || ended.has(request.uid)) return;
    const issuer = issuers.at(issuerKeyOf(request.ask.issuer));
    const step = decide(request, { issuer, readinessOf: (one) => decideIssuer(one, trust()) });
    switch (step.kind) {
      case "none":
        return unsettled.settle(request.uid);
      case "end":
        return await end(request, step, signal, "request-denied");
      case "wait":
        await wait(request, step, signal);
        return { againAfterMs: lookAgainMs };
      case "sign": {
        const issued = await sign(request, step).catch(toRefusal);
        if (!(issued instanceof Refusal)) {
          await issue(request, issued, signal);
          return metrics.issued({ tenant: step.tenant, cluster, profile: step.profile });
        }
        const over = toEnd(issued);
        if (over !== undefined) return await end(request, over, signal, issued.code);
        await wait(request, { kind: "wait", event: "Retrying", message: `tried again: ${issued.message}` }, signal);
        throw issued;
      }
    }
  };

  const queue = startQueue({ name: `${door}s`, work, workers, backOff }, log);
  const lookAt = (all: readonly T[]): void => {
    for (const request of all) {
      if (request.ask === undefined || ended.has(request.uid)) continue;
      unsettled.see(request.uid);
      queue.add(keyOf(request));
    }
  };
  const subscriptions = new DisposableStack();
  subscriptions.use(
    requests.subscribe(({ kind, item }) => {
      if (kind === "gone") unsettled.settle(item.uid);
      else lookAt([item]);
    }),
  );
  for (const informer of issuers.followed)
    subscriptions.use(informer.subscribe(({ item }) => lookAt(requests.byIndex("issuer", issuerKeyOf(item)))));
  Promise.all(followed.map(async ({ synced }) => await synced)).then(
    () => lookAt(requests.list()),
    () => undefined,
  );
  return {
    lookAt,
    [Symbol.asyncDispose]: async () => {
      subscriptions.dispose();
      await queue[Symbol.asyncDispose]();
      unsettled[Symbol.dispose]();
    },
  };
}
