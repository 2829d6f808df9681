/** The command line in this process, with what it said; and an issuer and an agent for it to talk to, in a folder of their own. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type RunningAgent, startAgent } from "../../src/agent/server.ts";
import { run } from "../../src/ctl/run.ts";
import { startIssuer } from "../../src/issuer/server.ts";
import { readAgentConfig, readIssuerConfig } from "../../src/ops/config.ts";
import { silentLog } from "../../src/ops/log.ts";
import { openMetrics } from "../../src/ops/metrics.ts";
import { read } from "../repo/sources.ts";
import { type Document, document } from "../support/documents.ts";
import { type Kept, openKeptLog } from "../support/kept-log.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/kubernetes.ts";

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What runs on is heard meanwhile. */
export async function espalier(
  argv: readonly string[],
  socket = "/nowhere/admin.sock",
  heard: (text: string) => void = () => {},
): Promise<Said> {
  let stdout = "";
  let stderr = "";
  const code = await run(argv, {
    stdout: (text) => {
      stdout += text;
      heard(text);
    },
    stderr: (text) => {
      stderr += text;
    },
    isTerminal: false,
    user: "alice",
    defaultSocket: socket,
    now: () => new Date(),
    signals: {
      on: () => undefined,
      exit: () => {
        throw new Error("exit");
      },
    },
  });
  return { code, stdout, stderr };
}

export interface Folder extends AsyncDisposable {
  readonly path: string;
  at(name: string): string;
  put(name: string, text: string): Promise<string>;
}

export async function openFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "espalier-ctl-"));
  return {
    path,
    at: (name) => join(path, name),
    put: async (name, text) => {
      await writeFile(join(path, name), text, { mode: 0o600 });
      return join(path, name);
    },
    [Symbol.asyncDispose]: async () => await rm(path, { recursive: true, force: true }),
  };
}

/** The lines that a document has indented, from the first that begins so to the next one that ends so. */
export function linesOf(document: string, first: string, last: string): string {
  const lines = read(document).split("\n");
  const start = lines.findIndex((line) => line.startsWith(`    ${first}`));
  const end = lines.findIndex((line, at) => at >= start && line.endsWith(last));
  assert.ok(start >= 0 && end >= start, first);
  return lines
    .slice(start, end + 1)
    .map((line) => line.slice(4))
    .join("\n");
}

export const hub = "hub.example";
export const resources = `
apiVersion: espalier.dev/v1alpha1
kind: TrustRoot
metadata: { name: main }
---
apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata: { name: east }
spec:
  tokens: { issuer: https://east.example, keys: { jwksFile: east.json } }
  servingNames: [localhost]
---
apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata: { name: west }
spec:
  tokens: { issuer: https://west.example, keys: { joined: true } }
  servingNames: [west.example]
---
apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: shop }
spec:
  trustDomain: shop.example
  root: main
  rules: [{ name: workloads, clusters: [east], namespaces: [shop] }]
`;

/** The one cluster of most hubs of these tests. */
export function eastDocument(keys: object = { jwksFile: "east.json" }): Document {
  return document("MeshCluster", "east", {
    tokens: { issuer: "https://east.example", keys },
    servingNames: ["localhost"],
  });
}

/** An issuer with these documents, and nothing made but its hub. */
export interface Hub extends AsyncDisposable {
  readonly folder: Folder;
  readonly port: number;
  readonly log: Kept;
  say(...argv: readonly string[]): Promise<Said>;
}

/** `settings` is an issuer.yaml that is there before `init`. */
export async function openHub(
  documents: string,
  beside: Readonly<Record<string, string>> = {},
  settings?: string,
): Promise<Hub> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await openFolder());
  const socket = folder.at("hub/admin.sock");
  const say = async (...argv: readonly string[]): Promise<Said> => await espalier(argv, socket);
  if (settings !== undefined) {
    await mkdir(folder.at("hub"), { mode: 0o700 });
    await folder.put("hub/issuer.yaml", settings);
  }
  await say("init", "--hub", hub, "--dir", folder.at("hub"));
  await folder.put("hub/resources/mesh.yaml", documents);
  for (const [name, text] of Object.entries(beside)) await folder.put(`hub/resources/${name}`, text);
  const config = await readIssuerConfig(folder.at("hub/issuer.yaml"));
  const log = openKeptLog();
  const issuer = stack.use(
    await startIssuer(
      { ...config, listen: "127.0.0.1:0", http: "127.0.0.1:0" },
      {
        now: () => new Date(),
        log,
        metrics: openMetrics({ process: "issuer" }),
        random: (n) => crypto.getRandomValues(new Uint8Array(n)),
      },
    ),
  );
  const opened = stack.move();
  return { folder, port: issuer.port, log, say, [Symbol.asyncDispose]: async () => await opened.disposeAsync() };
}

export interface Stage extends AsyncDisposable {
  readonly folder: Folder;
  readonly east: TokenIssuer;
  readonly west: TokenIssuer;
  /** Of the agent of east. */
  readonly agent: string;
  readonly rootFile: string;
  say(...argv: readonly string[]): Promise<Said>;
}

export interface StageOptions {
  /** A root that they have as brought is for the test to bring. */
  readonly documents?: string;
  /** As `openHub` has it. */
  readonly settings?: string;
}

export async function openStage({ documents = resources, settings }: StageOptions = {}): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const east = createTokenIssuer("https://east.example");
  const {
    folder,
    port: issuerPort,
    say,
  } = stack.use(await openHub(documents, { "east.json": JSON.stringify(east.jwks) }, settings));
  await say("root", "create", "main");
  await say("root", "create", "--serving", "east");

  const agent: RunningAgent = stack.use(await startEast(folder, east, issuerPort));
  const port = await agent.listening;
  // The sequencer gives entries their positions a second behind.
  while ((await say("ledger", "show", "@hub/0")).code !== 0) await delay(100);
  const opened = stack.move();
  return {
    folder,
    east,
    west: createTokenIssuer("https://west.example"),
    agent: `localhost:${port}`,
    rootFile: folder.at("data/root-cert.pem"),
    say,
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

async function startEast(folder: Folder, east: TokenIssuer, port: number): Promise<RunningAgent> {
  const account = { namespace: "espalier-system", serviceAccount: "espalier-agent", audience: `espalier:${hub}` };
  await folder.put("agent.token", east.token(account));
  await folder.put("east.json", JSON.stringify(east.jwks));
  const file = await folder.put(
    "agent.yaml",
    `hub: ${hub}
cluster: east
listen: 127.0.0.1:0
http: 127.0.0.1:0
issuers: [127.0.0.1:${port}]
hubRoots: hub/hub-root.pem
data: data
tokenFile: agent.token
tokens: { issuer: https://east.example, jwksFile: east.json }
`,
  );
  const metrics = openMetrics({ process: "agent" });
  return await startAgent(await readAgentConfig(file), { now: () => new Date(), log: silentLog, metrics });
}
