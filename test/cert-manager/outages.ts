/** What is away, or there twice, while requests are open: each of them is one certificate in the end, or none. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { ApiError } from "../../src/kube/api-error.ts";
import type { Client } from "../../src/kube/client.ts";
import { listAt, recordAt, textAt } from "../../src/kube/json.ts";
import { readMeta } from "../../src/kube/meta.ts";
import { deleteObject, getObject, mergeObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import type { AgentProcess, Kubernetes } from "../support/kube-site.ts";
import { csrOf, toRequest } from "../support/named-csr.ts";
import { eventually } from "../support/patience.ts";
import { startIssuerOn } from "../support/stack.ts";
import { intendedByUid } from "./ledger.ts";
import {
  type Asked,
  becomes,
  clusterIssuer,
  isApproved,
  makeCertificate,
  makeIssuer,
  makeRequest,
  ownIssuer,
  type Place,
  readAsked,
  ready,
  requestsOf,
  setGuarded,
  verdict,
  watchAsked,
} from "./objects.ts";
import type { CertManagerStage } from "./stage.ts";

/** Whether a race takes place is for the machine to say. */
const roundsMax = 10;

/** How many Certificates are made at once before the first kill. */
const atOnce = Number(process.env["ESPALIER_KILLED_AT_ONCE"] ?? 10);

export interface Running {
  readonly stage: CertManagerStage;
  /** The one that serves so far. */
  readonly agent: AgentProcess;
}

