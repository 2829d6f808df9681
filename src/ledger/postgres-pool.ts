/**
 * The one owner of pg. Connections are few and bounded, every statement has a deadline, and a connection is used only after
 * the server has shown that what it says is written stays written. An outage is a Refusal `unavailable`; the next use tries again.
 */
import {
  type ClientBase,
  Pool as Connections,
  DatabaseError,
  type PoolClient,
  type PoolConfig,
  type QueryResult,
  TypeOverrides,
} from "pg";
import { Refusal } from "../errors.ts";
import type { WriteName } from "./connection.ts";
import { checkServer, checkWrite, clockAhead, serverFacts, type Trust, writeFacts } from "./postgres-server.ts";
import type { Row, Value } from "./rows.ts";
import type { Source } from "./source.ts";
import type { Done, Step } from "./steps.ts";

export interface PostgresConfig extends Trust {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** Asked for each new connection, so that a password can change. */
  readonly password?: () => Promise<string>;
  /** PEM. Missing: no TLS, which is for this machine's own addresses alone. */
  readonly tls?: { readonly ca?: string; readonly certificate?: string; readonly key?: string };
  /** The most connections at once. */
  readonly connectionsMax: number;
  /** How long one statement may take, in milliseconds; how long a connection may, too. */
  readonly statementTimeoutMs: number;
}

/** Runs a commit. Tests hand in one that fails before or after it: lost, or kept and reported lost. */
export type PostgresWrite = (name: WriteName, commit: () => Promise<void>) => Promise<void>;

export type Parameter = Value | readonly Value[];

/** One connection's transaction. Each statement sees what was committed before it began. */
export interface Transaction {
  query(sql: string, ...values: readonly Parameter[]): Promise<readonly Row[]>;
  /** The same for SQL that is every database's: with a `?` for each value. */
  step(step: Step): Promise<Done>;
}

export interface Pool {
  /** One statement on its own, with `$1` for each value. */
  query(sql: string, ...values: readonly Parameter[]): Promise<readonly Row[]>;
  /**
   * A transaction that either happened, durably and on the standby if there has to be one, or is a Refusal `unavailable`.
   * What `work` reads, it reads under the `lock`.
   */
  transact<T>(name: WriteName, work: Work<T>, options?: TransactOptions): Promise<T>;
  /** For the walks over the ledger. */
  readonly source: Source;
  /** Checked on every new connection from now on: that what was promised is still there. */
  expect(check: (transaction: Transaction) => Promise<void>): void;
  /** How far our clock was ahead of the server's when it was last asked. */
  clockAheadMs(): number;
  close(): Promise<void>;
}

/** `read` are the rows of the statement that was asked to go with the first message. */
export type Work<T> = (transaction: Transaction, read: readonly Row[]) => Promise<T>;

export interface TransactOptions {
  readonly lock?: PostgresLock;
  /** A statement without values that is read under the lock, and costs no message of its own. */
  readonly read?: string;
  /** For what may take long, as a migration; the configured one otherwise. */
  readonly timeoutMs?: number;
}

/** "ESPA": whose advisory locks they are. All are held until their transaction ends. */
const lockSpace = 0x45_53_50_41;

/** The closed list of locks, in the order in which they may be taken. */
export const postgresLocks = {
  migrate: `SELECT pg_advisory_xact_lock(${lockSpace}, 1)`,
  /** Writes of made state, one after the other. */
  state: `SELECT pg_advisory_xact_lock(${lockSpace}, 2)`,
  /** The same, while no intent is being written: every one is there before, or reads what is written now. */
  stateAndIntents: `SELECT pg_advisory_xact_lock(${lockSpace}, 2), pg_advisory_xact_lock(${lockSpace}, 3)`,
  /** Intents, beside one another. */
  intents: `SELECT pg_advisory_xact_lock_shared(${lockSpace}, 3)`,
} as const;

export type PostgresLock = (typeof postgresLocks)[keyof typeof postgresLocks];

