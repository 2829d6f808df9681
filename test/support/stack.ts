/**
 * A whole Espalier in this process: an issuer and agents on loopback with directories of their own; real TLS, real gRPC, real
 * SQLite. What is not real is the clock, which can be moved, and the clusters' token issuers.
 */
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, verify, X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { createSecureContext } from "node:tls";
import grpc from "@grpc/grpc-js";
import { type RunningAgent, startAgent } from "../../src/agent/server.ts";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { addRoot } from "../../src/controller/root.ts";
import { run } from "../../src/ctl/run.ts";
import { digests } from "../../src/custody/algorithm.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import { type RefusalCode, refusals } from "../../src/errors.ts";
import { workloadId } from "../../src/identity.ts";
import { type RunningIssuer, startIssuer } from "../../src/issuer/server.ts";
import type { Write } from "../../src/ledger/connection.ts";
import { hubLog, type LogReport } from "../../src/ledger/ledger.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { type AgentConfig, agentSchema, type IssuerConfig, issuerSchema } from "../../src/ops/config.ts";
import type { Fields, Log } from "../../src/ops/log.ts";
import { type Metrics, openMetrics } from "../../src/ops/metrics.ts";
import { readPem, toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import { loadDirectory } from "../../src/resources/load.ts";
import { type ClientTls, call, type IssuerClient, openAdmin, openIssuer } from "../../src/rpc/client.ts";
import type { JoinReply__Output } from "../../src/rpc/gen/espalier/v1/JoinReply.ts";
import type { JoinRequest } from "../../src/rpc/gen/espalier/v1/JoinRequest.ts";
import type { SignItem } from "../../src/rpc/gen/espalier/v1/SignItem.ts";
import type { SignReplies__Output } from "../../src/rpc/gen/espalier/v1/SignReplies.ts";
import type { SignReply__Output } from "../../src/rpc/gen/espalier/v1/SignReply.ts";
import type { IstioCertificateRequest } from "../../src/rpc/gen/istio/v1/auth/IstioCertificateRequest.ts";
import { IstioCertificateService } from "../../src/rpc/proto.ts";
import { createTokenIssuer, type TokenIssuer, type TokenRequest } from "./kubernetes.ts";

export const hubName = "hub.example";
export const tokenIssuerUrl = "https://kubernetes.default.svc.cluster.local";
export const daySeconds = 86_400;

/** A clock that runs with the real one, ahead of it or behind. TLS goes by the real one whatever this says. */
export interface Clock {
  now(): Date;
  offsetSeconds: number;
}

export function openClock(): Clock {
  const clock: Clock = { offsetSeconds: 0, now: () => new Date(Date.now() + clock.offsetSeconds * 1000) };
  return clock;
}

export interface Line {
  readonly level: "info" | "warn" | "error";
  readonly event: string;
  readonly fields: Fields;
  readonly cause?: unknown;
}

/** A log that is kept. */
export interface Kept extends Log {
  readonly lines: Line[];
  /** The lines of one event. */
  of(event: string): readonly Line[];
}

export function openKeptLog(): Kept {
  const lines: Line[] = [];
  return {
    lines,
    of: (event) => lines.filter((line) => line.event === event),
    info: (event, fields = {}) => void lines.push({ level: "info", event, fields }),
    warn: (event, fields = {}) => void lines.push({ level: "warn", event, fields }),
    error: (event, fields = {}, cause?: unknown) => void lines.push({ level: "error", event, fields, cause }),
  };
}

/** How often a process has refused something, by code. */
export async function refusedCounts(metrics: Metrics): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const { name, values } of await metrics.registry.getMetricsAsJSON()) {
    if (!name.endsWith("_refused_total")) continue;
    for (const { labels, value } of values)
      counts[String(labels["code"])] = (counts[String(labels["code"])] ?? 0) + value;
  }
  return counts;
}

/** Documents as a directory holds them; JSON is YAML. */
export type Document = Readonly<Record<string, unknown>>;

