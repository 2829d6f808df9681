/** Starts an issuer: what must be there is opened, in order, and closed in reverse. Nothing is created that an operator creates. */
import type { Write } from "../ledger/connection.ts";
import type { WriterCounts } from "../ledger/writer.ts";
import type { IssuerConfig } from "../ops/config.ts";
import { startHttp } from "../ops/http.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import { openServerCredentials } from "../rpc/credentials.ts";
import type { OnLimited } from "../rpc/guard.ts";
import { Issuer } from "../rpc/proto.ts";
import { type Limits, type OnUnreadable, startServer } from "../rpc/server.ts";
import { startAdminPort, startAdminSocket } from "./admin-socket.ts";
import { admitOperators } from "./admit.ts";
import { addAlarms } from "./alarms.ts";
import { copySuspensions } from "./copy-suspensions.ts";
import { throughOutages } from "./database.ts";
import { type Dispatch, openDispatch } from "./dispatch.ts";
import { followResources } from "./follow-resources.ts";
import { openLive } from "./live.ts";
import { limited, openLiveCounts, startRecounts } from "./live-counts.ts";
import { startPruning } from "./prune.ts";
import { openQuotas } from "./quota.ts";
import { renewAuthorities, signingNow, startRenewal } from "./renew.ts";
import { countWaiting, openRotations } from "./rotations.ts";
import { startServerCertificate } from "./server-certificate.ts";
import { adminService, issuerService } from "./services.ts";
import { openShares } from "./share.ts";
import { openSource } from "./source.ts";
import { openStorage } from "./storage.ts";
import { tellRefused } from "./tell-refused.ts";
import type { World } from "./world.ts";

export interface IssuerParts {
  readonly now: () => Date;
  readonly random: (bytes: number) => Uint8Array;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Stands around every commit of the database; for tests that make one fail. */
  readonly write?: Write;
  /** How often authorities are looked at. Default a minute. */
  readonly renewalMs?: number;
}

export interface RunningIssuer extends AsyncDisposable {
  readonly port: number;
  readonly httpPort: number;
  /** Where operators with a certificate call; undefined where nothing listens. */
  readonly adminPort: number | undefined;
  /** Not ready from now on: no new work should be sent here. */
  unready(): void;
}

const limits: Limits = {
  messageBytesMax: 1024 * 1024,
  streamsPerConnectionMax: 256,
  // Longer than a token's or a stream's natural life would hide a replica from agents; agents reconnect without loss.
  connectionAgeMs: 30 * 60_000,
  connectionIdleMs: 10 * 60_000,
};
const drainMs = 20_000;

/** The name every issuer's certificate carries, whatever address it is reached at. */
export function issuerName(hub: string): string {
  return `issuer.${hub}`;
}