/** Connections are made anew after this long: a failover or a new password gets to all of them. */
const lifetimeSeconds = 1800;
/** Beyond the server's own limit, after which a connection counts as broken. */
const graceMs = 1000;

export function openPool(
  config: PostgresConfig,
  now: () => Date,
  write: PostgresWrite = (_, commit) => commit(),
): Pool {
  let aheadMs = 0;
  let expectation: ((transaction: Transaction) => Promise<void>) | undefined;
  const names = new Map<string, string>();
  const numbered = new Map<string, string>();
  const connections = new Connections({
    ...toOptions(config),
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for it, and its types do not say so
    onConnect: async (client: ClientBase) => {
      // The pool itself sees to errors only once this is over.
      client.on("error", ignore);
      const transaction = toTransaction((sql, values) => run(client, sql, values));
      const [facts] = await transaction.query(serverFacts);
      aheadMs = clockAhead(facts, now());
      checkServer(facts, config, now());
      await expectation?.(transaction);
      client.off("error", ignore);
    },
  });
  // An idle connection that breaks is dropped; whoever needs one next hears of it.
  connections.on("error", ignore);

  /** Prepared once for each connection. There are as many names as the code has statements. */
  async function run(client: ClientBase, sql: string, values: readonly Parameter[]): Promise<QueryResult<Row>> {
    const name = names.get(sql) ?? `s${names.size}`;
    names.set(sql, name);
    return await client.query<Row>({ name, text: sql, values: [...values] });
  }

  function toTransaction(run: (sql: string, values: readonly Parameter[]) => Promise<QueryResult<Row>>): Transaction {
    return {
      query: async (sql, ...values) => (await run(sql, values)).rows,
      step: async ({ sql, values }) => {
        const { rows, rowCount } = await run(toNumbered(sql), values);
        return { rows, changes: rowCount ?? 0 };
      },
    };
  }

  /** `$1` for the first `?`, and so on. */
  function toNumbered(sql: string): string {
    let count = 0;
    const found = numbered.get(sql) ?? sql.replaceAll("?", () => `$${++count}`);
    numbered.set(sql, found);
    return found;
  }

  async function withClient<T>(use: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await connections.connect().catch((error: unknown) => {
      throw translated(error);
    });
    client.on("error", ignore);
    let broken: Error | undefined;
    try {
      return await use(client);
    } catch (error) {
      const refusal = translated(error);
      if (breaksConnection(refusal)) broken = refusal;
      throw refusal;
    } finally {
      client.off("error", ignore);
      client.release(broken);
    }
  }

  async function transact<T>(
    name: WriteName,
    work: Work<T>,
    { lock, read, timeoutMs }: TransactOptions = {},
  ): Promise<T> {
    return await withClient(async (client) => {
      // One message. Every statement in it sees what was committed when it began, so a lock comes before what is read.
      const begin = [
        "BEGIN ISOLATION LEVEL READ COMMITTED",
        ...(timeoutMs === undefined
          ? []
          : [`SET LOCAL statement_timeout = ${timeoutMs}`, `SET LOCAL lock_timeout = ${timeoutMs}`]),
        ...(lock === undefined ? [] : [lock]),
        ...(read === undefined ? [] : [read]),
        writeFacts,
      ].join(";");
      const patience = timeoutMs === undefined ? {} : { query_timeout: timeoutMs + graceMs };
      try {
        const results: unknown = await client.query({ text: begin, ...patience });
        const facts = rowsOf(results, -1)[0];
        aheadMs = clockAhead(facts, now());
        checkWrite(facts, config, now());
        // What may take long is run once, and can be several statements in one message: it gets no name.
        const once = async (text: string, values: readonly Parameter[]): Promise<QueryResult<Row>> =>
          await client.query<Row>({ text, values: [...values], ...patience });
        const result = await work(
          toTransaction(timeoutMs === undefined ? (sql, values) => run(client, sql, values) : once),
          read === undefined ? [] : rowsOf(results, -2),
        );
        await commit(client, name, write);
        return result;
      } catch (error) {
        // A connection that is given up rolls back by itself, and waits for nobody's answer.
        if (!breaksConnection(translated(error))) {
          await client.query("ROLLBACK").catch((cause: unknown) => {
            throw translated(cause);
          });
        }
        throw error;
      }
    });
  }

  return {
    query: async (sql, ...values) => await withClient(async (client) => (await run(client, sql, values)).rows),
    transact,
    source: {
      query: async (sql, ...values) =>
        await withClient(async (client) => (await run(client, toNumbered(sql), values)).rows),
      unplaced: "unplaced",
      gapless: false,
    },
    expect: (check) => {
      expectation = check;
    },
    clockAheadMs: () => aheadMs,
    close: async () => await connections.end(),
  };
}

