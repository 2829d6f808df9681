/**
 * A whole Espalier in this process: an issuer and agents on loopback with directories of their own; real TLS, real gRPC, real
 * SQLite. What is not real is the clock, which can be moved, and the clusters' token issuers.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RunningAgent, startAgent } from "../../src/agent/server.ts";
import { type RunningIssuer, startIssuer } from "../../src/issuer/server.ts";
import type { Write } from "../../src/ledger/connection.ts";
import { type AgentConfig, agentSchema } from "../../src/ops/config.ts";
import { type Metrics, openMetrics } from "../../src/ops/metrics.ts";
import { readPem } from "../../src/pki/pem.ts";
import { call, openAdmin } from "../../src/rpc/client.ts";
import { type Clock, openClock } from "./clock.ts";
import { agentToken, clusterTokens, hubName, tokenIssuerUrl } from "./documents.ts";
import { type Kept, openKeptLog } from "./kept-log.ts";
import { callMs, eventually } from "./patience.ts";
import { makeSite, type Site, type SiteOptions } from "./site.ts";
import { openThief, type Thief } from "./thief.ts";
import { openWorkload, tlsOf, type WorkloadClient, type WorkloadOptions } from "./workload.ts";

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
      await call<object, unknown>(admin.setSuspended.bind(admin), { act, kind, name, suspended }, callMs);
    },
    joinToken: async (cluster, keyThumbprint, ttlSeconds = 0) => {
      const request = { act, cluster, keyThumbprint, ttlSeconds };
      const made = await call<object, { token: string }>(admin.createJoinToken.bind(admin), request, callMs);
      return made.token;
    },
    [Symbol.asyncDispose]: async () => {
      admin.close();
      await running[Symbol.asyncDispose]();
    },
  };
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
