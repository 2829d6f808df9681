/**
 * An API server in memory, over TLS as a real one: good enough to pass the same contract suite (test/contract/kube.ts), and it
 * can be told to misbehave.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Access } from "../../src/kube/credentials.ts";
import { isRecord, type JsonRecord, recordAt, textAt } from "../../src/kube/json.ts";
import { makeServerPair, serverPair } from "./kube-certificate.ts";
import { apply } from "./kube-memory-apply.ts";
import { openDefinitions } from "./kube-memory-definitions.ts";
import { toSelector } from "./kube-memory-selector.ts";
import { Failure, type Happened, openStore, ownersAfter, type Store } from "./kube-memory-store.ts";

export interface SeenRequest {
  readonly verb: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
}

/** Answers in the server's place and returns true, or leaves it to the server. */
export type Intercept = (request: SeenRequest, response: ServerResponse, body: JsonRecord) => boolean;

export interface MemoryApi extends AsyncDisposable {
  readonly access: Access;
  readonly requests: SeenRequest[];
  readonly store: Store;
  /** Requests not yet answered to their end; a watch is one. */
  open(): number;
  /** TLS handshakes so far. */
  connections(): number;
  intercept(how: Intercept | undefined): void;
  /** All of them, as a load balancer does when it is replaced. */
  closeConnections(): void;
}

export interface MemoryOptions {
  /** Default 50: a real one takes a minute. */
  readonly bookmarkMs?: number;
  /** Others get 401. Default: nobody does. */
  readonly token?: () => string;
  /** With a CA that no other server has. */
  readonly fresh?: boolean;
}

