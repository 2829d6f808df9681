/**
 * The door of cert-manager: CertificateRequests for TenantIssuers and TenantClusterIssuers, run by the one agent that leads. One request
 * is one certificate, however often it is asked for: its UID is the hub's idempotency key, and its status is written once.
 */
import { Refusal, type RefusalCode, toRefusal } from "../errors.ts";
import { isConflict, isNotFound } from "../kube/api-error.ts";
import { applyObject } from "../kube/apply.ts";
import type { Client } from "../kube/client.ts";
import { toCondition, toSeconds } from "../kube/condition.ts";
import type { EventRecorder } from "../kube/events.ts";
import { type Informer, startInformer } from "../kube/informer.ts";
import { keyOf, type Namespace } from "../kube/meta.ts";
import { startQueue } from "../kube/queue.ts";
import { resources } from "../kube/resource.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import { type CertificateRequest, type RequestAsk, readCertificateRequest } from "./certificate-request.ts";
import { decideRequest, type End, type Step, toEnd } from "./decide-request.ts";
import { readGuard } from "./guard.ts";
import type { Hub } from "./hub.ts";
import { issuerResources, startIssuerStatus } from "./issuer-status.ts";
import type { KeptTrust } from "./kept-trust.ts";
import { openRequestCheck, type RequestCertificate } from "./request-certificate.ts";
import { readTenantIssuer, type TenantIssuer } from "./tenant-issuer.ts";
import { startWhenServed } from "./when-served.ts";

