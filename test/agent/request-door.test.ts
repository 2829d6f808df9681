import assert from "node:assert/strict";
import { test } from "node:test";
import { startIssuerStatus } from "../../src/agent/issuer-status.ts";
import { startIssuers } from "../../src/agent/issuers.ts";
import { byIssuer, type DoorParts, type RequestMeta, startRequestDoor } from "../../src/agent/request-door.ts";
import { wait } from "../../src/agent/request-step.ts";
import { startSigningRequests } from "../../src/agent/signing-requests.ts";
import { openUnsettled } from "../../src/agent/unsettled.ts";
import { applyObject } from "../../src/kube/apply.ts";
import { openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { startEvents } from "../../src/kube/events.ts";
import { startInformer } from "../../src/kube/informer.ts";
import { recordAt, textAt } from "../../src/kube/json.ts";
import { readMeta } from "../../src/kube/meta.ts";
import { mergeObject } from "../../src/kube/objects.ts";
import { type Resource, resources } from "../../src/kube/resource.ts";
import { openMetrics } from "../../src/ops/metrics.ts";
import { shopTrust } from "../support/heard.ts";
import { openKeptLog } from "../support/kept-log.ts";
import { startMemoryApi } from "../support/kube-memory.ts";
import { eventually } from "../support/patience.ts";

const refillMs = 3_600_000;

/** The parts of a door, with room for one Event of each reason an hour. */
async function openSetting() {
  await using stack = new AsyncDisposableStack();
  const api = stack.use(await startMemoryApi());
  const client = stack.use(openClient({ credentials: fixedCredentials(api.access) }));
  const log = openKeptLog();
  const metrics = openMetrics({ process: "agent" });
  let later = 0;
  const now = (): Date => new Date(Date.now() + later);
  const config = { controller: "test", instance: "test", burst: 1, refillMs };
  const parts: DoorParts = {
    cluster: "east",
    client,
    events: stack.use(startEvents(config, { client, log, now })),
    hub: {
      sign: async () => assert.fail("nothing is to be signed"),
      reconnect: () => undefined,
      connected: () => 0,
      [Symbol.asyncDispose]: async () => undefined,
    },
    issuers: stack.use(startIssuers({ client, log, now })),
    trust: () => shopTrust,
    now,
    log,
    metrics,
    openUnsettled: openUnsettled({ metrics, now }),
  };
  const kept = stack.move();
  return {
    parts,
    log,
    metrics,
    make: async (resource: Resource, name: string, content: Readonly<Record<string, object>>) =>
      await applyObject(client, resource, { name }, content, { fieldManager: "people" }),
    /** Something of it that means nothing. */
    touch: async (resource: Resource, name: string) =>
      await mergeObject(client, resource, { name }, { metadata: { labels: { touched: "true" } } }),
    /** There is room for one more. */
    refill: () => {
      later += refillMs;
    },
    told: () =>
      api.store
        .list("events.k8s.io/v1/events")
        .map((event) => `${textAt(event, "reason")} ${textAt(recordAt(event, "regarding"), "name")}`)
        .sort(),
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

test("what a CertificateSigningRequest waits for is told when there is room for the Event, and once", async () => {
  await using setting = await openSetting();
  const { log, metrics, make, touch, refill, told } = setting;
  const requests = resources.certificateSigningRequests;
  const groups = ["system:serviceaccounts", "system:serviceaccounts:shop"];
  const spec = { signerName: "tenantclusterissuers.espalier.dev/none", username: "system:serviceaccount:shop:web" };
  const status = { conditions: [{ type: "Approved", status: "True", reason: "test", message: "" }] };
  await using _ = startSigningRequests(setting.parts);
  const waiting = async (count: number): Promise<void> =>
    await eventually(async () => {
      const label = 'espalier_agent_requests_waiting{door="csr",reason="IssuerNotFound"}';
      assert.ok((await metrics.registry.metrics()).includes(`${label} ${count}`));
    });
  await make(requests, "first", { spec: { ...spec, groups }, status });
  await waiting(1);
  await make(requests, "second", { spec: { ...spec, groups }, status });
  await waiting(2);
  await eventually(() => assert.deepEqual(told(), ["IssuerNotFound first"]));

  refill();
  await touch(requests, "second");
  await eventually(() => assert.deepEqual(told(), ["IssuerNotFound first", "IssuerNotFound second"]));
  refill();
  for (const name of ["first", "second"]) await touch(requests, name);
  await make(requests, "third", { spec: { ...spec, groups }, status });
  await eventually(() => assert.equal(told().length, 3));
  assert.equal(told()[2], "IssuerNotFound third");
  assert.equal(log.of("request waits").length, 3);
});

test("what an issuer says of itself is told when there is room for the Event, and once", async () => {
  await using setting = await openSetting();
  const { make, touch, refill, told } = setting;
  const issuers = resources.tenantClusterIssuers;
  await using _ = startIssuerStatus(setting.parts);
  const spec = { tenant: "shop", namespaces: ["shop"] };
  await make(issuers, "first", { spec });
  await eventually(() => assert.deepEqual(told(), ["Ready first"]));
  await make(issuers, "second", { spec });
  await make(issuers, "third", { spec: { ...spec, tenant: "nobody" } });
  await eventually(() => assert.deepEqual(told(), ["Ready first", "TenantNotFound third"]));

  refill();
  await touch(issuers, "second");
  await eventually(() => assert.deepEqual(told(), ["Ready first", "Ready second", "TenantNotFound third"]));
});

test("what a request waits for is written each time it is another, though the informer has not seen the last", async () => {
  await using setting = await openSetting();
  const { parts, make } = setting;
  const resource = resources.certificateSigningRequests;
  const ask = { issuer: { kind: "TenantClusterIssuer", namespace: "", name: "shop" } } as const;
  const read = (object: unknown): RequestMeta => ({ ...readMeta(object), ask });
  const { client, log, now } = parts;
  await using requests = startInformer({ resource, read, indexes: byIssuer }, { client, log, now });
  const written: string[] = [];
  let event = "IssuerNotFound";
  const open = () =>
    startRequestDoor(
      {
        door: "certificate-request",
        resource,
        requests,
        followed: [],
        decide: () => wait(event, ""),
        // What was written first is all that it has seen.
        isTold: (_, step) => step.event === written[0],
        toStatus: (_, outcome) => {
          written.push(outcome.kind === "wait" ? outcome.event : outcome.kind);
          return undefined;
        },
      },
      parts,
    );
  {
    await using door = open();
    await make(resource, "waits", { spec: { signerName: "tenantclusterissuers.espalier.dev/shop" } });
    await eventually(() => assert.deepEqual(written, ["IssuerNotFound"]));
    event = "IssuerNotReady";
    door.lookAt(requests.list());
    await eventually(() => assert.deepEqual(written, ["IssuerNotFound", "IssuerNotReady"]));
    event = "IssuerNotFound";
    door.lookAt(requests.list());
    await eventually(() => assert.deepEqual(written, ["IssuerNotFound", "IssuerNotReady", "IssuerNotFound"]));
  }
  // Who leads next finds it told.
  await using door = open();
  door.lookAt(requests.list());
  await eventually(async () => {
    const label = 'espalier_agent_requests_waiting{door="certificate-request",reason="IssuerNotFound"}';
    assert.ok((await setting.metrics.registry.metrics()).includes(`${label} 1`));
  });
  assert.equal(written.length, 3);
});