export function document(kind: string, name: string, spec: object): Document {
  return { apiVersion: "espalier.dev/v1alpha1", kind, metadata: { name }, spec };
}

/** Keys of clusters are made once for a test file: nothing here depends on them being fresh. */
const tokenIssuers = new Map<string, TokenIssuer>();

export function clusterTokens(cluster: string): TokenIssuer {
  const made =
    tokenIssuers.get(cluster) ?? createTokenIssuer(tokenIssuerUrl, generateKeyPairSync("ec", { namedCurve: "P-256" }));
  tokenIssuers.set(cluster, made);
  return made;
}

export function servingName(cluster: string): string {
  return `ca.${cluster}.example`;
}

export function clusterDocument(name: string, spec: object = {}): Document {
  return document("MeshCluster", name, {
    tokens: { issuer: tokenIssuerUrl, keys: { jwks: clusterTokens(name).jwks } },
    servingNames: [servingName(name), "istiod.istio-system.svc"],
    ...spec,
  });
}

/** Two tenants: `payments` in two clusters and with VMs, `media` in one. */
export function usualDocuments(): readonly Document[] {
  return [
    document("TrustRoot", "main", {}),
    document("MeshTenant", "payments", {
      trustDomain: "payments.example",
      root: "main",
      rules: [
        { name: "pods", clusters: ["east", "west"], namespaces: ["pay-*"], proofs: ["token", "certificate"] },
        { name: "vault", clusters: ["east"], namespaces: ["pay-vault"], proofs: ["token"] },
      ],
      profiles: { workload: { maximumSeconds: 60 * daySeconds } },
    }),
    document("MeshTenant", "media", {
      trustDomain: "media.example",
      root: "main",
      rules: [{ name: "pods", clusters: ["east"], namespaces: ["media"] }],
    }),
    clusterDocument("east"),
    clusterDocument("west"),
  ];
}

/** A hub's directory, as `espalier init` leaves it, with its resources and its roots. No process runs on it yet. */
export interface Site extends Disposable {
  readonly directory: string;
  readonly hubRootPem: string;
  readonly servingRootsPem: Readonly<Record<string, string>>;
  readonly config: IssuerConfig;
  readonly databasePath: string;
  declare(documents: readonly Document[]): void;
  /** How many entries the ledger has: intents and acts. */
  entries(): number;
  /** Certificates of workloads alone: agents renew their own whenever they like. */
  intents(): number;
  /** Intents without a recorded signature. */
  unrecorded(): number;
  /** All of the ledger verified, signatures included; it must hold. */
  verify(): Promise<readonly LogReport[]>;
}

export interface SiteOptions {
  readonly documents?: readonly Document[];
  /** Clusters that get a serving root. */
  readonly serving?: readonly string[];
  /** When its roots and authorities were made; so that a test can go back in time and find them there. */
  readonly bornDaysAgo?: number;
  readonly config?: Partial<IssuerConfig>;
}