export interface RequestsParts {
  readonly cluster: string;
  readonly client: Client;
  readonly events: EventRecorder;
  readonly namespaces: Informer<Namespace, never>;
  readonly hub: Hub;
  readonly trust: () => KeptTrust | undefined;
  readonly now: () => Date;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** At once; each waits for the hub and for one write. */
const workers = 32;
/** cert-manager itself waits an hour after a failure, so that a hub that comes back is asked soon. */
const backOff = { msMin: 500, msMax: 60_000 };
/** What others mend brings news of its own, but for what the hub says of a tenant. */
const lookAgainMs = 10_000;
/** Of the groups of who made it. */
const groupsMax = 64;
/** Requests that have ended, and whose end the informer may not have seen yet. */
const endedMax = 10_000;

/** Returns at once; begins when cert-manager's definitions and ours are there. */
export function startRequests(parts: RequestsParts): AsyncDisposable {
  const needed = [resources.certificateRequests, resources.tenantIssuers, resources.tenantClusterIssuers];
  return startWhenServed(needed, () => startServed(parts), parts);
}

type Doing = Pick<RequestsParts, "client" | "events" | "now" | "log">;

function startServed(parts: RequestsParts): AsyncDisposable {
  const { cluster, client, namespaces, hub, trust, now, log, metrics } = parts;
  const stack = new AsyncDisposableStack();
  const follow = { client, now, log };
  const requests = stack.use(
    startInformer(
      {
        resource: resources.certificateRequests,
        read: readCertificateRequest,
        indexes: {
          issuer: ({ ask, namespace }) => (ask === undefined ? [] : [toIssuerName(ask, namespace)]),
          namespace: ({ namespace }) => [namespace],
        },
      },
      follow,
    ),
  );
  const issuers = {
    TenantIssuer: stack.use(
      startInformer(
        {
          resource: issuerResources.TenantIssuer,
          read: (object) => readTenantIssuer("TenantIssuer", object),
          indexes: {},
        },
        follow,
      ),
    ),
    TenantClusterIssuer: stack.use(
      startInformer(
        {
          resource: issuerResources.TenantClusterIssuer,
          read: (object) => readTenantIssuer("TenantClusterIssuer", object),
          indexes: {},
        },
        follow,
      ),
    ),
  };
  const webhooks = { resource: resources.validatingWebhooks, read: readGuard, indexes: {} };
  const validating = stack.use(startInformer(webhooks, follow));
  const mutating = stack.use(startInformer({ ...webhooks, resource: resources.mutatingWebhooks }, follow));
  const followed = [namespaces, requests, issuers.TenantIssuer, issuers.TenantClusterIssuer, validating, mutating];
  const check = openRequestCheck({
    now,
    onFault: (error) => log.error("the issuer's answer did not verify", {}, error),
  });
  const ended = new Set<string>();

  const decide = (request: CertificateRequest): Step => {
    const { kind, name } = request.ask?.issuer ?? { kind: "TenantIssuer", name: "" };
    const namespace = kind === "TenantIssuer" ? request.namespace : undefined;
    return decideRequest(request, {
      namespace: namespaces.get(request.namespace),
      guards: { validating: validating.list(), mutating: mutating.list() },
      issuer: issuers[kind].get(name, namespace),
      trust: trust(),
    });
  };

  const sign = async (request: CertificateRequest, ask: RequestAsk, step: Extract<Step, { kind: "sign" }>) => {
    const { username, groups, issuer, isCa } = ask;
    const signed = await hub.sign({
      csr: step.der,
      validitySeconds: step.validitySeconds,
      signer: step.tenant,
      idempotencyKey: request.uid,
      request: {
        door: "certificate-request",
        namespace: request.namespace,
        name: request.name,
        issuer: `${issuer.kind}/${issuer.name}`,
        profile: step.profile,
        username,
        groups: groups.slice(0, groupsMax),
        usages: [...step.usages],
        isCa,
      },
    });
    return check(signed, step);
  };

  const finish = (request: CertificateRequest): void => {
    if (ended.size >= endedMax) ended.clear();
    ended.add(request.uid);
  };

  const work = async (key: string, signal: AbortSignal): Promise<{ againAfterMs: number } | void> => {
    // Of what is half known, nothing is said.
    if (followed.some((one) => one.freshness() === undefined)) return;
    const [namespace, name = ""] = key.split("/");
    const request = requests.get(name, namespace);
    if (request?.ask === undefined || ended.has(request.uid)) return;
    const { ask } = request;
    const writing = { request, ask, signal };
    const end = async (step: End, code: RefusalCode = "request-denied"): Promise<void> => {
      metrics.refused({ code, tenant: "", cluster });
      await writeEnd(step, writing, parts);
      finish(request);
    };
    const step = decide(request);
    switch (step.kind) {
      case "none":
        return;
      case "end":
        return await end(step);
      case "wait":
        await writePending(step, writing, parts);
        return { againAfterMs: lookAgainMs };
      case "sign": {
        const issued = await sign(request, ask, step).catch(toRefusal);
        if (!(issued instanceof Refusal)) {
          await writeIssued(issued, writing, parts);
          metrics.issued({ tenant: step.tenant, cluster, profile: step.profile });
          return finish(request);
        }
        const over = toEnd(issued);
        if (over !== undefined) return await end(over, issued.code);
        await writePending({ event: "Retrying", message: `tried again: ${issued.message}` }, writing, parts);
        throw issued;
      }
    }
  };

  const queue = stack.use(startQueue({ name: "requests", work, workers, backOff }, log));
  const lookAt = (all: readonly CertificateRequest[]): void => {
    for (const request of all) if (request.ask !== undefined) queue.add(keyOf(request));
  };
  const lookAtAll = (): void => lookAt(requests.list());
  stack.use(requests.subscribe(({ kind, item }) => lookAt(kind === "gone" ? [] : [item])));
  for (const informer of Object.values(issuers)) {
    const name = (issuer: TenantIssuer): string => toIssuerName({ issuer }, issuer.namespace);
    stack.use(informer.subscribe(({ item }) => lookAt(requests.byIndex("issuer", name(item)))));
  }
  // Where a guard is taken away, if only for a moment, what was made by then does not count.
  stack.use(validating.subscribe(lookAtAll));
  stack.use(mutating.subscribe(lookAtAll));
  stack.use(namespaces.subscribe(({ item }) => lookAt(requests.byIndex("namespace", item.name))));
  Promise.all(followed.map(async ({ synced }) => await synced)).then(lookAtAll, () => undefined);
  stack.use(startIssuerStatus({ ...follow, issuers, trust }));
  log.info("serving CertificateRequests", {});
  return stack;
}

/** The index of requests by what they name; a cluster's issuer is named from every namespace. */
function toIssuerName({ issuer }: Pick<RequestAsk, "issuer">, namespace: string): string {
  return issuer.kind === "TenantIssuer" ? `${namespace}/${issuer.name}` : issuer.name;
}

interface Writing {
  readonly request: CertificateRequest;
  readonly ask: RequestAsk;
  readonly signal: AbortSignal;
}

/** Certificate, root and condition in one: who waits for one of them takes all three. */
async function writeIssued(issued: RequestCertificate, writing: Writing, parts: Doing): Promise<void> {
  const base64 = (pem: string): string => Buffer.from(pem, "latin1").toString("base64");
  const message = "signed by the tenant's authority";
  const ready = toReady("True", "Issued", message, writing, parts);
  const { certificate, ca } = issued;
  // If we stop before this, whoever leads next asks the hub again and gets the same certificate.
  await write({ certificate: base64(certificate), ca: base64(ca), conditions: [ready] }, writing, parts);
  tell("Normal", "CertificateIssued", message, writing, parts);
  parts.log.info("request issued", { request: keyOf(writing.request) });
}

async function writeEnd({ reason, invalid, event, message }: End, writing: Writing, parts: Doing): Promise<void> {
  const now = parts.now();
  const { conditions } = writing.ask;
  const invalidRequest = { type: "InvalidRequest", status: "True", reason: event, message };
  const all = [
    toReady("False", reason, message, writing, parts),
    ...(invalid ? [toCondition(invalidRequest, conditions.get("InvalidRequest"), now)] : []),
  ];
  // Without the time, cert-manager would never take the request away and try anew. If we stop before this, it is judged again.
  await write({ conditions: all, failureTime: toSeconds(now) }, writing, parts);
  tell("Warning", event, message, writing, parts);
  parts.log.warn("request failed", { request: keyOf(writing.request), reason: event, message });
}

/** Once, and not with each try: who waits learns nothing from that. */
async function writePending(
  { event, message }: Pick<Extract<Step, { kind: "wait" }>, "event" | "message">,
  writing: Writing,
  parts: Doing,
): Promise<void> {
  const ready = writing.ask.conditions.get("Ready");
  const told = `${event}: ${message}`;
  if (ready?.reason === "Pending" && ready.message.startsWith(`${event}:`)) return;
  await write({ conditions: [toReady("False", "Pending", told, writing, parts)] }, writing, parts);
  tell("Normal", event, message, writing, parts);
  parts.log.info("request waits", { request: keyOf(writing.request), reason: event, message });
}

function toReady(status: string, reason: string, message: string, { ask }: Writing, { now }: Doing) {
  return toCondition({ type: "Ready", status, reason, message }, ask.conditions.get("Ready"), now());
}

/** All that we own of it, each time: what is left out of an application goes. */
async function write(status: object, { request, signal }: Writing, { client }: Doing): Promise<void> {
  const { namespace, name, uid } = request;
  const one = { namespace, name, subresource: "status" } as const;
  try {
    await applyObject(client, resources.certificateRequests, one, { status }, { force: true, uid, signal });
  } catch (error) {
    // Gone, or another request of its name: nobody waits for this one any more.
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}

function tell(
  type: "Normal" | "Warning",
  reason: string,
  note: string,
  { request: object }: Writing,
  { events }: Doing,
): void {
  events.record({ resource: resources.certificateRequests, object, type, reason, action: "Sign", note });
}
