/** A kubeconfig file: its current context, with certificates and tokens inside it or in files of their own. */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { Refusal } from "../errors.ts";
import type { Access, AccessTls, Credentials } from "./credentials.ts";
import { followed } from "./followed.ts";
import { isRecord, type JsonRecord, listAt, recordAt, someTextAt, textAt } from "./json.ts";

export interface KubeconfigOptions {
  /** Default: the file's own `current-context`. */
  readonly context?: string;
}

/** Reads it once to know that it will do; files it names are followed. @throws Refusal `config`, `unavailable`. */
export async function kubeconfigCredentials(path: string, options: KubeconfigOptions = {}): Promise<Credentials> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new Refusal("config", `cannot read ${path}`, { cause: error });
  });
  const current = followed(`what ${path} names`, toLoader(path, text, options));
  await current();
  return { current };
}

/** What another program would have to be run for, and what would leave us not knowing who answers, is refused. */
const refusedUser: Readonly<Record<string, string>> = {
  exec: "runs a program for its credentials: make a kubeconfig with a token or a client certificate",
  "auth-provider": "uses an auth-provider, which kubectl itself no longer does",
  username: "has a password, which no API server takes any more",
  as: "impersonates another user",
};
const refusedCluster: Readonly<Record<string, string>> = {
  "insecure-skip-tls-verify": "does not verify the API server: name its certificate-authority",
  "proxy-url": "goes through a proxy",
};

function toLoader(path: string, text: string, options: KubeconfigOptions): () => Promise<Access> {
  try {
    const { cluster, user } = select(parse(text, { prettyErrors: false }), options.context);
    const server = new URL(someTextAt(cluster, "server"));
    if (server.protocol !== "https:") throw new Refusal("config", `the server ${server.href} is not https`);
    const read = (record: JsonRecord, inline: string, file: string) => toReader(dirname(path), record, inline, file);
    const ca = read(cluster, "certificate-authority-data", "certificate-authority");
    const cert = read(user, "client-certificate-data", "client-certificate");
    const key = read(user, "client-key-data", "client-key");
    const token = toTokenReader(dirname(path), user);
    const serverName = textAt(cluster, "tls-server-name");
    return async () => {
      const [caPem, certPem, keyPem, bearer] = await Promise.all([ca(), cert(), key(), token()]);
      if ((certPem === undefined) !== (keyPem === undefined)) {
        throw new Refusal("config", "the user has a client certificate or its key, and not both");
      }
      const tls: AccessTls = {
        ...(caPem === undefined ? {} : { ca: caPem }),
        ...(certPem === undefined || keyPem === undefined ? {} : { cert: certPem, key: keyPem }),
        ...(serverName === undefined ? {} : { serverName }),
      };
      return { server, tls, ...(bearer === undefined ? {} : { token: bearer }) };
    };
  } catch (error) {
    // Without the parser's excerpt of the file: it could be a key.
    const why = error instanceof Error ? error.message : String(error);
    throw new Refusal("config", `${path}: ${why}`, { cause: error });
  }
}

interface Selected {
  readonly cluster: JsonRecord;
  readonly user: JsonRecord;
}

function select(config: unknown, asked: string | undefined): Selected {
  const name = asked ?? (isRecord(config) ? textAt(config, "current-context") : undefined);
  if (name === undefined || name === "") throw new Refusal("config", "no current-context");
  const context = named(config, "contexts", "context", name);
  const cluster = named(config, "clusters", "cluster", someTextAt(context, "cluster"));
  const user = named(config, "users", "user", someTextAt(context, "user"));
  assertNone(cluster, refusedCluster, `cluster ${textAt(context, "cluster")}`);
  assertNone(user, refusedUser, `user ${textAt(context, "user")}`);
  return { cluster, user };
}

function named(config: unknown, list: string, member: string, name: string): JsonRecord {
  const found = listAt(config, list).find((item) => isRecord(item) && item["name"] === name);
  if (found === undefined) throw new Refusal("config", `${list} has no ${name}`);
  return recordAt(found, member);
}

function assertNone(record: JsonRecord, refused: Readonly<Record<string, string>>, what: string): void {
  for (const [key, why] of Object.entries(refused)) {
    if (record[key] !== undefined && record[key] !== false) throw new Refusal("config", `${what} ${why}`);
  }
}

/** As kubectl: what stands inside wins over a file; file names are relative to the kubeconfig's own folder. */
function toReader(
  directory: string,
  record: JsonRecord,
  inline: string,
  file: string,
): () => Promise<string | undefined> {
  const data = textAt(record, inline);
  if (data) {
    const text = Buffer.from(data, "base64").toString("utf8");
    return async () => text;
  }
  const name = textAt(record, file);
  if (!name) return async () => undefined;
  return () => readFile(resolve(directory, name), "utf8");
}

/** Here the file wins (client-go), since it is the one that is renewed. */
function toTokenReader(directory: string, user: JsonRecord): () => Promise<string | undefined> {
  const token = textAt(user, "token");
  const name = textAt(user, "tokenFile");
  if (!name) return async () => token || undefined;
  return async () => (await readFile(resolve(directory, name), "utf8")).trim();
}