/**
 * Whatever goes wrong here, nobody may rely on the write: it may be lost, and it may be there. A warning is one of those
 * things: a server that is told to stop waiting for its standby says so in a warning, and then that it has committed.
 */
async function commit(client: PoolClient, name: WriteName, write: PostgresWrite): Promise<void> {
  const warnings: string[] = [];
  const onNotice = ({ severity, message }: { severity?: string | undefined; message?: string | undefined }): void => {
    if (severity === "WARNING") warnings.push(message ?? "");
  };
  client.on("notice", onNotice);
  try {
    await write(name, async () => {
      const { command } = await client.query("COMMIT");
      if (command !== "COMMIT") throw new Error(`the database answered COMMIT with ${command}`);
      if (warnings.length > 0) throw new Error(warnings.join("; "));
    });
  } catch (cause) {
    throw new Refusal("unavailable", "the database did not take a write", { cause });
  } finally {
    client.off("notice", onNotice);
  }
}

/** Of one of several statements in a message, from the end. */
function rowsOf(results: unknown, index: number): readonly Row[] {
  const result: unknown = Array.isArray(results) ? results.at(index) : undefined;
  if (typeof result !== "object" || result === null || !("rows" in result) || !Array.isArray(result.rows)) return [];
  const rows: readonly Row[] = result.rows;
  return rows;
}

function toOptions(config: PostgresConfig): PoolConfig {
  const { host, port, database, user, tls, connectionsMax, statementTimeoutMs, password } = config;
  return {
    host,
    port,
    database,
    user,
    // A function, always: without one the library would look for a password where nobody has configured it.
    password: password ?? (async () => ""),
    ssl: tls === undefined ? false : { ca: tls.ca, cert: tls.certificate, key: tls.key, minVersion: "TLSv1.2" },
    application_name: "espalier",
    client_encoding: "UTF8",
    // Whatever the server, the database or the role has as its own default.
    options: "-c search_path=espalier -c synchronous_commit=on -c default_transaction_read_only=off",
    keepAlive: true,
    max: connectionsMax,
    connectionTimeoutMillis: statementTimeoutMs,
    idleTimeoutMillis: 60_000,
    maxLifetimeSeconds: lifetimeSeconds,
    statement_timeout: statementTimeoutMs,
    lock_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + graceMs,
    types: integers,
  };
}

const bigintOid = 20;

function readInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error(`${text} is not a safe integer`);
  return value;
}

/** PostgreSQL's 64-bit integers come as text: ours are numbers that are safe. */
const integers = new TypeOverrides();
integers.setTypeParser(bigintOid, readInteger);

/** SQLSTATE classes: data exception, integrity constraint, syntax or access rule. The server is well, the statement is not. */
const ourMistakes: ReadonlySet<string> = new Set(["22", "23", "42"]);

/** What failed for the server's sake, or in a way nobody knows, leaves a connection that is not used again. */
function breaksConnection(error: unknown): error is Refusal {
  return error instanceof Refusal && error.cause !== undefined;
}

function translated(error: unknown): unknown {
  if (error instanceof Refusal) return error;
  if (error instanceof DatabaseError && ourMistakes.has(error.code?.slice(0, 2) ?? "")) return error;
  return new Refusal("unavailable", "the database cannot be used now", { cause: error });
}

function ignore(): void {}