export async function startMemoryApi({
  bookmarkMs = 50,
  token,
  fresh = false,
}: MemoryOptions = {}): Promise<MemoryApi> {
  const store = openStore();
  const definitions = openDefinitions(store);
  const requests: SeenRequest[] = [];
  let intercepting: Intercept | undefined;
  let connections = 0;
  let open = 0;
  const pair = fresh ? makeServerPair() : serverPair();

  const server = createServer({ key: pair.key, cert: pair.cert }, (request, response) => {
    open += 1;
    response.once("close", () => {
      open -= 1;
    });
    const url = new URL(request.url ?? "/", "https://x");
    const { authorization } = request.headers;
    const seen = { verb: request.method ?? "", path: url.pathname, query: url.searchParams, authorization };
    requests.push(seen);
    readJson(request)
      .then((body) => {
        if (intercepting?.(seen, response, body) === true) return;
        if (token !== undefined && authorization !== `Bearer ${token()}`)
          throw new Failure(401, "Unauthorized", "Unauthorized");
        const discovered = definitions.discover(seen.path);
        if (discovered !== undefined) return reply(response, 200, discovered);
        const target = toTarget(seen.path);
        definitions.assertServed(target.collection);
        if (seen.query.get("watch") === "true") watch(store, target, seen.query, response, bookmarkMs);
        else reply(response, 200, answer(store, target, seen, body, request.headers["content-type"] ?? ""));
      })
      .catch((error: unknown) => {
        if (!(error instanceof Failure)) throw error;
        reply(response, error.code, toStatus(error));
      });
  });
  server.on("secureConnection", () => {
    connections += 1;
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  store.write("v1/namespaces", "default", toNamespace("default"), new Map());
  return {
    access: { server: new URL(`https://127.0.0.1:${portOf(server.address())}`), tls: { ca: pair.cert } },
    requests,
    store,
    open: () => open,
    connections: () => connections,
    intercept: (how) => {
      intercepting = how;
    },
    closeConnections: () => server.closeAllConnections(),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Target {
  readonly collection: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly name: string;
}

function toTarget(path: string): Target {
  const [, root, ...rest] = path.split("/").map(decodeURIComponent);
  const apiVersion = root === "api" ? (rest[0] ?? "") : `${rest[0]}/${rest[1]}`;
  const below = rest.slice(root === "api" ? 1 : 2);
  const namespaced = below[0] === "namespaces" && below.length > 2;
  const [plural = "", name = ""] = namespaced ? below.slice(2) : below;
  return { apiVersion, collection: `${apiVersion}/${plural}`, namespace: namespaced ? (below[1] ?? "") : "", name };
}

function answer(
  store: Store,
  target: Target,
  { verb, query }: SeenRequest,
  body: JsonRecord,
  type: string,
): JsonRecord {
  const manager = query.get("fieldManager") ?? "unknown";
  if (target.name === "" && verb === "GET") return list(store, target, query);
  if (target.name === "" && verb === "POST") return create(store, target, body, manager);
  const { collection } = target;
  const key = keyOf(target);
  const found = store.get(collection, key);
  if (verb === "PATCH" && type.startsWith("application/apply-patch")) {
    const asked = found === undefined ? withNamespace(store, target, body) : body;
    const applied = apply(
      found?.object ?? asked,
      found?.owners ?? new Map(),
      asked,
      manager,
      query.get("force") === "true",
    );
    if (applied.conflicts.length > 0) {
      throw new Failure(409, "Conflict", `Apply failed with ${applied.conflicts.length} conflict`, applied.conflicts);
    }
    return store.write(collection, key, applied.object, applied.owners);
  }
  if (found === undefined) throw new Failure(404, "NotFound", `${collection} "${target.name}" not found`);
  switch (verb) {
    case "GET":
      return found.object;
    case "PUT":
    case "PATCH": {
      const next = verb === "PUT" ? body : merge(found.object, body);
      guard(found.object, recordAt(next, "metadata"));
      validate(next);
      return store.write(collection, key, next, ownersAfter(found, next, manager));
    }
    case "DELETE":
      guard(found.object, recordAt(body, "preconditions"));
      store.remove(collection, key);
      return found.object;
    default:
      throw new Failure(405, "MethodNotAllowed", verb);
  }
}

function list(store: Store, target: Target, query: URLSearchParams): JsonRecord {
  const limit = Number(query.get("limit") ?? Number.POSITIVE_INFINITY);
  const token = query.get("continue");
  const select = toSelector(query, target.namespace);
  const { version, rest } =
    token === null
      ? { version: store.version(), rest: store.list(target.collection).filter(select) }
      : store.kept(token);
  const next = rest.length > limit ? store.keep(rest.slice(limit)) : undefined;
  return { kind: "List", metadata: { resourceVersion: String(version), continue: next }, items: rest.slice(0, limit) };
}

function create(store: Store, target: Target, body: JsonRecord, manager: string): JsonRecord {
  const object = withNamespace(store, target, body);
  const name = textAt(recordAt(object, "metadata"), "name") ?? "";
  const key = keyOf({ ...target, name });
  if (store.get(target.collection, key) !== undefined) {
    throw new Failure(409, "AlreadyExists", `${target.collection} "${name}" already exists`);
  }
  validate(object);
  return store.write(target.collection, key, object, ownersAfter(undefined, object, manager));
}

function withNamespace(store: Store, { namespace }: Target, body: JsonRecord): JsonRecord {
  if (namespace === "") return body;
  if (store.get("v1/namespaces", namespace) === undefined) {
    throw new Failure(404, "NotFound", `namespaces "${namespace}" not found`);
  }
  return { ...body, metadata: { ...recordAt(body, "metadata"), namespace } };
}

/** The version or UID that the caller believes in, if it says one. */
function guard(object: JsonRecord, expected: JsonRecord): void {
  const metadata = recordAt(object, "metadata");
  for (const key of ["resourceVersion", "uid"]) {
    if (expected[key] !== undefined && expected[key] !== metadata[key]) {
      throw new Failure(
        409,
        "Conflict",
        "the object has been modified; please apply your changes to the latest version",
      );
    }
  }
}

function validate(object: JsonRecord): void {
  for (const key of ["renewTime", "acquireTime"]) {
    const time = textAt(recordAt(object, "spec"), key);
    if (time !== undefined && !/\.\d{6}Z$/.test(time)) throw new Failure(400, "BadRequest", `cannot parse ${time}`);
  }
}

function watch(
  store: Store,
  target: Target,
  query: URLSearchParams,
  response: ServerResponse,
  bookmarkMs: number,
): void {
  const since = Number(query.get("resourceVersion"));
  const select = toSelector(query, target.namespace);
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  const send = (type: string, object: unknown) => response.write(`${JSON.stringify({ type, object })}\n`);
  const watcher = ({ before, after, version }: Happened): void => {
    const was = before !== undefined && select(before);
    const is = after !== undefined && select(after);
    if (is) send(was ? "MODIFIED" : "ADDED", after);
    else if (was)
      send("DELETED", { ...before, metadata: { ...recordAt(before, "metadata"), resourceVersion: String(version) } });
  };
  try {
    const watching = store.watch(target.collection, since, watcher);
    const bookmark = () => send("BOOKMARK", { metadata: { resourceVersion: String(store.version()) } });
    const timer = query.get("allowWatchBookmarks") === "true" ? setInterval(bookmark, bookmarkMs) : undefined;
    const timeout = setTimeout(() => response.end(), Number(query.get("timeoutSeconds") ?? 300) * 1000);
    response.once("close", () => {
      clearInterval(timer);
      clearTimeout(timeout);
      watching[Symbol.dispose]();
    });
  } catch (error) {
    // As the watch cache does it: 200, and the refusal as an event.
    if (!(error instanceof Failure)) throw error;
    send("ERROR", toStatus(error));
    response.end();
  }
}

function merge(target: unknown, patch: unknown): JsonRecord {
  const next: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(isRecord(patch) ? patch : {})) {
    if (value === null) delete next[key];
    else next[key] = isRecord(value) ? merge(next[key], value) : value;
  }
  return next;
}

function toStatus({ code, reason, message, fields }: Failure): JsonRecord {
  const details =
    fields.length === 0 ? {} : { causes: fields.map((field) => ({ reason: "FieldManagerConflict", field })) };
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message, details };
}

export function reply(
  response: ServerResponse,
  code: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(code, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

async function readJson(request: IncomingMessage): Promise<JsonRecord> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  const body: unknown = text === "" ? {} : JSON.parse(text);
  return isRecord(body) ? body : {};
}

function toNamespace(name: string): JsonRecord {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name } };
}

function keyOf({ namespace, name }: Pick<Target, "namespace" | "name">): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("not listening on a port");
  return address.port;
}
