/** Two issuers on one database, as processes, with an agent that reaches both. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryDirectory } from "../contract/directory.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { password, startPostgres } from "../support/postgres.ts";
import { type Daemon, espalier, type Finished, freePort, startDaemon } from "../support/processes.ts";

const hub = "hub.example";
const resources = `
apiVersion: espalier.dev/v1alpha1
kind: TrustRoot
metadata: { name: main }
---
apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: shop }
spec:
  trustDomain: shop.example
  root: main
  rules: [{ name: pods, clusters: [east], namespaces: [shop] }]
---
apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata: { name: east }
spec:
  tokens: { issuer: "https://east.example", keys: { jwksFile: east.json } }
  servingNames: [localhost]
`;

const base = temporaryDirectory();
const server = await startPostgres();
const daemons = new AsyncDisposableStack();
after(async () => {
  await daemons.disposeAsync();
  await server[Symbol.asyncDispose]();
  base[Symbol.dispose]();
});
const east = createTokenIssuer("https://east.example");
const at = (...names: readonly string[]) => join(base.path, ...names);
const socket = (name: string) => at("hub", `${name}.sock`);

async function say(name: string, ...args: readonly string[]): Promise<Finished> {
  const said = await espalier(args, { ESPALIER_ADMIN_SOCKET: socket(name), USER: "ada" });
  assert.equal(said.code, 0, said.stderr);
  return said;
}

/** Every replica has a file of its own, and keys, documents and database in common. */
async function writeIssuer(name: string, port: number, database: string): Promise<string> {
  const file = at("hub", name === "first" ? "issuer.yaml" : `${name}.yaml`);
  await writeFile(
    file,
    `hub: ${hub}
listen: 127.0.0.1:${port}
http: 127.0.0.1:0
adminSocket: ${name}.sock
database: postgres://espalier@127.0.0.1:${server.port}/${database}
postgres: { passwordFile: database-password, tls: false, synchronousStandby: false, statementTimeoutMs: 1000 }
`,
  );
  return file;
}

async function startIssuer(file: string): Promise<Daemon> {
  const daemon = daemons.use(startDaemon(["issuer", "run", "--config", file]));
  await daemon.event("issuer ready");
  return daemon;
}

/** With nothing else to go by, an agent takes the first of its issuers. */
async function startAgent(name: string, ports: readonly number[]): Promise<string> {
  const account = { namespace: "espalier-system", serviceAccount: "espalier-agent", audience: `espalier:${hub}` };
  await writeFile(at("agent.token"), east.token(account));
  await writeFile(at("east.json"), JSON.stringify(east.jwks));
  const port = await freePort();
  await writeFile(
    at(`${name}.yaml`),
    `hub: ${hub}
cluster: east
listen: 127.0.0.1:${port}
http: 127.0.0.1:0
issuers: [${ports.map((one) => `"127.0.0.1:${one}"`).join(", ")}]
hubRoots: hub/hub-root.pem
data: ${name}
tokenFile: agent.token
deadlineMs: 5000
channelsPerIssuer: 1
tokens: { issuer: "https://east.example", jwksFile: east.json }
`,
  );
  const daemon = daemons.use(startDaemon(["agent", "run", "--config", at(`${name}.yaml`)]));
  await daemon.event("serving workloads");
  return `localhost:${port}`;
}

interface Listed {
  readonly log: string;
  readonly position?: number;
  readonly kind: string;
  readonly body: Readonly<Record<string, string>>;
}

async function intents(name: string): Promise<readonly Listed[]> {
  const said = await say(name, "ledger", "list", "--log", "shop", "-o", "json");
  const listed: readonly Listed[] = JSON.parse(said.stdout);
  return listed.filter(({ kind }) => kind === "intent");
}

test("two issuers share a PostgreSQL ledger: leaves from both, one order, one that leads and another that takes over", async (t) => {
  const { database } = await server.database();
  await mkdir(at("hub", "resources"), { recursive: true, mode: 0o700 });
  await writeFile(at("hub", "database-password"), `${password}\n`, { mode: 0o600 });
  const ports = [await freePort(), await freePort()];
  const files = [
    await writeIssuer("first", ports[0] ?? 0, database),
    await writeIssuer("second", ports[1] ?? 0, database),
  ];
  await say("first", "init", "--hub", hub, "--dir", at("hub"));
  await writeFile(at("hub", "resources", "mesh.yaml"), resources);
  await writeFile(at("hub", "resources", "east.json"), JSON.stringify(east.jwks));

  const first = await startIssuer(files[0] ?? "");
  await say("first", "root", "create", "main");
  await say("first", "root", "create", "--serving", "east");
  const second = await startIssuer(files[1] ?? "");
  const agents = [await startAgent("one", ports), await startAgent("two", ports.toReversed())];
  let asked = 0;
  const request = async (): Promise<void> => {
    await writeFile(
      at("workload.token"),
      east.token({ namespace: "shop", serviceAccount: "web", audience: "istio-ca" }),
    );
    const out = at(`out-${(asked += 1)}`);
    const files = ["--token-file", at("workload.token"), "--ca", at("one", "root-cert.pem"), "--out", out];
    await say("first", "request", "--agent", agents[asked % 2] ?? "", ...files, "--trust-domain", "shop.example");
  };
  const issuedBy = (daemon: Daemon): number =>
    daemon.lines.filter((line) => line["event"] === "issued" && line["tenant"] === "shop").length;

  await t.test("an agent's requests are served by both", async () => {
    for (let tries = 0; tries < 20 && (issuedBy(first) === 0 || issuedBy(second) === 0); tries += 1) {
      await Promise.all([request(), request()]);
      await delay(200);
    }
    assert.ok(issuedBy(first) > 0 && issuedBy(second) > 0, `${issuedBy(first)} and ${issuedBy(second)}`);
    assert.equal((await intents("second")).length, asked);
  });

  await t.test("a suspension at one holds at the other, and so does its end", async () => {
    await say("first", "tenant", "suspend", "shop", "--reason", "test");
    await assert.rejects(request(), /suspended/);
    await say("second", "tenant", "resume", "shop", "--reason", "test");
    for (let tries = 0; tries < 20; tries += 1) {
      try {
        await request();
        return;
      } catch {
        await delay(250);
      }
    }
    assert.fail("it stayed suspended");
  });

  await t.test("the one that leads is killed: the other serves, and takes its place", async () => {
    await first.stop("SIGKILL");
    await request();
    const before = (await intents("second")).length;
    for (let tries = 0; tries < 100; tries += 1) {
      const placed = (await intents("second")).filter(({ position }) => position !== undefined);
      if (placed.length === before) break;
      await delay(250);
    }
    const positions = (await intents("second")).map(({ position }) => position);
    assert.ok(!positions.includes(undefined), positions.join());
    assert.equal(new Set(positions).size, positions.length);
  });

  await t.test(
    "the server is killed and comes back: UNAVAILABLE meanwhile, and then it goes on by itself",
    async () => {
      await server.stop("SIGKILL");
      await assert.rejects(request(), /cannot be used now|UNAVAILABLE|unavailable|did not/);
      await server.start();
      for (let tries = 0; ; tries += 1) {
        try {
          await request();
          break;
        } catch (error) {
          if (tries > 20) throw error;
          await delay(250);
        }
      }
      assert.equal(second.child.exitCode, null);
    },
  );

  await t.test("the first one is back, and the whole ledger holds", async () => {
    await startIssuer(files[0] ?? "");
    const verified = JSON.parse((await say("first", "ledger", "verify", "-o", "json")).stdout);
    assert.equal(verified.sound, true, JSON.stringify(verified.logs));
  });
});