/** These come last: each leaves an agent, and not the one that it found. */
export function outageTests(running: () => Running): void {
  let agent: AgentProcess;
  let started = 0;
  const start = async (more?: Kubernetes): Promise<AgentProcess> =>
    await running().stage.startAgent(`outage-${(started += 1)}`, more);
  const some = (prefix: string, count: number): readonly Place[] =>
    Array.from({ length: count }, (_, at) => ({ namespace: running().stage.names.shop, name: `${prefix}-${at}` }));
  /** A lease that nobody lets go of would be waited out. */
  const dropLease = async (): Promise<void> => {
    const { cluster, system } = running().stage.site;
    await deleteObject(cluster.client, resources.leases, { namespace: system, name: "espalier-agent" });
  };

  test("while cert-manager's webhook is away nothing is asked for; what was approved is signed once, and told later", async () => {
    const { stage, agent: first } = running();
    const { client } = stage.site.cluster;
    await first.daemon.stop();
    const places = some("webhook", 5);
    for (const place of places) await makeRequest(client, place, { request: toRequest(csrOf("DNS:shop.example")) });
    for (const place of places) await isApproved(client, place);
    const signedOnce = (): void => assert.equal(intendedFor(stage, places).length, places.length);

    await stage.webhook.stop();
    try {
      const [late = assert.fail()] = some("webhook-late", 1);
      await assert.rejects(makeRequest(client, late, { request: toRequest(csrOf("DNS:shop.example")) }), /webhook/);
      agent = await start();
      await eventually(signedOnce);
      await agent.daemon.stop("SIGKILL");
      await dropLease();
      agent = await start();
      await agent.daemon.event("work failed", { queue: "certificate-requests" });
      for (const place of places) assert.equal((await verdict(client, place)).reason, "");
    } finally {
      await stage.webhook.start();
    }
    for (const place of places) await becomes(client, place, "Issued");
    signedOnce();
  });

  test("an approved request is neither edited nor denied; where the webhook does not see to that, it gets nothing", async () => {
    const { stage } = running();
    const { client } = stage.site.cluster;
    const place = { namespace: stage.names.till, name: "edited" };
    const edit = async (): Promise<unknown> =>
      await mergeObject(client, resources.certificateRequests, place, {
        spec: { request: toRequest(csrOf("DNS:other.shop.example")) },
      });
    const deny = async (): Promise<unknown> => {
      const found = recordAt(await getObject(client, resources.certificateRequests, place), "status");
      const denied = { type: "Denied", status: "True", reason: "test", message: "too late" };
      const conditions = [...listAt(found, "conditions"), denied];
      const status = { ...place, subresource: "status" } as const;
      return await mergeObject(client, resources.certificateRequests, status, { status: { conditions } });
    };
    await agent.daemon.stop();
    await makeRequest(client, place, { request: toRequest(csrOf("DNS:shop.example")) });
    await isApproved(client, place);
    for (const change of [edit, deny]) await assert.rejects(change(), ApiError);
    await setGuarded(client, place.namespace, false);
    try {
      await eventually(edit);
      await eventually(deny);
      agent = await start();
      assert.match((await becomes(client, place, "Failed")).message, /does not guard/);
    } finally {
      await setGuarded(client, place.namespace, true);
    }
    assert.equal(intendedFor(stage, [place]).length, 0);
  });

  test("when the issuers' definitions go, and come again, an open request has waited for them", async () => {
    const { stage } = running();
    const { client } = stage.site.cluster;
    const { names } = stage;
    const [place = assert.fail()] = some("undefined", 1);
    const issuerRef = { ...ownIssuer, name: "undefined" };
    await makeRequest(client, place, { issuerRef, request: toRequest(csrOf("DNS:shop.example")) });
    await becomes(client, place, "Pending");
    stage.kubectl(["delete", "crd", "tenantissuers.espalier.dev", "tenantclusterissuers.espalier.dev"]);
    await agent.daemon.event("watch interrupted", { resource: "/apis/espalier.dev/v1alpha1/tenantissuers" });
    stage.applyDefinitions();
    await makeIssuer(client, clusterIssuer, { tenant: "shop", namespaces: [names.shop, names.till] });
    await makeIssuer(client, issuerRef, { tenant: "shop" }, names.shop);
    await becomes(client, place, "Issued");
  });

  test("cert-manager's definition goes while an agent runs, is away when one starts, and comes again: nobody has to do anything", async () => {
    const { stage } = running();
    const { client } = stage.site.cluster;
    const [first = assert.fail(), second = assert.fail()] = some("defined", 2);
    const definition = readDefinition(stage, "certificaterequests.cert-manager.io");
    const issues = async (place: Place): Promise<void> => {
      await eventually(async () => await makeRequest(client, place, { request: toRequest(csrOf("DNS:shop.example")) }));
      await becomes(client, place, "Issued");
    };
    definition.withdraw();
    definition.restore();
    await issues(first);

    await agent.daemon.stop();
    definition.withdraw();
    agent = await start();
    await agent.daemon.event("not served yet", { resources: "certificaterequests.cert-manager.io/v1" });
    definition.restore();
    await agent.daemon.event("serving CertificateRequests");
    await issues(second);
    assert.equal(intendedFor(stage, [first, second]).length, 2);
  });

  test("two agents that both lead make one certificate of each request, also of those at which one of them stood still", async (t) => {
    const { stage } = running();
    const { client } = stage.site.cluster;
    await using asked = await watchAsked(client, stage.names.shop);
    const make = async (places: readonly Place[]): Promise<void> => {
      for (const place of places) await makeCertificate(client, place, { dnsNames: ["shop.example"] });
    };
    const left = agent;
    // Under a Lease of its own, for which nobody contradicts it.
    const right = await start({ name: giveLease(stage, "second") });
    await right.daemon.event("serving CertificateRequests");

    const before = some("before", 10);
    await make(before);
    left.daemon.child.kill("SIGSTOP");
    try {
      await eachReady(stage, before, asked);
    } finally {
      left.daemon.child.kill("SIGCONT");
    }
    // Both hear of each at the same time; on a busy machine one may end before the other begins.
    for (let round = 1, by = 0; by === 0; round++) {
      assert.ok(round <= roundsMax, `none of ${roundsMax} times 10 requests was answered by both`);
      const places = some(`both-${round}`, 10);
      await make(places);
      await eachReady(stage, places, asked);
      const byRight = issuedBy(right, places);
      by = issuedBy(left, places).filter((request) => byRight.includes(request)).length;
      t.diagnostic(`round ${round}: ${by} of 10 requests answered by both`);
    }
    const after = some("after", 3);
    await right.daemon.stop("SIGKILL");
    await make(after);
    await eachReady(stage, after, asked);
    await asInLedger(stage);
  });

  test("an agent that is killed again and again while requests are open loses none, and makes none twice", async (t) => {
    const { stage } = running();
    const { client } = stage.site.cluster;
    await using asked = await watchAsked(client, stage.names.shop);
    const all: Place[] = [];
    const making: Promise<void>[] = [];
    for (let round = 1, kills = 0; kills < 3; round++) {
      assert.ok(round <= roundsMax, `only ${kills} of ${roundsMax} kills fell while requests were open`);
      const more = some(`killed-${round}`, round === 1 ? atOnce : 10);
      all.push(...more);
      making.push(makeAll(client, more));
      // It leads, and is in the middle of them.
      await agent.daemon.event("request issued");
      const open = await asked.open("killed-");
      await agent.daemon.stop("SIGKILL");
      // Nobody answers now: what was open then and is so now, was so when it died.
      const there = (await requestsOf(client, stage.names.shop)).map(readAsked);
      const unanswered = there.filter(({ uid, hasCertificate }) => open.has(uid) && !hasCertificate);
      const intended = intendedByUid(stage.site.site.databasePath);
      const asking = unanswered.filter(({ uid }) => intended.has(uid)).length;
      t.diagnostic(`killed while ${unanswered.length} of ${all.length} were open, ${asking} of them in the ledger`);
      if (unanswered.length > 0) kills += 1;
      await dropLease().catch(() => undefined);
      agent = await start();
    }
    await Promise.all(making);
    await eachReady(stage, all, asked);
    await asInLedger(stage);
  });

  test("while the hub is away a request waits and says so, and goes on by itself", async () => {
    const { cluster, site, issuer, clock } = running().stage.site;
    const [place = assert.fail()] = some("hub", 1);
    await issuer[Symbol.asyncDispose]();
    await makeRequest(cluster.client, place, { request: toRequest(csrOf("DNS:shop.example")) });
    const waiting = await becomes(cluster.client, place, "Pending");
    assert.match(waiting.message, /^Retrying: /);
    assert.equal(waiting.failureTime, undefined);
    await using _ = await startIssuerOn(site, { clock, listen: issuer.address });
    await becomes(cluster.client, place, "Issued");
  });
}

