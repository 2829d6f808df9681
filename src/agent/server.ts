/** Starts an agent: it joins, follows the cluster's trust, gets its serving certificate, and then serves Istio's protocol. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { Refusal } from "../errors.ts";
import type { AgentConfig } from "../ops/config.ts";
import { startHttp } from "../ops/http.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import { readPemAll } from "../pki/pem.ts";
import type { ClientTls } from "../rpc/client.ts";
import { startKeySet } from "../token/jwks-source.ts";
import { openCheck } from "./check.ts";
import { openDoor } from "./door.ts";
import { openHub } from "./hub.ts";
import { join } from "./join.ts";
import type { KeyPair } from "./key-pair.ts";
import { type Renewal, startRenewal } from "./renewal.ts";
import { istioService, tellRefused } from "./service.ts";
import { getServing, isUnder } from "./serving.ts";
import { openStore } from "./store.ts";
import { startTrust } from "./trust.ts";

export interface AgentParts {
  readonly now: () => Date;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface RunningAgent extends AsyncDisposable {
  /** The port that workloads use; waits until it is served. */
  readonly listening: Promise<number>;
  readonly httpPort: number;
  unready(): void;
}

const keysRefreshMs = 60_000;

/** Returns once /readyz answers; the rest goes on by itself, and comes back by itself after an outage. */
export async function startAgent(config: AgentConfig, { now, log, metrics }: AgentParts): Promise<RunningAgent> {
  await using stack = new AsyncDisposableStack();
  const store = await openStore(config.data);
  const hubRootsPem = await readHubRoots(config);
  const keys = stack.use(await startTokenKeys(config, log));
  let identity: KeyPair | undefined;
  let serving: Renewal | undefined;
  let stopping = false;
  const serverName = config.issuerName ?? `issuer.${config.hub}`;
  const asAgent = (): ClientTls | undefined =>
    identity === undefined ? undefined : { rootsPem: hubRootsPem, serverName, identity };
  const toHub = { addresses: config.issuers, tls: asAgent, now, log };

  const hub = stack.use(
    openHub({ ...toHub, channelsPerIssuer: config.channelsPerIssuer, deadlineMs: config.deadlineMs }),
  );
  const check = openCheck({ now, onFault: (error) => log.error("the issuer's answer did not verify", {}, error) });
  const tokens = { ...config.tokens, keys: () => keys.keys() };
  const parts = { ...config, tokens, hub, check, now, log, metrics };
  const door = stack.use(
    openDoor(config.listen, {
      service: istioService(parts),
      onUnreadable: (_, refusal) => void tellRefused(refusal, parts),
      log,
    }),
  );

  const trust = stack.use(
    await startTrust({
      ...toHub,
      store,
      agent: hostname().toLowerCase(),
      onTrust: async (next) => {
        // For those who connect to this agent: what Istio calls istio-ca-root-cert.
        await store.write("root-cert.pem", next.servingRootsPem, 0o644);
        door.trust(next.tenants.map((t) => t.rootsPem).join("") + next.servingRootsPem);
        const pair = serving?.current();
        if (pair !== undefined && !isUnder(pair, next)) serving?.renewNow();
      },
    }),
  );
  const own = stack.use(
    await startRenewal({
      name: "agent.pem",
      get: async () =>
        await join(
          { ...config, jwksFile: config.tokens.jwksFile },
          { tls: { rootsPem: hubRootsPem, serverName }, hubRoots: readPemAll(hubRootsPem), now },
        ),
      onNew: (pair) => {
        identity = pair;
        hub.reconnect();
        trust.reconnect();
      },
      store,
      now,
      log,
    }),
  );
  serving = stack.use(
    await startRenewal({
      name: "serving.pem",
      get: async () => await getServing(hub, trust.current(), now),
      onNew: (pair) => door.serve(pair),
      store,
      now,
      log,
    }),
  );

  /** What a human would look at, in that order. */
  const waitingFor = (): string[] => [
    ...(stopping ? ["shutdown"] : []),
    ...(keys.keys().length === 0 ? ["the cluster's token keys"] : []),
    ...(own.current() === undefined ? ["a certificate from the hub (join)"] : []),
    ...(trust.current() === undefined ? ["the cluster's trust from the hub"] : []),
    ...(serving?.current() === undefined ? ["a serving certificate (has its serving root been created?)"] : []),
    ...(hub.connected() === 0 ? ["a connection to an issuer"] : []),
  ];
  metrics.gauge("issuer_connections", "Connections to issuers that can take requests.", () => hub.connected());
  const http = stack.use(await startHttp(config.http, { metrics, waitingFor }));
  log.info("agent started", { cluster: config.cluster, http: http.port });
  const opened = stack.move();
  return {
    listening: door.listening,
    httpPort: http.port,
    unready: () => {
      stopping = true;
    },
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

/** PEM. The hash comes with the configuration, so that a swapped file is noticed. */
async function readHubRoots(config: AgentConfig): Promise<string> {
  const pem = await readFile(config.hubRoots, "utf8").catch((cause: unknown) => {
    throw new Refusal("config", `hubRoots: cannot read ${config.hubRoots}`, { cause });
  });
  const roots = readPemAll(pem);
  const wanted = config.hubRootSha256;
  const stands =
    wanted === undefined || roots.some((root) => createHash("sha256").update(root).digest("hex") === wanted);
  if (!stands || (wanted !== undefined && roots.length > 1))
    throw new Refusal("config", "hubRootSha256: the hub root in hubRoots is another one");
  return pem;
}

async function startTokenKeys(config: AgentConfig, log: Log): ReturnType<typeof startKeySet> {
  const { jwksFile, caFile, issuer } = config.tokens;
  const caPem = caFile === undefined ? {} : { caPem: await readFile(caFile, "utf8") };
  const source =
    jwksFile === undefined
      ? ({ kind: "issuer", url: issuer, ...caPem } as const)
      : ({ kind: "file", path: jwksFile } as const);
  return await startKeySet(source, {
    refreshMs: keysRefreshMs,
    onFailure: (error) => log.error("token keys not had", {}, error),
  });
}