export async function makeSite(options: SiteOptions = {}): Promise<Site> {
  const { documents = usualDocuments(), serving = ["east", "west"], bornDaysAgo = 0 } = options;
  const directory = mkdtempSync(join(tmpdir(), "espalier-stack-"));
  const born = new Date(Date.now() - bornDaysAgo * daySeconds * 1000);
  const now = (): Date => born;
  const code = await run(["init", "--hub", hubName, "--dir", directory], {
    stdout: () => {},
    stderr: (text) => assert.fail(text),
    isTerminal: false,
    user: "test",
    defaultSocket: "",
    now,
    signals: process,
  });
  assert.equal(code, 0);
  const config = issuerSchema.parse({
    hub: hubName,
    listen: "127.0.0.1:0",
    http: "127.0.0.1:0",
    adminSocket: join(directory, "admin.sock"),
    resources: join(directory, "resources"),
    database: join(directory, "espalier.db"),
    keys: join(directory, "keys"),
    ...options.config,
  });
  const declare = (all: readonly Document[]): void =>
    writeFileSync(join(directory, "resources", "all.yaml"), all.map((one) => JSON.stringify(one)).join("\n---\n"));
  declare(documents);
  const servingRootsPem = await makeRoots(config, serving, now);
  const count = (where: string): number => {
    const database = new DatabaseSync(config.database, { readOnly: true });
    try {
      return Number(database.prepare(`SELECT count(*) AS n FROM entries ${where}`).get()?.["n"]);
    } finally {
      database.close();
    }
  };
  return {
    directory,
    hubRootPem: readFileSync(join(directory, "hub-root.pem"), "utf8"),
    servingRootsPem,
    config,
    databasePath: config.database,
    declare,
    entries: () => count(""),
    intents: () => count(`WHERE kind = 'intent' AND log <> '${hubLog}'`),
    unrecorded: () => count("WHERE kind = 'intent' AND id NOT IN (SELECT entry FROM signatures)"),
    verify: async () => await verifyAll(config),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

async function makeRoots(
  config: IssuerConfig,
  serving: readonly string[],
  now: () => Date,
): Promise<Readonly<Record<string, string>>> {
  const declared = await loadDirectory(config.resources, { hub: config.hub });
  const custody = await openFileCustody({ directory: config.keys });
  await using database = await openSqlite({ path: config.database, now, create: false });
  const parts = { state: database.state, custody, now, random: (n: number) => randomBytes(n) };
  const by = { operator: "unix:test", reason: "test" };
  for (const { name } of declared.roots.values())
    await addRoot({ kind: "root", owner: name, algorithm: "P-256", validityDays: 3650 }, by, parts);
  await makeAuthorities(declared, parts);
  const pems: Record<string, string> = {};
  for (const owner of serving) {
    const root = await addRoot({ kind: "serving", owner, algorithm: "P-256", validityDays: 3650 }, by, parts);
    pems[owner] = toPem("CERTIFICATE", root.certificate);
  }
  return pems;
}

/** Through the operators' verb of an issuer that is not running: by the database itself. */
async function verifyAll(config: IssuerConfig): Promise<readonly LogReport[]> {
  await using database = await openSqlite({ path: config.database, now: () => new Date(), create: false });
  const records = await database.state.authorities();
  const keys = new Map(
    records.map((r) => [r.id, { key: new X509Certificate(r.certificate).publicKey, digest: digests[r.algorithm] }]),
  );
  const reports: LogReport[] = [];
  const check = (authority: string, tbs: Uint8Array, signature: Uint8Array): boolean => {
    const found = keys.get(authority);
    return found !== undefined && verify(found.digest, tbs, found.key, signature);
  };
  for await (const report of database.ledger.verify(undefined, check)) if (report.done) reports.push(report);
  assert.deepEqual(
    reports.flatMap((r) => r.faults),
    [],
  );
  return reports;
}

export interface IssuerStack extends AsyncDisposable {
  readonly site: Site;
  readonly clock: Clock;
  readonly log: Kept;
  readonly metrics: Metrics;
  readonly running: RunningIssuer;
  readonly address: string;
  /** An operator's verb. */
  suspend(kind: "tenant" | "cluster" | "workload", name: string, suspended?: boolean): Promise<void>;
  joinToken(cluster: string, keyThumbprint: string, ttlSeconds?: number): Promise<string>;
}

export interface IssuerOptions {
  readonly clock?: Clock;
  readonly write?: Write;
  readonly listen?: string;
  readonly renewalMs?: number;
}

export async function startIssuerOn(site: Site, options: IssuerOptions = {}): Promise<IssuerStack> {
  const { clock = openClock(), listen = site.config.listen } = options;
  const more = {
    ...(options.write === undefined ? {} : { write: options.write }),
    ...(options.renewalMs === undefined ? {} : { renewalMs: options.renewalMs }),
  };
  const log = openKeptLog();
  const metrics = openMetrics({ process: "issuer" });
  const parts = { now: clock.now, random: (n: number) => randomBytes(n), log, metrics, ...more };
  const running = await startIssuer({ ...site.config, listen }, parts);
  const admin = openAdmin(site.config.adminSocket);
  const act = { operator: "test", reason: "test" };
  return {
    site,
    clock,
    log,
    metrics,
    running,
    address: `127.0.0.1:${running.port}`,
    suspend: async (kind, name, suspended = true) => {
      await call<object, unknown>(admin.setSuspended.bind(admin), { act, kind, name, suspended }, 5_000);
    },
    joinToken: async (cluster, keyThumbprint, ttlSeconds = 0) => {
      const request = { act, cluster, keyThumbprint, ttlSeconds };
      const made = await call<object, { token: string }>(admin.createJoinToken.bind(admin), request, 5_000);
      return made.token;
    },
    [Symbol.asyncDispose]: async () => {
      admin.close();
      await running[Symbol.asyncDispose]();
    },
  };
}

export function agentToken(cluster: string, overrides: Partial<TokenRequest> = {}): string {
  return clusterTokens(cluster).token({
    namespace: "espalier-system",
    serviceAccount: "espalier-agent",
    audience: `espalier:${hubName}`,
    ...overrides,
  });
}

export interface AgentStack extends AsyncDisposable {
  readonly cluster: string;
  readonly log: Kept;
  readonly metrics: Metrics;
  readonly running: RunningAgent;
  /** Where its files are; an agent that is started again with it remembers. */
  readonly directory: string;
  /** The port for workloads, once it is served. */
  address(): Promise<string>;
  ready(): Promise<void>;
}

export interface AgentOptions {
  readonly clock?: Clock;
  readonly directory?: string;
  readonly issuers?: readonly string[];
  readonly config?: Partial<AgentConfig>;
  readonly tokens?: Partial<AgentConfig["tokens"]>;
}

export async function startAgentOf(site: Site, cluster: string, options: AgentOptions): Promise<AgentStack> {
  const { clock = openClock(), issuers = [] } = options;
  const directory = options.directory ?? join(site.directory, `agent-${cluster}-${randomBytes(3).toString("hex")}`);
  mkdirSync(directory, { recursive: true });
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const config = agentSchema.parse({
    hub: hubName,
    cluster,
    listen: "127.0.0.1:0",
    http: "127.0.0.1:0",
    issuers: [...issuers],
    hubRoots: file("hub-root.pem", site.hubRootPem),
    hubRootSha256: createHash("sha256")
      .update(readPem(site.hubRootPem, ["CERTIFICATE"]))
      .digest("hex"),
    data: join(directory, "data"),
    tokenFile: file("token", agentToken(cluster)),
    channelsPerIssuer: 1,
    deadlineMs: 3_000,
    ...options.config,
    tokens: {
      issuer: tokenIssuerUrl,
      jwksFile: file("jwks.json", JSON.stringify(clusterTokens(cluster).jwks)),
      ...options.tokens,
    },
  });
  const log = openKeptLog();
  const metrics = openMetrics({ process: "agent" });
  const running = await startAgent(config, { now: clock.now, log, metrics });
  return {
    cluster,
    log,
    metrics,
    running,
    directory,
    address: async () => `127.0.0.1:${await running.listening}`,
    ready: async () => {
      await eventually(async () => {
        const answer = await fetch(`http://127.0.0.1:${running.httpPort}/readyz`);
        assert.equal(answer.status, 200, await answer.text());
      });
    },
    [Symbol.asyncDispose]: async () => await running[Symbol.asyncDispose](),
  };
}

/** An issuer with ready agents; what is opened here or pushed later is closed in reverse. */
export interface Stack extends AsyncDisposable {
  readonly site: Site;
  readonly clock: Clock;
  readonly issuer: IssuerStack;
  readonly agents: Readonly<Record<string, AgentStack>>;
  agent(cluster: string): AgentStack;
  /** A workload's connection to an agent. */
  workload(cluster: string, options?: WorkloadOptions): Promise<WorkloadClient>;
  /** What a thief of a cluster's agent has: its certificate, and the issuer's address. */
  thief(cluster: string): Promise<Thief>;
  use<T extends AsyncDisposable | Disposable>(one: T): T;
}

export interface StackOptions extends SiteOptions, Pick<IssuerOptions, "write" | "renewalMs"> {
  readonly clusters?: readonly string[];
  readonly agent?: Omit<AgentOptions, "clock" | "issuers">;
}

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  await using opened = new AsyncDisposableStack();
  const clock = openClock();
  const { clusters = ["east"] } = options;
  const site = opened.use(await makeSite({ serving: clusters, ...options }));
  const issuer = opened.use(
    await startIssuerOn(site, {
      clock,
      ...(options.write === undefined ? {} : { write: options.write }),
      ...(options.renewalMs === undefined ? {} : { renewalMs: options.renewalMs }),
    }),
  );
  const agents: Record<string, AgentStack> = {};
  for (const cluster of clusters) {
    agents[cluster] = opened.use(
      await startAgentOf(site, cluster, { clock, issuers: [issuer.address], ...options.agent }),
    );
  }
  await Promise.all(Object.values(agents).map(async (one) => await one.ready()));
  const kept = opened.move();
  const agent = (cluster: string): AgentStack => {
    const found = agents[cluster];
    assert.ok(found, `no agent runs in ${cluster}`);
    return found;
  };
  return {
    site,
    clock,
    issuer,
    agents,
    agent,
    workload: async (cluster, more = {}) =>
      kept.use(openWorkload(await agent(cluster).address(), tlsOf(site, cluster), cluster, more)),
    thief: async (cluster) => kept.use(await openThief(site, issuer.address, cluster)),
    use: (one) => kept.use(one),
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

export function tlsOf(site: Site, cluster: string): ClientTls {
  return { rootsPem: site.servingRootsPem[cluster] ?? "", serverName: servingName(cluster) };
}

/** What a call came to, as a client of any language sees it. */
export type Answer =
  | { readonly status: "OK"; readonly chain: readonly string[] }
  | { readonly status: string; readonly code: string; readonly message: string };

export interface Identity {
  readonly chainPem: string;
  readonly keyPem: string;
}

export interface WorkloadOptions {
  /** A client certificate. */
  readonly identity?: Identity;
}

export interface AskOptions {
  /** Undefined for none. */
  readonly token?: string | undefined;
  readonly csr?: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly validity?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
}

export interface WorkloadClient extends Disposable {
  ask(options?: AskOptions): Promise<Answer>;
  /** Sends bytes in the place of a request message. */
  send(bytes: Uint8Array, options?: Pick<AskOptions, "token" | "headers">): Promise<Answer>;
}

/** Who asks when a test does not say. */
export const checkout = { namespace: "pay-shop", serviceAccount: "checkout" } as const;
export const checkoutId = workloadId({ trustDomain: "payments.example", ...checkout });

export function podToken(cluster = "east", overrides: Partial<TokenRequest> = {}): string {
  return clusterTokens(cluster).token({ ...checkout, ...overrides });
}

export interface NewKey {
  readonly privateKey: KeyObject;
  /** DER. */
  readonly spki: Uint8Array;
  readonly keyPem: string;
}

export function newKey(): NewKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  return { privateKey, spki, keyPem: privateKey.export({ type: "pkcs8", format: "pem" }) };
}

export function csrFor(uri: string = checkoutId, { privateKey }: Pick<NewKey, "privateKey"> = newKey()): Uint8Array {
  return toCsr({ privateKey, uri, subject: "istio" });
}

export function openWorkload(
  address: string,
  tls: ClientTls,
  cluster: string,
  { identity }: WorkloadOptions = {},
): WorkloadClient {
  const own = identity === undefined ? {} : { cert: identity.chainPem, key: identity.keyPem };
  const credentials = grpc.ChannelCredentials.createFromSecureContext(
    createSecureContext({ ca: tls.rootsPem, minVersion: "TLSv1.2", ...own }),
  );
  const client = new IstioCertificateService(address, credentials, {
    "grpc.ssl_target_name_override": tls.serverName,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 200,
  });
  const toMetadata = (token: string | undefined, headers: Readonly<Record<string, string>>): grpc.Metadata => {
    const metadata = new grpc.Metadata();
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    for (const [name, value] of Object.entries({ clusterid: cluster, ...headers })) metadata.add(name, value);
    return metadata;
  };
  return {
    ask: async (options = {}) => {
      const {
        csr = csrFor(),
        headers = {},
        validity = "0",
        metadata = { CertSigner: "" },
        deadlineMs = 15_000,
      } = options;
      const token = "token" in options ? options.token : podToken(cluster);
      const fields = Object.fromEntries(Object.entries(metadata).map(([k, v]) => [k, { stringValue: v }]));
      const request: IstioCertificateRequest = {
        csr: typeof csr === "string" ? csr : toPem("CERTIFICATE REQUEST", csr),
        validityDuration: validity,
        metadata: { fields },
      };
      return await answer((done) =>
        client.createCertificate(request, toMetadata(token, headers), { deadline: Date.now() + deadlineMs }, done),
      );
    },
    send: async (bytes, { token = podToken(cluster), headers = {} } = {}) =>
      await answer((done) =>
        client.makeUnaryRequest(
          "/istio.v1.auth.IstioCertificateService/CreateCertificate",
          (raw: Uint8Array) => Buffer.from(raw),
          () => ({ certChain: [] }),
          bytes,
          toMetadata(token, headers),
          { deadline: Date.now() + 15_000 },
          done,
        ),
      ),
    [Symbol.dispose]: () => client.close(),
  };
}

async function answer(
  make: (done: (error: grpc.ServiceError | null, reply?: { readonly certChain: readonly string[] }) => void) => unknown,
): Promise<Answer> {
  return await new Promise((resolve) => {
    make((error, reply) => resolve(error === null ? { status: "OK", chain: reply?.certChain ?? [] } : toAnswer(error)));
  });
}

function toAnswer({ code, details, metadata }: grpc.ServiceError): Exclude<Answer, { status: "OK" }> {
  const [sent = ""] = metadata.get("espalier-code");
  return { status: grpc.status[code], code: sent.toString(), message: details };
}

/** A refusal is what the table of codes says of it, in both places where a client can look. */
export function assertRefused(answered: Answer, code: RefusalCode, message?: RegExp): void {
  assert.ok("code" in answered, "it was answered with a certificate");
  assert.deepEqual(
    { code: answered.code, status: answered.status },
    { code, status: refusals[code].status },
    answered.message,
  );
  if (message !== undefined) assert.match(answered.message, message);
}

export function assertIssued(answered: Answer): readonly string[] {
  assert.ok("chain" in answered, `refused: ${JSON.stringify(answered)}`);
  return answered.chain;
}

/** A workload's certificate with its key, as it would show them. */
export function toIdentity(chain: readonly string[], { keyPem }: NewKey): Identity {
  return { chainPem: chain.slice(0, -1).join(""), keyPem };
}

export interface Thief extends Disposable {
  readonly client: IssuerClient;
  readonly identity: Identity;
  /** One item by `SignOnce`. @throws Refusal where the whole call is refused. */
  sign(item: Partial<SignItem>): Promise<SignReply__Output>;
  signAll(items: readonly SignItem[]): Promise<SignReplies__Output>;
}

export function issuerTls(site: Site, identity?: Identity): ClientTls {
  const tls = { rootsPem: site.hubRootPem, serverName: `issuer.${hubName}` };
  return identity === undefined ? tls : { ...tls, identity };
}

export async function joinHub(site: Site, address: string, request: JoinRequest): Promise<JoinReply__Output> {
  const client = openIssuer(address, issuerTls(site));
  try {
    return await call<JoinRequest, JoinReply__Output>(client.join.bind(client), request, 5_000);
  } finally {
    client.close();
  }
}

export async function openThief(site: Site, address: string, cluster: string): Promise<Thief> {
  const key = newKey();
  const csr = toCsr({ privateKey: key.privateKey });
  const { certificate } = await joinHub(site, address, { cluster, csr, token: agentToken(cluster) });
  return openThiefWith(site, address, { chainPem: toPem("CERTIFICATE", certificate), keyPem: key.keyPem });
}

export function openThiefWith(site: Site, address: string, identity: Identity): Thief {
  const client = openIssuer(address, issuerTls(site, identity));
  const signAll = async (items: readonly SignItem[]): Promise<SignReplies__Output> =>
    await call<object, SignReplies__Output>(client.signOnce.bind(client), { items }, 15_000);
  return {
    client,
    identity,
    signAll,
    sign: async (item) => {
      const { replies } = await signAll([{ id: 1, csr: csrFor(), deadlineMs: 5_000, ...item }]);
      const [reply] = replies;
      assert.ok(reply);
      return reply;
    },
    [Symbol.dispose]: () => client.close(),
  };
}

/** Until it no longer throws. */
export async function eventually<T>(look: () => T | Promise<T>, withinMs = 10_000): Promise<T> {
  const end = Date.now() + withinMs;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (Date.now() > end) throw error;
      await delay(15);
    }
  }
}