/** Takes a definition away with all of its objects, and brings it back without them. */
function readDefinition({ kubectl }: CertManagerStage, name: string): { withdraw(): void; restore(): void } {
  const { apiVersion, kind, metadata, spec } = JSON.parse(kubectl(["get", "crd", name, "-o", "json"]));
  const { labels = {}, annotations = {} } = metadata;
  const body = JSON.stringify({ apiVersion, kind, metadata: { name, labels, annotations }, spec });
  return {
    withdraw: () => void kubectl(["delete", "crd", name]),
    restore: () => {
      kubectl(["create", "-f", "-"], body);
      kubectl(["wait", "--for=condition=Established", `crd/${name}`, "--timeout=60s"]);
    },
  };
}

/** The rights of an agent whose Lease and Secret are called so. */
function giveLease({ kubectl, site }: CertManagerStage, name: string): string {
  const names = [`--resource-name=${name}`, `--resource-name=${name}-state`];
  kubectl([
    "create",
    "role",
    name,
    "-n",
    site.system,
    "--verb=create,get,update,patch",
    "--resource=leases,secrets",
    ...names,
  ]);
  kubectl([
    "create",
    "rolebinding",
    name,
    "-n",
    site.system,
    `--role=${name}`,
    `--serviceaccount=${site.system}:espalier-agent`,
  ]);
  return name;
}

/** Some at a time: behind each stands a webhook. */
async function makeAll(client: Client, places: readonly Place[]): Promise<void> {
  const left = [...places];
  const lane = async (): Promise<void> => {
    for (let place = left.shift(); place !== undefined; place = left.shift())
      await makeCertificate(client, place, { dnsNames: ["shop.example"] });
  };
  await Promise.all(Array.from({ length: 32 }, lane));
}

/** Those requests of these Certificates that the agent says it has answered. */
function issuedBy({ daemon }: AgentProcess, places: readonly Place[]): readonly string[] {
  const issued = daemon.lines.filter(({ event }) => event === "request issued").map(({ request }) => String(request));
  return issued.filter((request) => places.some((place) => isOf(request, place)));
}

/** Each is Ready, and nothing was intended but one certificate for each CertificateRequest that there has been. */
async function eachReady(stage: CertManagerStage, places: readonly Place[], asked: Asked): Promise<void> {
  const serials = new Set<string>();
  // One after the other: what is waited for should have the machine.
  for (const place of places) serials.add((await ready(stage.site.cluster.client, place)).leaf.serialNumber);
  assert.equal(serials.size, places.length);
  await eventually(() => {
    const intended = intendedFor(stage, places);
    assert.ok(intended.length >= places.length);
    for (const uid of intended) assert.ok(asked.names.has(uid), `nobody has asked with ${uid}`);
  });
}

/** The UIDs for which the ledger has a certificate, of these CertificateRequests or of any that cert-manager made for Certificates of these names. */
function intendedFor({ site }: CertManagerStage, places: readonly Place[]): readonly string[] {
  return [...intendedByUid(site.site.databasePath)]
    .filter(([, { request }]) => places.some((place) => isOf(String(request["object"]), place)))
    .map(([uid]) => uid);
}

/** Whether a request is of this name, or one that cert-manager has made for the Certificate of this name. */
function isOf(request: string, { namespace, name }: Place): boolean {
  return request === `${namespace}/${name}` || request.startsWith(`${namespace}/${name}-`);
}

/** What each request of the namespace was given is what the ledger has under its UID, and the ledger verifies. */
async function asInLedger({ site, names }: CertManagerStage): Promise<void> {
  const intended = intendedByUid(site.site.databasePath);
  for (const request of await requestsOf(site.cluster.client, names.shop)) {
    const { uid, name } = readMeta(request);
    const given = textAt(recordAt(request, "status"), "certificate");
    if (given === undefined) continue;
    const leaf = new X509Certificate(Buffer.from(given, "base64"));
    assert.equal(leaf.serialNumber.toLowerCase(), intended.get(uid)?.serial, name);
  }
  await site.site.verify();
}
