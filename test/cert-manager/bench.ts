/**
 * The same number of certificates at once by every door, in turn and in one run: Certificates through cert-manager's own CA issuer and
 * through ours, CertificateRequests alone, and Istio's protocol, which is the direct path. `test/cert-manager/run bench`; what came is checked.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { parseArgs } from "node:util";
import { readConditions } from "../../src/kube/condition.ts";
import { type Informer, startInformer } from "../../src/kube/informer.ts";
import { isRecord, recordAt } from "../../src/kube/json.ts";
import { type Meta, readMeta } from "../../src/kube/meta.ts";
import { type Resource, resources, toPath } from "../../src/kube/resource.ts";
import { silentLog } from "../../src/ops/log.ts";
import { toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import { until } from "../contract/kube-setting.ts";
import { assertIssued, csrFor, newKey, openWorkload, tlsOf } from "../support/workload.ts";
import {
  certificates as certificateKind,
  clusterIssuer,
  type IssuerRef,
  makeCertificate,
  makeIssuer,
  makeRequest,
  watchAsked,
} from "./objects.ts";
import { openStage } from "./stage.ts";

const help = `usage: test/cert-manager/run bench [COUNT] [options]

  COUNT       certificates by each door in each round (default 500)
  --rounds N  every other round goes through the doors backwards (default 2)
  --json      results as JSON
  --help
`;

/** Of making objects, and of asking on the direct path; each ask has a connection and a key of its own, as pods have. */
const atOnce = 32;
/** Whose tokens the direct path takes: a token has a number of certificates in an hour. */
const pods = 10;
const withinMs = 900_000;
/** Of what the API server answers who deletes a thousand objects. */
const bytesMax = 256 * 1024 * 1024;

const own: IssuerRef = { group: "cert-manager.io", kind: "ClusterIssuer", name: "bench" };
const ownIssuer = `
{ apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: { name: bench-root }, spec: { selfSigned: {} } }
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: { name: bench-root, namespace: cert-manager }
spec:
  isCA: true
  commonName: bench
  secretName: bench-root
  privateKey: { algorithm: ECDSA }
  issuerRef: { name: bench-root, kind: ClusterIssuer }
---
{ apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: { name: bench }, spec: { ca: { secretName: bench-root } } }
`;

const order = ["peer", "certificates", "requests", "direct"] as const;
type Door = (typeof order)[number];