export type Traced = Pick<Stack, "site" | "issuer" | "agent">;

/** Everything a refusal leaves behind, counted before and after. */
export interface Traces {
  readonly agentLines: number;
  readonly issuerLines: number;
  readonly agentCounts: Readonly<Record<string, number>>;
  readonly issuerCounts: Readonly<Record<string, number>>;
  readonly entries: number;
}

export async function traces(stack: Traced, cluster = "east"): Promise<Traces> {
  const agent = stack.agent(cluster);
  return {
    agentLines: agent.log.lines.length,
    issuerLines: stack.issuer.log.lines.length,
    agentCounts: await refusedCounts(agent.metrics),
    issuerCounts: await refusedCounts(stack.issuer.metrics),
    entries: stack.site.entries(),
  };
}

/**
 * That a request which was just refused left one line and one count under its code at the agent, the same at the issuer where
 * it got that far and nothing there where it did not, and nothing in the ledger.
 */
export async function assertTraces(
  stack: Traced,
  before: Traces,
  code: RefusalCode,
  at: "agent" | "issuer",
  cluster = "east",
): Promise<void> {
  const after = await traces(stack, cluster);
  const line = (kept: Kept, from: number): unknown =>
    kept.lines.slice(from).map(({ event, fields }) => ({ event, code: fields["code"] }));
  const expected = [{ event: "refused", code }];
  assert.deepEqual(line(stack.agent(cluster).log, before.agentLines), expected, "the agent's log");
  assert.deepEqual(line(stack.issuer.log, before.issuerLines), at === "issuer" ? expected : [], "the issuer's log");
  const counted = (counts: Readonly<Record<string, number>>): object => ({
    ...counts,
    [code]: (counts[code] ?? 0) + 1,
  });
  assert.deepEqual(after.agentCounts, counted(before.agentCounts), "the agent's metric");
  assert.deepEqual(
    after.issuerCounts,
    at === "issuer" ? counted(before.issuerCounts) : before.issuerCounts,
    "the issuer's metric",
  );
  assert.equal(after.entries, before.entries, "the ledger");
}

export function ago(seconds: number): Date {
  return new Date(Date.now() - seconds * 1000);
}

/** With the clock moved, forward or back. */
export async function moved(clock: Clock, seconds: number, work: () => Promise<void>): Promise<void> {
  clock.offsetSeconds += seconds;
  try {
    await work();
  } finally {
    clock.offsetSeconds -= seconds;
  }
}
