/**
 * One PostgreSQL as issuers see it: a port behind which a server and its synchronous standby change places, and a third server
 * that is the standby's own, so that commits wait for somebody after a failover too.
 */
import type { QueryResult } from "pg";
import { copyPostgres, type Server, startPostgres } from "../support/postgres.ts";
import { startRelay } from "../support/relay.ts";

export interface Trio extends AsyncDisposable {
  readonly port: number;
  readonly database: string;
  /** As an operator does, for an update: the server ends in good order and starts again. */
  restart(): Promise<void>;
  /** The server is killed and its standby promoted. Once only. */
  failOver(): Promise<void>;
  /** As the superuser, wherever the data is now. */
  sql(text: string): Promise<QueryResult>;
}

/** A standby asks again for what it has not got; the default of 5 s would be most of an outage. */
const soon = "wal_retrieve_retry_interval=200ms";

export async function startTrio(): Promise<Trio> {
  await using stack = new AsyncDisposableStack();
  const first = stack.use(await startPostgres(["synchronous_standby_names=second"]));
  await first.stop();
  const follow = (server: Server, name: string): string =>
    `primary_conninfo=host=127.0.0.1 port=${server.port} user=postgres application_name=${name}`;
  const second = stack.use(
    await copyPostgres(first, [follow(first, "second"), soon, "synchronous_standby_names=third"], true),
  );
  stack.use(await copyPostgres(first, [follow(second, "third"), soon], true));
  await first.start();
  const { database } = await first.database();
  const relay = stack.use(await startRelay(first.port));
  let current = first;
  const opened = stack.move();
  return {
    port: relay.port,
    database,
    sql: async (text) => await current.sql(text, database),
    restart: async () => {
      await current.stop("SIGINT");
      await current.start();
    },
    failOver: async () => {
      await first.stop("SIGKILL");
      await second.sql("SELECT pg_promote()");
      current = second;
      relay.to(second.port);
    },
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}
