/** The database that a configuration names: a file beside the issuer, or a server that several issuers share. */
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout } from "node:timers/promises";
import { Refusal } from "../errors.ts";
import type { Write } from "../ledger/connection.ts";
import type { Database } from "../ledger/database.ts";
import { openPostgres } from "../ledger/postgres.ts";
import type { PostgresConfig } from "../ledger/postgres-pool.ts";
import { openSqlite } from "../ledger/sqlite.ts";
import type { IssuerConfig } from "../ops/config.ts";
import { isLoopback, isPostgres, toPostgresAddress } from "../ops/database-config.ts";
import type { Log } from "../ops/log.ts";

export type DatabaseConfig = Pick<IssuerConfig, "database" | "postgres">;

export interface DatabaseParts {
  readonly now: () => Date;
  /** Makes what is missing. Only a verb that an operator types says so. */
  readonly create: boolean;
  /** Stands around every commit of SQLite; for tests that make one fail. */
  readonly write?: Write;
}

const retryMs = 2000;

/** @throws Refusal `config` when it is not there or not ours; `unavailable` when it cannot be used now. */
export async function openDatabase(config: DatabaseConfig, { now, create, write }: DatabaseParts): Promise<Database> {
  if (!isPostgres(config.database)) {
    return await openSqlite({ path: config.database, now, create, ...(write === undefined ? {} : { write }) });
  }
  return await openPostgres({ connection: await toPostgresConfig(config), now, create, holder: hostname() });
}

/** Does a step of a start again while the server is away: a process that ended would only be started again. */
export async function throughOutages<T>(
  { database }: Pick<DatabaseConfig, "database">,
  log: Log,
  step: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if (!isPostgres(database) || !(error instanceof Refusal) || error.code !== "unavailable") throw error;
      log.error("database not there yet", {}, error);
      await setTimeout(retryMs);
    }
  }
}

/** @throws Refusal `config`. */
export async function toPostgresConfig({ database, postgres }: DatabaseConfig): Promise<PostgresConfig> {
  const address = toPostgresAddress(database);
  const { passwordFile, tls, caFile, certificateFile, keyFile, connections, statementTimeoutMs } = postgres;
  if (!tls && !isLoopback(address.host)) {
    throw new Refusal(
      "config",
      `postgres.tls: "${address.host}" is not this machine: it is reached by TLS or not at all`,
    );
  }
  const [ca, certificate, key] = await Promise.all([
    read("caFile", caFile),
    read("certificateFile", certificateFile),
    read("keyFile", keyFile),
  ]);
  // Read once now, so that a mistake is told at once.
  await read("passwordFile", passwordFile);
  return {
    ...address,
    connectionsMax: connections,
    statementTimeoutMs,
    synchronousStandby: postgres.synchronousStandby,
    ...(passwordFile === undefined ? {} : { password: async () => (await readFile(passwordFile, "utf8")).trimEnd() }),
    ...(tls ? { tls: { ...(ca && { ca }), ...(certificate && { certificate }), ...(key && { key }) } } : {}),
  };
}

async function read(name: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  return await readFile(path, "utf8").catch((cause: unknown) => {
    throw new Refusal("config", `postgres.${name}: cannot read ${path}`, { cause });
  });
}
