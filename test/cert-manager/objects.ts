/** Certificates and CertificateRequests as users make them, and what became of them. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { isNotFound } from "../../src/kube/api-error.ts";
import type { Client } from "../../src/kube/client.ts";
import { readConditions } from "../../src/kube/condition.ts";
import { startInformer } from "../../src/kube/informer.ts";
import { isRecord, type JsonRecord, listAt, recordAt, textAt } from "../../src/kube/json.ts";
import { type Meta, readMeta } from "../../src/kube/meta.ts";
import { createObject, getObject, mergeObject } from "../../src/kube/objects.ts";
import { type Resource, resources } from "../../src/kube/resource.ts";
import { silentLog } from "../../src/ops/log.ts";
import { eventually } from "../support/patience.ts";

export const certificates: Resource = {
  group: "cert-manager.io",
  version: "v1",
  plural: "certificates",
  kind: "Certificate",
  namespaced: true,
};

/** Two shared cores and cert-manager's own pauses. */
const patienceMs = 90_000;
/** Behind each call stands a webhook, and thirty of them may come at once. */
const calling = { deadlineMs: 60_000 };

export interface Place {
  readonly namespace: string;
  readonly name: string;
}

export interface IssuerRef {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

export const clusterIssuer: IssuerRef = { group: "espalier.dev", kind: "TenantClusterIssuer", name: "shop" };
export const ownIssuer: IssuerRef = { group: "espalier.dev", kind: "TenantIssuer", name: "own" };

export async function makeIssuer(client: Client, ref: IssuerRef, spec: object, namespace?: string): Promise<void> {
  const resource = ref.kind === "TenantIssuer" ? resources.tenantIssuers : resources.tenantClusterIssuers;
  const body = { apiVersion: "espalier.dev/v1alpha1", kind: ref.kind, metadata: { name: ref.name }, spec };
  await createObject(client, resource, namespace === undefined ? {} : { namespace }, body, calling);
}

export async function makeCertificate(client: Client, { namespace, name }: Place, spec: object): Promise<void> {
  const body = {
    apiVersion: "cert-manager.io/v1",
    kind: "Certificate",
    metadata: { name },
    spec: { secretName: name, issuerRef: clusterIssuer, privateKey: { algorithm: "ECDSA" }, ...spec },
  };
  await createObject(client, certificates, { namespace }, body, calling);
}

export interface Issued {
  readonly leaf: X509Certificate;
  /** Leaf and authority. */
  readonly chain: readonly X509Certificate[];
  readonly ca: X509Certificate;
  readonly secret: JsonRecord;
}

/** Until cert-manager says Ready; what its Secret holds, verified to its own root. */
export async function ready(client: Client, place: Place, secretName = place.name): Promise<Issued> {
  await eventually(async () => {
    const status = recordAt(await getObject(client, certificates, place), "status");
    const condition = readConditions(status).get("Ready");
    assert.equal(condition?.status, "True", `${place.name}: ${condition?.message} ${await said(client, place)}`);
  }, patienceMs);
  const secret = recordAt(await getObject(client, resources.secrets, { ...place, name: secretName }), "data");
  const pem = (key: string): string => Buffer.from(textAt(secret, key) ?? "", "base64").toString("latin1");
  const chain = (pem("tls.crt").match(/-----BEGIN[^]+?-----END CERTIFICATE-----/g) ?? []).map(
    (one) => new X509Certificate(one),
  );
  const ca = new X509Certificate(pem("ca.crt"));
  const [leaf] = chain;
  assert.ok(leaf);
  assert.ok(ca.verify(ca.publicKey), "ca.crt is no root");
  for (const [at, one] of chain.entries()) assert.ok(one.verify((chain[at + 1] ?? ca).publicKey), `element ${at}`);
  assert.ok(!chain.some((one) => one.fingerprint256 === ca.fingerprint256), "the root stands in tls.crt");
  return { leaf, chain, ca, secret };
}

/** What the newest request of a Certificate says. */
async function said(client: Client, { namespace, name }: Place): Promise<string> {
  const all = await requestsOf(client, namespace);
  const own = all.filter((one) => textAt(recordAt(one, "metadata"), "name")?.startsWith(`${name}-`));
  return own.map((one) => readConditions(recordAt(one, "status")).get("Ready")?.message).join("; ");
}

export async function requestsOf(client: Client, namespace: string): Promise<readonly JsonRecord[]> {
  const path = `/apis/cert-manager.io/v1/namespaces/${namespace}/certificaterequests`;
  return listAt(await client.call({ verb: "GET", path }), "items").filter(isRecord);
}

/** The CertificateRequests of a namespace. */
export interface Asked extends AsyncDisposable {
  /** The names of all that there have been, by UID. */
  readonly names: ReadonlyMap<string, string>;
  /** The UIDs of those that are approved and have no certificate, of names that begin so; as soon as there is one. */
  open(prefix: string): Promise<ReadonlySet<string>>;
}

/** From now on: cert-manager sometimes deletes the one it has made for a Certificate, and asks anew. */
export async function watchAsked(client: Client, namespace: string): Promise<Asked> {
  const selection = { resource: resources.certificateRequests, namespace, read: readAsked, indexes: {} };
  const requests = startInformer(selection, { client, now: () => new Date(), log: silentLog });
  await requests.synced;
  const names = new Map<string, string>();
  requests.subscribe(({ kind, item }) => {
    if (kind === "added") names.set(item.uid, item.name);
  });
  return {
    names,
    open: async (prefix) =>
      await new Promise((resolve, reject) => {
        const isOpen = (one: Request): boolean => one.isApproved && !one.hasCertificate && one.name.startsWith(prefix);
        const end = (): void => {
          clearTimeout(timer);
          subscription[Symbol.dispose]();
        };
        const timer = setTimeout(() => {
          end();
          reject(new Error(`no request of ${prefix} was open in ${patienceMs} ms`));
        }, patienceMs);
        const subscription = requests.subscribe(() => {
          const open = requests.list().filter(isOpen);
          if (open.length === 0) return;
          // What is there already is heard of before there is a subscription to end.
          setImmediate(end);
          resolve(new Set(open.map(({ uid }) => uid)));
        });
      }),
    [Symbol.asyncDispose]: async () => await requests.stop(),
  };
}

interface Request extends Meta {
  readonly isApproved: boolean;
  readonly hasCertificate: boolean;
}

export function readAsked(object: unknown): Request {
  const status = isRecord(object) ? recordAt(object, "status") : {};
  return {
    ...readMeta(object),
    isApproved: readConditions(status).get("Approved")?.status === "True",
    hasCertificate: textAt(status, "certificate") !== undefined,
  };
}

export interface Verdict {
  readonly reason: string;
  readonly message: string;
  readonly invalid: boolean;
  readonly failureTime: string | undefined;
  readonly uid: string;
  readonly hasCertificate: boolean;
}

export async function verdict(client: Client, place: Place): Promise<Verdict> {
  const object = await getObject(client, resources.certificateRequests, place);
  const status = recordAt(object, "status");
  const conditions = readConditions(status);
  const { reason = "", message = "" } = conditions.get("Ready") ?? {};
  return {
    reason,
    message,
    invalid: conditions.get("InvalidRequest")?.status === "True",
    failureTime: textAt(status, "failureTime"),
    uid: textAt(recordAt(object, "metadata"), "uid") ?? "",
    hasCertificate: textAt(status, "certificate") !== undefined,
  };
}

/** Until the request's Ready has this reason. */
export async function becomes(client: Client, place: Place, reason: string): Promise<Verdict> {
  return await eventually(async () => {
    const found = await verdict(client, place);
    assert.equal(found.reason, reason, `${place.name}: ${found.message}`);
    return found;
  }, patienceMs);
}

/** The same for the first request of a Certificate. */
export async function firstRequestBecomes(
  client: Client,
  { namespace, name }: Place,
  reason: string,
): Promise<Verdict> {
  return await becomesWhenThere(client, { namespace, name: `${name}-1` }, reason);
}

async function becomesWhenThere(client: Client, place: Place, reason: string): Promise<Verdict> {
  return await eventually(async () => {
    const found = await verdict(client, place).catch((error: unknown) => {
      assert.ok(isNotFound(error), String(error));
      return undefined;
    });
    assert.ok(found, `${place.name} is not there`);
    assert.equal(found.reason, reason, `${place.name}: ${found.message}`);
    return found;
  }, patienceMs);
}

/** One that a user makes without a Certificate. */
export async function makeRequest(client: Client, { namespace, name }: Place, spec: object): Promise<void> {
  const body = {
    apiVersion: "cert-manager.io/v1",
    kind: "CertificateRequest",
    metadata: { name },
    spec: { issuerRef: clusterIssuer, usages: ["digital signature", "server auth"], ...spec },
  };
  await createObject(client, resources.certificateRequests, { namespace }, body, calling);
}

export async function isApproved(client: Client, place: Place): Promise<void> {
  await eventually(async () => {
    const object = await getObject(client, resources.certificateRequests, place);
    const { status } = readConditions(recordAt(object, "status")).get("Approved") ?? {};
    assert.equal(status, "True", `${place.name} is not approved`);
  }, patienceMs);
}

/** Whether cert-manager's validating webhook is to look at a namespace, by the label that takes one out. */
export async function setGuarded(client: Client, name: string, guarded: boolean): Promise<void> {
  const labels = { "cert-manager.io/disable-validation": guarded ? null : "true" };
  await mergeObject(client, resources.namespaces, { name }, { metadata: { labels } });
}
