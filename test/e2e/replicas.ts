/**
 * A hub of several issuers on a PostgreSQL server, with keys sealed in its database. The server runs beside the test, where pods reach
 * it. The tests go on from each other, in this order.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { password, type Server, startPostgres } from "../support/postgres.ts";
import { apply, helm, kubectl } from "./cluster.ts";
import { agentRelease, documents, hubName, hubVerb, issuerRelease, openFolder, waiting } from "./release.ts";
import { given, namespace, request, restrict, start, underLoad } from "./workload.ts";

const { ESPALIER_E2E_ADDRESS: address } = process.env;
if (address === undefined) throw new Error("ESPALIER_E2E_ADDRESS is not set: at which address pods reach this machine");
const hubs = "espalier-hub";
const system = "espalier-system";
const agent = `espalier-agent.${system}.svc:15012`;
const frontend = "spiffe://shop.example/ns/shop/sa/frontend";
const secrets = "/var/run/secrets/espalier";
const stack = new AsyncDisposableStack();
const folder = stack.use(await openFolder());
const server = stack.use(await startServer());
const { port, database } = await server.database();

before(async () => {
  for (const one of [hubs, system, "istio-system", "shop"]) await apply(namespace(one));
  for (const one of [hubs, system]) await restrict(one);
  const ca = readFileSync(join(server.directory, "data", "server.crt"), "utf8");
  await secret("database", { password, "ca.crt": ca });
  await secret("sealing", { key: `${randomBytes(32).toString("base64")}\n` });
});
after(async () => await stack.disposeAsync());

/** Who is not on this machine comes by TLS, and knows the server by its certificate. */
async function startServer(): Promise<Server> {
  const started = await startPostgres();
  const file = (name: string): string => join(started.directory, "data", name);
  const make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const subject = ["-subj", "/CN=database", "-addext", `subjectAltName=IP:${address}`];
  execFileSync("openssl", [...make, ...subject, "-keyout", file("server.key"), "-out", file("server.crt")], {
    stdio: "ignore",
  });
  appendFileSync(file("pg_hba.conf"), "hostssl all espalier 0.0.0.0/0 scram-sha-256\n");
  await started.stop();
  started.own();
  await started.start("ssl=on", "listen_addresses=*");
  return started;
}

async function secret(name: string, stringData: Readonly<Record<string, string>>): Promise<void> {
  await apply(JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name, namespace: hubs }, stringData }));
}

function release(...values: readonly string[]): readonly string[] {
  const all = [
    `database=postgres://espalier@${address}:${port}/${database}`,
    `postgres.passwordFile=${secrets}/database/password`,
    `postgres.caFile=${secrets}/database/ca.crt`,
    // There is one server, and it goes with the test.
    "postgres.synchronousStandby=false",
    `custody.sealed.keyFile=${secrets}/sealing/key`,
    "secrets={database,sealing}",
    `networkPolicy.egressPorts={443,6443}`,
    ...values,
  ];
  return [...issuerRelease({ name: "hub", namespace: hubs, values: all }), ...waiting];
}

/** Those that stay: behind an upgrade the ones of before still run for a while. */
async function pods(): Promise<readonly string[]> {
  const running = "--field-selector=status.phase=Running";
  const staying = "{{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}";
  const names = await kubectl("-n", hubs, "get", "pods", running, "-o", `go-template=${staying}`);
  return names.trim().split(" ");
}

async function rootsAt(workload: string): Promise<readonly { kind: string; sha256: string }[]> {
  return JSON.parse(await hubVerb(hubs, workload, "root", "list", "-o", "json"));
}

test("of replicas that start at once on an empty database one makes the hub, and all have it", async () => {
  await helm("install", ...release("replicas=3"));
  const all = await pods();
  assert.equal(all.length, 3);
  for (const pod of all) {
    const roots = await rootsAt(pod);
    assert.deepEqual(
      roots.map(({ kind }) => kind),
      ["hub"],
    );
    assert.deepEqual(roots, await rootsAt(all[0] ?? ""));
  }
  assert.equal(await kubectl("-n", hubs, "get", "pvc,statefulsets", "-o", "name"), "");
  assert.equal(await kubectl("-n", hubs, "get", "pdb", "-o", "name"), "poddisruptionbudget.policy/hub\n");
});

test("a pod is served, whichever replica its agent has", async () => {
  const verb = async (...words: readonly string[]) => await hubVerb(hubs, "deploy/hub", ...words, "--reason", "e2e");
  await apply(await documents("e2e"));
  await kubectl("wait", "--for=condition=Accepted", "trustroot/main", "meshcluster/e2e", "--timeout=180s");
  await verb("root", "create", "main");
  await verb("root", "create", "--serving", "e2e");
  await kubectl("wait", "--for=condition=Ready", "meshtenant/shop", "--timeout=180s");
  const hubRoot = await folder.put("hub-root.pem", await hubVerb(hubs, "deploy/hub", "root", "show", hubName));
  const values = ["cluster=e2e", `issuers={hub.${hubs}.svc:15443}`];
  await helm("install", ...agentRelease({ name: "espalier-agent", namespace: system, values }, hubRoot), ...waiting);
  await start("shop/frontend");
  given(await request(agent, "shop/frontend"), frontend);
});

test("an upgrade of the hub, and the end of a replica, are missed by nobody", async () => {
  const before = await rootsAt("deploy/hub");
  await underLoad(agent, async () => await helm("upgrade", ...release("replicas=2", "log=warn")), 30);
  const [first = ""] = await pods();
  await underLoad(
    agent,
    async () => await kubectl("-n", hubs, "delete", "pod", first, "--force", "--grace-period=0"),
    12,
  );
  await kubectl("-n", hubs, "rollout", "status", "deployment/hub", "--timeout=300s");
  assert.deepEqual(await rootsAt("deploy/hub"), before);
  await hubVerb(hubs, "deploy/hub", "ledger", "verify");
});