export async function startIssuer(config: IssuerConfig, options: IssuerParts): Promise<RunningIssuer> {
  const { now, random, log, metrics } = options;
  await using stack = new AsyncDisposableStack();
  const waiting = new Set(["start"]);
  const http = stack.use(await startHttp(config.http, { metrics, waitingFor: () => [...waiting] }));
  const storage = stack.use(await openStorage(config, options));
  const { custody, ledger, state, counts, epoch, follow } = storage;
  const parts = { state, custody, ledger, now, random, log, metrics };

  const source = stack.use(await openSource(config, { state, now, log, leads: () => epoch() > 0 }));
  const patiently = async <T>(step: () => Promise<T>): Promise<T> => await throughOutages(config, log, step);
  const declared = await patiently(source.load);
  // A tenant without an authority is told as not ready; the others are served meanwhile.
  await renewAuthorities(declared, parts).catch((error: unknown) => log.error("authorities not made", {}, error));
  const live = stack.use(await patiently(async () => await openLive({ ...parts, hub: config.hub, declared })));
  stack.use(source.show(live));
  const leads = (): boolean => epoch() !== 0;
  if (leads())
    await copySuspensions(declared, parts).catch((error: unknown) => log.error("suspensions not copied", {}, error));
  const following = stack.use(followResources(source, declared, { ...parts, live, leads }));
  const refresh = async (): Promise<void> => {
    await live.refresh().catch((error: unknown) => {
      log.error("another issuer's changes not taken", {}, error);
      throw error;
    });
  };
  const changes = stack.use(follow(refresh));
  const { settleSeconds } = config.rotation;
  const rotations = openRotations({ ...parts, declared: () => live.world().declared, settleSeconds });
  stack.use(startRenewal({ ...parts, live, rotations, leads }, options.renewalMs));
  stack.use(startPruning(config.retention, { ...parts, leads }));
  const liveCounts = openLiveCounts();
  stack.use(startRecounts(liveCounts, { ...parts, live }));
  const quotas = openQuotas(liveCounts);
  const dispatch = openDispatch({
    ...parts,
    quotas,
    world: () => live.world(),
    queueBytes: config.queueBytes,
  });
  addGauges(metrics, dispatch, counts);
  metrics.gauges(
    "live_certificates",
    "Certificates that have not ended, of tenants with spec.quotas.liveCertificates; each replica adds the others' every five minutes.",
    ["tenant"],
    () => limited(live.world().declared).map(({ name }) => [{ tenant: name }, liveCounts.count(name, now())]),
  );
  metrics.gauges(
    "authority_expiry_seconds",
    "How long until what signs for this owner ends, in seconds; negative afterwards. A kind is tenant, root, serving or hub.",
    ["kind", "owner"],
    () =>
      signingNow(live.world()).map(({ kind, owner, notAfter }) => [
        { kind, owner },
        Math.floor((+notAfter - +now()) / 1000),
      ]),
  );
  metrics.gauges(
    "rotation_waiting",
    "What holds back the next step of a root's rotation, as the issuer that leads has seen it last: leaves counts certificates, the others what they name. Nothing where no rotation is under way.",
    ["kind", "owner", "phase", "what"],
    () => countWaiting(leads() ? rotations.seen() : []),
  );
  metrics.gauge(
    "ledger_epoch",
    "Epoch under which this issuer puts the ledger's entries in order; 0 while another one does.",
    epoch,
  );
  metrics.gauge(
    "authorities_waiting",
    "Authorities that wait for a certificate from a root whose key is offline.",
    () => live.world().authorityRequests.length,
  );
  metrics.gauge(
    "key_proposals",
    "Clusters whose agent proposes keys that an operator has not decided on.",
    () => [...live.world().declared.clusters.keys()].filter((name) => hasProposal(name, live.world())).length,
  );

  const names = [...new Set([issuerName(config.hub), ...config.serverNames])];
  const certificate = stack.use(
    await patiently(
      async () => await startServerCertificate(names, { ...parts, live }, (tls) => credentials.publish(tls)),
    ),
  );
  const credentials = openServerCredentials("TLSv1.3", certificate.first);
  addAlarms(metrics, { ...storage, live, now, refused: following.refused, servingEnd: certificate.notAfter });

  const draining = new AbortController();
  const operators = adminService({ ...parts, live, rotations, quotas, refused: following.refused });
  stack.use(await startAdminSocket(config.adminSocket, operators));
  const onUnreadable: OnUnreadable = (method, refusal) => void tellRefused(refusal, { method }, parts);
  const { behindMs } = changes;
  const service = issuerService({
    ...parts,
    live,
    dispatch,
    shares: openShares(),
    behindMs,
    draining: draining.signal,
  });
  const onLimited: OnLimited = (limited) => log.warn("too much at the port", { ...limited });
  const admit = admitOperators({ ...parts, hub: config.hub });
  const adminPort =
    config.adminListen === undefined
      ? undefined
      : stack.use(
          await startAdminPort({ address: config.adminListen, credentials, admit, onUnreadable, onLimited }, operators),
        );
  const server = stack.use(
    await startServer(
      { address: config.listen, limits, drainMs, onUnreadable, onLimited },
      credentials.credentials,
      (s) => s.addService(Issuer.service, service),
    ),
  );
  metrics.gauge("connections", "Connections of agents.", () => server.guard?.connections() ?? 0);
  metrics.gauge(
    "connections_limited",
    "Connections and requests closed for a limit since the start.",
    () => (server.guard?.limited() ?? 0) + (adminPort?.guard?.limited() ?? 0),
  );
  // First of all when closing: streams would otherwise go on for as long as their agents like.
  stack.defer(() => draining.abort());
  waiting.delete("start");
  log.info("issuer ready", {
    hub: config.hub,
    port: server.port,
    http: http.port,
    adminSocket: config.adminSocket,
    adminPort: adminPort?.port,
  });
  const opened = stack.move();
  return {
    port: server.port,
    httpPort: http.port,
    adminPort: adminPort?.port,
    unready: () => void waiting.add("shutdown"),
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

function hasProposal(cluster: string, world: World): boolean {
  return (world.findCluster(cluster)?.proposed().length ?? 0) > 0;
}

function addGauges(metrics: Metrics, dispatch: Dispatch, counts: () => WriterCounts): void {
  metrics.gauge("queue_items", "Requests that wait to be signed.", () => dispatch.waiting());
  metrics.gauge("records_queued", "Signatures that wait to be recorded.", () => counts().recordsQueued);
  metrics.gauge(
    "records_dropped",
    "Signatures given up since the start; their intents stay unrecorded.",
    () => counts().recordsDropped,
  );
  metrics.gauge(
    "ledger_failed_writes",
    "Durable writes of the ledger that failed since the start.",
    () => counts().failedWrites,
  );
}