const doors: Readonly<Record<Door, string>> = {
  peer: "Certificates, cert-manager's CA issuer",
  certificates: "Certificates, TenantClusterIssuer",
  requests: "CertificateRequests, TenantClusterIssuer",
  direct: "Istio's protocol at the agent",
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const [count, rounds] = [Number(positionals[0] ?? 500), Number(values.rounds)];
const isWhole = (value: number): boolean => Number.isInteger(value) && value > 0;

if (values.help) process.stdout.write(help);
else if (!isWhole(count) || !isWhole(rounds) || positionals.length > 1) {
  process.stderr.write(help);
  process.exitCode = 2;
} else {
  const seconds = await measure();
  process.stdout.write(values.json ? `${JSON.stringify({ count, rounds, seconds }, undefined, 2)}\n` : toText(seconds));
}

type Seconds = Readonly<Record<Door, readonly number[]>>;

async function measure(): Promise<Seconds> {
  await using stage = await openStage();
  const agent = await stage.startAgent("bench");
  await agent.ready();
  stage.applyDefinitions();
  await agent.daemon.event("serving CertificateRequests");
  const { cluster, site } = stage.site;
  const { client } = cluster;
  const { shop: namespace } = stage.names;
  await makeIssuer(client, clusterIssuer, { tenant: "shop", namespaces: [namespace] });
  stage.kubectl(["apply", "-f", "-"], ownIssuer);
  for (const name of ["bench-root", "bench"])
    stage.kubectl(["wait", "--for=condition=Ready", `clusterissuer/${name}`, "--timeout=120s"]);
  await cluster.account(namespace, "web");
  const node = await stage.site.node("bench");
  const names = Array.from({ length: pods }, (_, at) => `web-${at}`);
  const tokens = await Promise.all(
    names.map(async (pod) => {
      await cluster.pod(namespace, pod, "web", node);
      return await cluster.token(namespace, "web", { pod });
    }),
  );
  const identity = `spiffe://shop.example/ns/${namespace}/sa/web`;

  const parts = { client, now: () => new Date(), log: silentLog };
  await using made = startInformer({ resource: certificateKind, namespace, read: readObject, indexes: {} }, parts);
  await using asked = startInformer(
    { resource: resources.certificateRequests, namespace, read: readObject, indexes: {} },
    parts,
  );
  await using ever = await watchAsked(client, namespace);
  await Promise.all([made.synced, asked.synced]);
  const askedFor = (prefix: string): number => [...ever.names.values()].filter(isOf(prefix)).length;
  const allReady = async (objects: Objects, prefix: string): Promise<void> => {
    const isReadyOf = isOf(prefix);
    const ready = (): number => objects.list().filter(({ name, isReady }) => isReady && isReadyOf(name)).length;
    await until(`all of ${prefix}`, () => ready() === count, withinMs);
  };
  const certificates = async (prefix: string, issuerRef: IssuerRef): Promise<void> => {
    await each(async (at) => {
      await makeCertificate(client, { namespace, name: `${prefix}-${at}` }, { issuerRef, dnsNames: ["shop.example"] });
    });
    await allReady(made, prefix);
  };
  const runs: Readonly<Record<Door, (prefix: string) => Promise<void>>> = {
    peer: async (prefix) => await certificates(prefix, own),
    certificates: async (prefix) => await certificates(prefix, clusterIssuer),
    requests: async (prefix) => {
      await each(async (at) => {
        const csr = toPem("CERTIFICATE REQUEST", toCsr({ ...newKey(), uri: identity }));
        const usages = ["digital signature", "client auth", "server auth"];
        const request = Buffer.from(csr).toString("base64");
        await makeRequest(client, { namespace, name: `${prefix}-${at}` }, { request, usages });
      });
      await allReady(asked, prefix);
    },
    direct: async () => {
      await each(async (at) => {
        using workload = openWorkload(agent.address, tlsOf(site, "east"), "east");
        const answer = await workload.ask({ token: tokens[at % pods], csr: csrFor(identity), deadlineMs: 30_000 });
        const [leaf = ""] = assertIssued(answer);
        assert.equal(new X509Certificate(leaf).subjectAltName, `URI:${identity}`);
      });
    },
  };

  /** Whoever comes later is not to be slower for what others have left. */
  const clear = async (): Promise<void> => {
    const deleteAll = async (resource: Resource, labelSelector?: string): Promise<void> => {
      const path = toPath(resource, { namespace });
      await client.call({ verb: "DELETE", path, query: { labelSelector }, deadlineMs: 120_000, bytesMax });
    };
    await deleteAll(certificateKind);
    await deleteAll(resources.certificateRequests);
    await deleteAll(resources.secrets, "controller.cert-manager.io/fao=true");
    await until("nothing is left", () => made.list().length + asked.list().length === 0, withinMs);
  };
  const seconds: Record<Door, number[]> = { peer: [], certificates: [], requests: [], direct: [] };
  for (let round = 1; round <= rounds; round++)
    for (const door of round % 2 === 1 ? order : order.toReversed()) {
      const before = site.intents();
      const began = performance.now();
      await runs[door](`${door}-${round}`);
      const took = (performance.now() - began) / 1000;
      assertEach(site.intents() - before, door, askedFor(`${door}-${round}`));
      seconds[door].push(took);
      process.stderr.write(`round ${round}: ${count} by ${doors[door]}: ${took.toFixed(1)} s\n`);
      await clear();
    }
  return seconds;
}

interface Counted extends Meta {
  readonly isReady: boolean;
}
type Objects = Pick<Informer<Counted, never>, "list">;

function readObject(object: unknown): Counted {
  const status = isRecord(object) ? recordAt(object, "status") : {};
  return { ...readMeta(object), isReady: readConditions(status).get("Ready")?.status === "True" };
}

function isOf(prefix: string): (name: string) => boolean {
  return (name) => name.startsWith(`${prefix}-`);
}

/** By each of our doors one certificate for each that was asked for, and none by the other's. */
function assertEach(intents: number, door: Door, requests: number): void {
  const [least, most] = door === "peer" ? [0, 0] : [count, Math.max(count, requests)];
  assert.ok(intents >= least && intents <= most, `${intents} certificates for ${requests} requests by ${door}`);
}

async function each(work: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

/** Beside each round's own: what else the machine does changes from one round to the next. */
function toText(seconds: Seconds): string {
  const against = (door: Door, other: Door): number =>
    median(seconds[door].map((took, round) => took / (seconds[other][round] ?? Number.NaN)));
  const head = [`${count} at once`, "s, each round", "per second", "of the CA issuer's time", "of the direct path's"];
  const lines = order.map((door) => {
    const took = seconds[door];
    return [
      doors[door],
      took.map((one) => one.toFixed(1)).join(" "),
      (count / median(took)).toFixed(1),
      against(door, "peer").toFixed(2),
      against(door, "direct").toFixed(1),
    ];
  });
  const widths = head.map((_, n) => Math.max(...[head, ...lines].map((line) => line[n]?.length ?? 0)));
  const table = [head, ...lines].map((line) =>
    line.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join("  "),
  );
  return `${table.join("\n")}\ngoal: no slower than the CA issuer; this run: ${against("certificates", "peer").toFixed(2)} of its time\n`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? Number.NaN) + (sorted[Math.floor(half)] ?? Number.NaN)) / 2;
}
