/** Starts an issuer: what must be there is opened, in order, and closed in reverse. Nothing is created that an operator creates. */
import { chmod, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { makeAuthorities } from "../controller/authority.ts";
import { openFileCustody } from "../custody/file.ts";
import { checkDirectory } from "../custody/private-file.ts";
import { Refusal } from "../errors.ts";
import type { Write } from "../ledger/connection.ts";
import { openSqlite } from "../ledger/sqlite.ts";
import type { IssuerConfig } from "../ops/config.ts";
import { startHttp } from "../ops/http.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import type { Declared } from "../resources/declared.ts";
import { loadDirectory } from "../resources/load.ts";
import { toLine } from "../resources/problem.ts";
import { watchDirectory } from "../resources/watch.ts";
import { openServerCredentials } from "../rpc/credentials.ts";
import { Admin, Issuer } from "../rpc/proto.ts";
import { type Limits, startServer, unencrypted } from "../rpc/server.ts";
import { openDispatch } from "./dispatch.ts";
import { openLive } from "./live.ts";
import { startServerCertificate } from "./server-certificate.ts";
import { adminService, issuerService } from "./services.ts";

export interface IssuerParts {
  readonly now: () => Date;
  readonly random: (bytes: number) => Uint8Array;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Stands around every commit of the database; for tests that make one fail. */
  readonly write?: Write;
}

export interface RunningIssuer extends AsyncDisposable {
  readonly port: number;
  readonly httpPort: number;
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

/** The key that signs the ledger's heads, in custody. */
export const ledgerKey = "ledger";

/** The name every issuer's certificate carries, whatever address it is reached at. */
export function issuerName(hub: string): string {
  return `issuer.${hub}`;
}

export async function startIssuer(
  config: IssuerConfig,
  { now, random, log, metrics, write }: IssuerParts,
): Promise<RunningIssuer> {
  await using stack = new AsyncDisposableStack();
  const waiting = new Set(["start"]);
  const custody = await openFileCustody({
    directory: config.keys,
    ...(config.passphraseFile === undefined ? {} : { passphraseFile: config.passphraseFile }),
  });
  const ledgerSigner = await custody.openKey(ledgerKey);
  const database = stack.use(
    await openSqlite({ path: config.database, now, create: false, ...(write === undefined ? {} : { write }) }),
  );
  const { ledger, state } = database;
  const hub = (await state.authorities()).find((r) => r.kind === "hub");
  if (hub?.owner !== config.hub) {
    throw new Refusal(
      "config",
      `hub: the database belongs to hub "${hub?.owner ?? ""}", and the configuration says "${config.hub}"`,
    );
  }

  stack.use(
    await database.startSequencer(ledgerSigner, { onFault: (error) => log.error("entries not sequenced", {}, error) }),
  );

  const declared = await loadDirectory(config.resources, { hub: config.hub });
  const parts = { state, custody, ledger, now, random, log, metrics };
  await makeAuthorities(declared, parts);
  const live = stack.use(await openLive({ ...parts, hub: config.hub, declared }));
  tellWarnings(declared, log);

  const dispatch = openDispatch({ ...parts, world: () => live.world(), queueBytes: config.queueBytes });
  metrics.gauge("queue_items", "Requests that wait to be signed.", () => dispatch.waiting());

  const names = [...new Set([issuerName(config.hub), ...config.serverNames])];
  metrics.gauge("records_queued", "Signatures that wait to be recorded.", () => database.counts().recordsQueued);
  metrics.gauge(
    "ledger_failed_writes",
    "Durable writes of the ledger that failed since the start.",
    () => database.counts().failedWrites,
  );

  const certificate = stack.use(
    await startServerCertificate(names, { ...parts, live }, (tls) => credentials.publish(tls)),
  );
  const credentials = openServerCredentials("TLSv1.3", certificate.first);

  const onDeclared = async (next: Declared): Promise<void> => {
    await makeAuthorities(next, parts);
    await live.declare(next);
    tellWarnings(next, log);
    log.info("resources in force", { tenants: next.tenants.size, clusters: next.clusters.size });
  };
  stack.use(
    watchDirectory(
      config.resources,
      { hub: config.hub, inForce: declared },
      {
        onChange: onDeclared,
        onRefused: (refusal) =>
          log.error("resources refused, the last good ones stay in force", { problems: refusal.message }),
      },
    ),
  );

  await openSocketDirectory(config.adminSocket);
  stack.use(
    await startServer({ address: `unix:${config.adminSocket}`, limits, drainMs }, unencrypted, (server) =>
      server.addService(Admin.service, adminService({ ...parts, live })),
    ),
  );
  await chmod(config.adminSocket, 0o600);
  const server = stack.use(
    await startServer({ address: config.listen, limits, drainMs }, credentials.credentials, (s) =>
      s.addService(Issuer.service, issuerService({ ...parts, live, dispatch })),
    ),
  );
  const http = stack.use(await startHttp(config.http, { metrics, waitingFor: () => [...waiting] }));
  waiting.delete("start");
  log.info("issuer ready", { hub: config.hub, port: server.port, http: http.port, adminSocket: config.adminSocket });
  const opened = stack.move();
  return {
    port: server.port,
    httpPort: http.port,
    unready: () => void waiting.add("shutdown"),
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

/** A socket left by a killed process is in the way; its directory must be ours alone, for the socket has no other lock. */
async function openSocketDirectory(path: string): Promise<void> {
  await checkDirectory(dirname(path));
  await rm(path, { force: true });
}

function tellWarnings(declared: Declared, log: Log): void {
  for (const warning of declared.warnings) log.warn("resources", { warning: toLine(warning) });
}
