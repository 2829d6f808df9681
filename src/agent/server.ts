/** Starts an agent: it joins, follows the cluster's trust, gets its serving certificate, and then serves Istio's protocol. */
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import type { AgentConfig } from "../ops/config.ts";
import { startHttp } from "../ops/http.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import { toJwks } from "../token/jwk.ts";
import { type JwksSource, type KeySet, startKeySet } from "../token/jwks-source.ts";
import { type Check, openCheck } from "./check.ts";
import { type ClusterApi, openClusterApi } from "./cluster-api.ts";
import { type Door, openDoor } from "./door.ts";
import { type ChainEnds, openChainEnds } from "./ends.ts";
import { addGauges } from "./gauges.ts";
import { type Hub, openHub } from "./hub.ts";
import { type HubRoots, hashesOf, openHubRoots, readHubRoots } from "./hub-roots.ts";
import type { KeptTrust } from "./kept-trust.ts";
import type { KeyPair } from "./key-pair.ts";
import { type LeafEnds, openLeafEnds } from "./leaf-ends.ts";
import { type Own, openOwn } from "./own.ts";
import { openProof } from "./proof.ts";
import { type Renewal, startRenewal } from "./renewal.ts";
import { startRequests } from "./requests.ts";
import { istioService, tellRefused } from "./service.ts";
import { getServing, isCurrent } from "./serving.ts";
import { openStore, type Store } from "./store.ts";
import { startTrust, type TrustWatch } from "./trust.ts";
import { openUnsettled } from "./unsettled.ts";

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

/** What the pieces share while they start one after the other. */
interface Agent extends AgentParts {
  readonly config: AgentConfig;
  readonly store: Store;
  readonly api: ClusterApi | undefined;
  readonly keys: KeySet;
  readonly hub: Hub;
  readonly hubRoots: HubRoots;
  readonly door: Door;
  /** Certificates that must be under the cluster's serving root and have its names: the agent's, and istiod's where it is ours. */
  readonly serving: Set<Renewal>;
}

const keysRefreshMs = 60_000;
/** How often is looked whether this agent's certificate is by a hub root of before. */
const moveOverMs = 60_000;

