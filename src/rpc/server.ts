/** A gRPC server whose handlers are plain functions: errors become statuses in one place, and nothing runs without limits. */
import grpc from "@grpc/grpc-js";
import { Refusal } from "../errors.ts";
import { type Guard, type OnLimited, openGuard, openPort } from "./guard.ts";
import { readUnreadable, toStatus } from "./status.ts";
import { type Stream, toStream } from "./stream.ts";

/** Who calls, and with what headers. */
export interface Caller {
  /** All values of a header, as sent. */
  header(name: string): readonly string[];
  /** DER of the client's certificate; undefined when it showed none or one that does not verify. */
  certificate(): Uint8Array | undefined;
}

export interface Limits {
  readonly messageBytesMax: number;
  readonly streamsPerConnectionMax: number;
  /** Connections end after this long, so that clients find new replicas (grpc-go balances no other way). */
  readonly connectionAgeMs: number;
  readonly connectionIdleMs: number;
}

export interface RpcServer extends AsyncDisposable {
  readonly port: number;
  /** Of a port that anybody may reach. */
  readonly guard: Pick<Guard, "connections" | "limited"> | undefined;
}

/** Told of what never became a request: a message that is too long, or none at all. No handler sees it. */
export type OnUnreadable = (method: string, refusal: Refusal) => void;

/**
 * Asked before a handler sees a request, with the DER of a client certificate that verifies: who may call the method, and what
 * the request is taken for. Asked again and again while the call goes on, which ends when it throws. @throws Refusal.
 */
export type Admit = (method: string, certificate: Uint8Array | undefined, request: unknown) => Promise<unknown>;

type AnyCall =
  | grpc.ServerUnaryCall<unknown, unknown>
  | grpc.ServerWritableStream<unknown, unknown>
  | grpc.ServerDuplexStream<unknown, unknown>;

/** A handler of one request and one reply. The deadline is the server's own: no client of Istio's protocol sets one. */
export function unary<Q, R>(
  deadlineMs: number,
  answer: (request: Q, caller: Caller) => Promise<R>,
): grpc.handleUnaryCall<Q, R> {
  return (call, callback) => {
    let timer: NodeJS.Timeout | undefined = setTimeout(
      () => finish(new Refusal("unavailable", "no answer in time")),
      deadlineMs,
    );
    const finish = (error: unknown, reply?: R): void => {
      if (timer === undefined) return;
      clearTimeout(timer);
      timer = undefined;
      if (error === undefined && reply !== undefined) callback(null, reply);
      else callback(toStatus(error));
    };
    // An async handler's rejection would otherwise be nobody's: grpc-js does not look at what a handler returns.
    answer(call.request, toCaller(call)).then((reply) => finish(undefined, reply), finish);
  };
}

/** How long the caller of one stream may keep it waiting, all in all: what makes the replies may be one of few. */
const unreadMsMax = 60_000;

/** A handler of one request and many replies. Who does not read them gets no more. */
export function serverStream<Q, R>(
  answer: (request: Q, caller: Caller) => AsyncIterable<R>,
  unreadMs = unreadMsMax,
): grpc.handleServerStreamingCall<Q, R> {
  return (call) => {
    const send = async (): Promise<void> => {
      let leftMs = unreadMs;
      for await (const reply of answer(call.request, toCaller(call))) {
        if (call.cancelled) return;
        if (call.write(reply)) continue;
        const since = performance.now();
        await drained(call, leftMs);
        leftMs -= performance.now() - since;
      }
      call.end();
    };
    send().catch((error: unknown) => call.emit("error", toStatus(error)));
  };
}

/** Or closed. @throws Refusal `overloaded`. */
function drained(call: Pick<NodeJS.EventEmitter, "once" | "off">, withinMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (go: () => void) => (): void => {
      clearTimeout(timer);
      for (const event of events) call.off(event, done);
      go();
    };
    const events = ["drain", "close"] as const;
    const done = settle(resolve);
    const late = settle(() => reject(new Refusal("overloaded", "the answer is not read: ask again")));
    const timer = setTimeout(late, withinMs);
    for (const event of events) call.once(event, done);
  });
}

/** A handler of a long-lived bidirectional stream. */
export function duplex<Q, R>(
  accept: (stream: Stream<Q, R>, caller: Caller) => void,
): grpc.handleBidiStreamingCall<Q, R> {
  return (call) => {
    const fail = (error: Refusal): void => void call.emit("error", toStatus(error));
    try {
      accept(
        toStream(call, () => call.end(), fail),
        toCaller(call),
      );
    } catch (error) {
      call.emit("error", toStatus(error));
    }
  };
}

