/** Where an issuer's database is, and how it is reached: a file, or a PostgreSQL server. */
import { z } from "zod";

const path = z.string().min(1);

export const databaseSchema = path
  .default("espalier.db")
  .superRefine((text, context) => {
    const rule = isPostgres(text) ? brokenRule(text) : undefined;
    if (rule !== undefined) context.addIssue({ code: "custom", message: rule });
  })
  .describe("SQLite file of the ledger and of made state; or postgres://user@host:port/database.");

export const postgresSchema = z
  .strictObject({
    passwordFile: path.optional().describe("File with the user's password; read for each new connection."),
    tls: z
      .boolean()
      .default(true)
      .describe("Connections use TLS and verify the server's name; false only where the host is this machine."),
    caFile: path.optional().describe("PEM roots of the server's certificate; the system's if absent."),
    certificateFile: path
      .optional()
      .describe("PEM certificate that the user is known by, where the server asks for one."),
    keyFile: path.optional().describe("Its PEM key."),
    connections: z.int().min(2).max(100).default(8).describe("The most connections of this issuer at once."),
    statementTimeoutMs: z
      .int()
      .min(500)
      .max(60_000)
      .default(5000)
      .describe("How long one statement, or a wait for a connection, may take, in milliseconds."),
    synchronousStandby: z
      .boolean()
      .default(true)
      .describe("Commits must wait for a standby; false only where nothing ever takes the server's place."),
  })
  .prefault({})
  .describe("How that server is reached.");

export type PostgresSettings = z.infer<typeof postgresSchema>;

export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

export function isPostgres(database: string): boolean {
  return /^postgres(ql)?:\/\//.test(database);
}

/** Of a `database` that the schema has let through. */
export function toPostgresAddress(database: string): PostgresAddress {
  const { hostname, port, username, pathname } = new URL(database);
  return {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? 5432 : Number(port),
    user: decodeURIComponent(username),
    database: decodeURIComponent(pathname.slice(1)),
  };
}

/** Whether nobody but this machine is on the way. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function brokenRule(text: string): string | undefined {
  if (!URL.canParse(text)) return "expected postgres://user@host:port/database";
  const { hostname, username, password, pathname, search, hash } = new URL(text);
  if (password !== "") return "a password does not belong here: postgres.passwordFile names its file";
  if (search !== "" || hash !== "") return "nothing may follow the database: the keys of postgres say the rest";
  if (hostname === "" || username === "" || !/^\/[^/]+$/.test(pathname))
    return "expected postgres://user@host:port/database";
  return undefined;
}