/** Returns once /readyz answers; the rest goes on by itself, and comes back by itself after an outage. */
export async function startAgent(config: AgentConfig, parts: AgentParts): Promise<RunningAgent> {
  const { now, log, metrics } = parts;
  await using stack = new AsyncDisposableStack();
  let waitingFor = (): readonly string[] => ["start"];
  let stopping = false;
  const http = stack.use(
    await startHttp(config.http, { metrics, waitingFor: () => [...(stopping ? ["shutdown"] : []), ...waitingFor()] }),
  );
  const hubRoots = openHubRoots(await readHubRoots(config));
  let trust: TrustWatch | undefined;
  const servingRootsPem = (): string => trust?.current()?.servingRootsPem ?? "";
  const onOverwritten = metrics.counter("trust_overwritten_total", "Foreign roots overwritten in a namespace.");
  const seen = { now, log, servingRootsPem, onOverwritten };
  const api = config.kubernetes && stack.use(await openClusterApi(config.kubernetes, seen));
  const store = api?.store ?? (await openStore(config.data));
  const keys = stack.use(await startTokenKeys(config, api, log, () => trust?.propose()));
  const own = openOwn(config, { hubRoots, keys, store, now, log });
  const toHub = { addresses: config.issuers, tls: own.tls, now, log };
  const hub = stack.use(
    openHub({ ...toHub, channelsPerIssuer: config.channelsPerIssuer, deadlineMs: config.deadlineMs }),
  );
  const ends = openChainEnds(now);
  const leafEnds = openLeafEnds(now);
  const door = stack.use(openWorkloadDoor(config, { ...parts, keys, hub, api, ends, leafEnds }));
  const agent: Agent = { ...parts, config, store, api, keys, hub, hubRoots, door, serving: new Set() };

  // Whoever was asked may not have heard of it yet.
  const moving = setInterval(() => trust?.current()?.hubRoots !== undefined && own.moveOver(), moveOverMs);
  stack.defer(() => clearInterval(moving));
  trust = stack.use(
    await startTrust({
      ...toHub,
      store,
      hubRoots,
      agent: hostname().toLowerCase(),
      jwks: () => toJwks(keys.keys()),
      onTrust: async (next) => {
        await putInForce(next, agent);
        if (next.hubRoots !== undefined) own.moveOver();
      },
      onRefused: own.refused,
      lacking: () => api?.lacking() ?? [],
      everywhere: async (next) => (api === undefined ? now() : await api.distribute(next)),
      wholeCluster: api !== undefined,
    }),
  );
  const onNew = (): void => {
    hub.reconnect();
    trust?.reconnect();
  };
  stack.use(await own.start(onNew));
  const serving = stack.use(await startServing("serving.pem", store, (pair) => door.serve(pair), agent, trust));
  const requests = { cluster: config.cluster, hub, openUnsettled: openUnsettled(parts), trust: () => trust?.current() };
  api?.elect(async (leading) => {
    const kept = await trust?.catchUp();
    // With the hub away too: namespaces go on appearing, and their pods wait for it.
    if (kept !== undefined)
      api
        .distribute(kept)
        .catch((error: unknown) => log.error("trust not put in force", { version: kept.version }, error));
    // Said again by the hub, it is acknowledged by this one: another agent may have put it in force and gone.
    trust?.reconnect();
    await using duties = new AsyncDisposableStack();
    for (const { name, store } of api.istiods) duties.use(await startServing(name, store, () => {}, agent, trust));
    const { certManager = false, signingRequests = false } = config.kubernetes ?? {};
    if (certManager || signingRequests)
      duties.use(startRequests({ ...parts, ...leading, ...requests, doors: { certManager, signingRequests } }));
    return duties.move();
  });

  waitingFor = () => whatIsMissing(agent, own, trust, serving);
  addGauges(metrics, { ...agent, own, trust, serving, ends, leafEnds });
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

async function startTokenKeys(
  { tokens }: AgentConfig,
  api: ClusterApi | undefined,
  log: Log,
  onChange: () => void,
): Promise<KeySet> {
  const { jwksFile, caFile, issuer } = tokens;
  const toSource = async (): Promise<JwksSource> => {
    if (jwksFile !== undefined) return { kind: "file", path: jwksFile };
    if (api !== undefined) return { kind: "api", load: api.jwks };
    return { kind: "issuer", url: issuer, ...(caFile === undefined ? {} : { caPem: await readFile(caFile, "utf8") }) };
  };
  const onFailure = (error: unknown): void => {
    // Nobody waits for them where the API server judges.
    if (api?.review === undefined) log.error("token keys not had", {}, error);
  };
  return await startKeySet(await toSource(), { refreshMs: keysRefreshMs, onFailure, onChange });
}

function openWorkloadDoor(
  config: AgentConfig,
  {
    keys,
    hub,
    api,
    ends,
    leafEnds,
    ...parts
  }: AgentParts & Pick<Agent, "keys" | "hub" | "api"> & { readonly ends: ChainEnds; readonly leafEnds: LeafEnds },
): Door {
  const { now, log } = parts;
  const verify = openCheck({ now, onFault: (error) => log.error("the issuer's answer did not verify", {}, error) });
  const check: Check = (issued, expected) => {
    const elements = verify(issued, expected);
    ends.see(issued.chain);
    leafEnds.see(issued.leaf);
    return elements;
  };
  const proof = openProof(config.tokens, { keys: () => keys.keys(), review: api?.review, now });
  const impersonation = api && { presence: api.presence, ztunnelAccounts: config.kubernetes?.ztunnelAccounts ?? [] };
  const service = { ...config, ...parts, proof, hub, check, presence: api?.presence, impersonation };
  return openDoor(config.listen, {
    service: istioService(service),
    onUnreadable: (_, refusal) => void tellRefused(refusal, service),
    log,
  });
}

async function putInForce(next: KeptTrust, { store, door, serving, hubRoots, log }: Agent): Promise<void> {
  if (hubRoots.take(next.hubRoots)) {
    const roots = hashesOf(hubRoots.pem()).join(" ");
    // What is kept can be lost, and then the configuration is all there is.
    if (hubRoots.isConfigured()) log.info("hub roots in force", { roots });
    else
      log.warn("hub roots in force", {
        roots,
        message: "hubRoots of the configuration has not the one that signs now",
      });
  }
  // For those who connect to this agent: what Istio calls istio-ca-root-cert.
  await store.write("root-cert.pem", next.servingRootsPem, 0o644);
  door.trust(next.tenants.map((t) => t.rootsPem).join("") + next.servingRootsPem);
  for (const renewal of serving) {
    const pair = renewal.current();
    if (pair !== undefined && !isCurrent(pair, next)) renewal.renewNow();
  }
}

/** A certificate with the cluster's serving names, in a store of its own. */
async function startServing(
  name: string,
  store: Store,
  onNew: (pair: KeyPair) => void,
  { hub, serving, now, log }: Agent,
  trust: TrustWatch | undefined,
): Promise<Renewal> {
  const get = async (): Promise<KeyPair> => await getServing(hub, trust?.current(), now);
  const renewal = await startRenewal({ name, get, onNew, store, now, log });
  serving.add(renewal);
  return {
    ...renewal,
    [Symbol.asyncDispose]: async () => {
      serving.delete(renewal);
      await renewal[Symbol.asyncDispose]();
    },
  };
}

/** What a human would look at, in that order. */
function whatIsMissing(
  { keys, api, hub }: Agent,
  own: Own,
  trust: TrustWatch | undefined,
  serving: Renewal,
): readonly string[] {
  return [
    ...(api?.waitingFor() ?? []),
    ...(api?.review === undefined && keys.keys().length === 0 ? ["the cluster's token keys"] : []),
    ...(own.current() === undefined ? ["a certificate from the hub (join)"] : []),
    ...(trust?.current() === undefined ? ["the cluster's trust from the hub"] : []),
    ...(trust?.current()?.tokenKeysMissing === true
      ? ["the cluster's token keys at the hub (there: espalier cluster keys list)"]
      : []),
    ...(serving.current() === undefined ? ["a serving certificate (has its serving root been created?)"] : []),
    ...(hub.connected() === 0 ? ["a connection to an issuer"] : []),
  ];
}