export interface ServerConfig {
  /** `host:port`, or `unix:/path`. */
  readonly address: string;
  readonly limits: Limits;
  /** How long calls in flight may go on once the server closes. */
  readonly drainMs: number;
  readonly onUnreadable?: OnUnreadable;
  /** Without it, whoever gets through may call. */
  readonly admit?: Admit;
  /** For a port that anybody may reach; the limits are those of `openPort`. */
  readonly onLimited?: OnLimited;
}

/** `register` adds the services. Closing refuses new calls, waits for those in flight, then cuts what is left. */
export async function startServer(
  config: ServerConfig,
  credentials: grpc.ServerCredentials,
  register: (server: Pick<grpc.Server, "addService">) => void,
): Promise<RpcServer> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": config.limits.messageBytesMax,
    "grpc.max_concurrent_streams": config.limits.streamsPerConnectionMax,
    "grpc.max_connection_age_ms": config.limits.connectionAgeMs,
    "grpc.max_connection_age_grace_ms": 30_000,
    "grpc.max_connection_idle_ms": config.limits.connectionIdleMs,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc-node.max_session_memory": 16,
    "grpc.enable_channelz": 0,
    interceptors: [
      refuseUnreadable(config.onUnreadable ?? (() => {})),
      ...(config.admit === undefined ? [] : [admitFirst(config.admit)]),
    ],
  });
  const lasting = new Set<string>();
  register({
    addService: (definition, implementation) => {
      for (const { path, requestStream } of Object.values(definition)) if (requestStream) lasting.add(path);
      server.addService(definition, implementation);
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(config.address, credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  const { onLimited, drainMs } = config;
  const guard = onLimited && openGuard({ port, limits: openPort, isLasting: (path) => lasting.has(path), onLimited });
  return {
    port,
    guard,
    [Symbol.asyncDispose]: async () => {
      using _ = guard;
      await shutDown(server, drainMs);
    },
  };
}

function shutDown(server: grpc.Server, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, drainMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * What grpc-js itself refuses it answers with RESOURCE_EXHAUSTED and INTERNAL, which Istio's agents retry, and it tells nobody.
 * Its status passes by every interceptor's own hooks, but goes through this method of the call below them.
 */
function refuseUnreadable(onUnreadable: OnUnreadable): grpc.ServerInterceptor {
  return ({ path }, call) => {
    const send = call.sendStatus.bind(call);
    call.sendStatus = (status) => {
      const refusal = readUnreadable(status);
      if (refusal === undefined) return send(status);
      onUnreadable(path, refusal);
      send(toStatus(refusal));
    };
    return new grpc.ServerInterceptingCall(call);
  };
}

/** How soon a call ends whose caller may not go on: a stream would else last as long as its connection. */
const readmitMs = 1_000;

/** No handler begins before it has its request, so none is called for what is not admitted. */
function admitFirst(admit: Admit): grpc.ServerInterceptor {
  return ({ path }, call) => {
    const method = path.slice(path.lastIndexOf("/") + 1);
    let timer: NodeJS.Timeout | undefined;
    let ended = false;
    const end = (): void => {
      ended = true;
      clearTimeout(timer);
    };
    const refuse = (error: unknown): void => {
      end();
      call.sendStatus(toStatus(error));
    };
    const admitAgain = (message: unknown): void => {
      const ask = async (): Promise<unknown> => await admit(method, certificateOf(call), message);
      if (!ended) timer = setTimeout(() => void ask().then(() => admitAgain(message), refuse), readmitMs);
    };
    return new grpc.ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMessage: (message: unknown, pass) =>
            void admit(method, certificateOf(call), message).then((taken) => {
              admitAgain(message);
              pass(taken);
            }, refuse),
          onCancel: end,
        }),
      sendStatus: (status, next) => {
        end();
        next(status);
      },
    });
  };
}

function toCaller(call: AnyCall): Caller {
  return {
    header: (name) => call.metadata.get(name).filter((value) => typeof value === "string"),
    certificate: () => certificateOf(call),
  };
}

function certificateOf(call: Pick<AnyCall, "getAuthContext">): Uint8Array | undefined {
  return call.getAuthContext()?.sslPeerCertificate?.raw;
}

export const unencrypted = grpc.ServerCredentials.createInsecure();
