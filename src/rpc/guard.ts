/**
 * What a port takes from whoever can reach it, before anybody is known: connections that say nothing, and requests that dribble. At a
 * limit the connection that has waited longest goes, so that a newcomer is heard; those of one address push out only each other.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { constants, type ServerHttp2Stream } from "node:http2";
import { Socket } from "node:net";
import { Duplex } from "node:stream";

export interface GuardLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** Open at once, on all connections; more are answered with REFUSED_STREAM, which clients read as UNAVAILABLE. */
  readonly requestsMax: number;
  readonly requestsPerAddressMax: number;
  /** From a request's headers until all of it is there. Methods whose requests are streams are left out. */
  readonly arrivalMsMax: number;
}

/** Of a port that anybody may reach. A connection after its handshake is about 80 KB, a request without its body 10. */
export const openPort: GuardLimits = {
  connectionsMax: 2_048,
  connectionsPerAddressMax: 512,
  requestsMax: 8_192,
  requestsPerAddressMax: 1_024,
  arrivalMsMax: 10_000,
};

export type OnLimited = (limited: Limited) => void;

export interface GuardConfig {
  /** Connections to other ports of this process are not looked at. */
  readonly port: number;
  readonly limits: GuardLimits;
  /** Whether a method's requests are streams, which never are all there. */
  readonly isLasting: (path: string) => boolean;
  /** Told at the first one, and then at most every ten seconds of all since. */
  readonly onLimited: OnLimited;
}

export interface Limited {
  /** Connections closed and requests refused. */
  readonly closed: number;
  /** Of the last one. */
  readonly address: string;
  readonly connections: number;
}

export interface Guard extends Disposable {
  connections(): number;
  /** Connections and requests that a limit has closed. */
  limited(): number;
}

interface Connection {
  readonly socket: Socket;
  readonly from: Address;
  /** Requests that are all there, and lasting ones. While there is one the connection is not given up for another. */
  working: number;
}

interface Address {
  readonly name: string;
  connections: number;
  requests: number;
  /** Its connections with nothing to work on, the longest waiting first. */
  readonly waiting: Set<Connection>;
}

/** Node's own, public: every TCP connection that a server of this process takes, and every HTTP/2 request. */
const channels = { connection: "net.server.socket", request: "http2.server.stream.created" } as const;

export function openGuard({ port, limits, isLasting, onLimited }: GuardConfig): Guard {
  const connections = new Map<string, Connection>();
  const addresses = new Map<string, Address>();
  const waiting = new Set<Connection>();
  const told = openTold(onLimited, () => connections.size);
  let requests = 0;

  const onConnection = (message: unknown): void => {
    if (!isConnection(message) || message.socket.localPort !== port) return;
    const { socket } = message;
    const name = socket.remoteAddress ?? "";
    const from = addresses.get(name) ?? { name, connections: 0, requests: 0, waiting: new Set() };
    const connection = { socket, from, working: 0 };
    const key = keyOf(socket);
    addresses.set(name, from);
    connections.set(key, connection);
    from.connections += 1;
    wait(connection);
    socket.once("close", () => {
      connections.delete(key);
      leave(connection);
      from.connections -= 1;
      drop(from);
    });
    if (from.connections > limits.connectionsPerAddressMax) giveUp(from.waiting);
    else if (connections.size > limits.connectionsMax) giveUp(waiting);
  };

  const wait = (connection: Connection): void => {
    waiting.add(connection);
    connection.from.waiting.add(connection);
  };

  const leave = (connection: Connection): void => {
    waiting.delete(connection);
    connection.from.waiting.delete(connection);
  };

  /** The newcomer is among them: if all others are being worked for, it is the one. */
  const giveUp = ([longest]: Iterable<Connection>): void => {
    if (longest === undefined) return;
    leave(longest);
    longest.socket.destroy();
    told.add(longest.from.name);
  };

  const onRequest = (message: unknown): void => {
    if (!isRequest(message)) return;
    const { stream, headers } = message;
    const socket = stream.session?.socket;
    if (socket?.localPort !== port) return;
    const connection = connections.get(keyOf(socket));
    if (connection === undefined) return;
    const { from } = connection;
    if (requests >= limits.requestsMax || from.requests >= limits.requestsPerAddressMax) {
      told.add(from.name);
      return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    }
    follow(stream, connection, isLasting(headers[constants.HTTP2_HEADER_PATH] ?? ""));
  };

  const follow = (stream: ServerHttp2Stream, connection: Connection, lasting: boolean): void => {
    const { from } = connection;
    let whole = false;
    const work = (): void => {
      whole = true;
      clearTimeout(timer);
      connection.working += 1;
      leave(connection);
    };
    const timer = setTimeout(() => {
      told.add(from.name);
      stream.close(constants.NGHTTP2_CANCEL);
    }, limits.arrivalMsMax);
    requests += 1;
    from.requests += 1;
    if (lasting) work();
    else stream.once("end", work);
    stream.once("close", () => {
      clearTimeout(timer);
      stream.off("end", work);
      requests -= 1;
      from.requests -= 1;
      drop(from);
      if (!whole) return;
      connection.working -= 1;
      if (connection.working === 0 && !connection.socket.destroyed) wait(connection);
    });
  };

  const drop = ({ name, connections: left, requests: open }: Address): void => {
    if (left === 0 && open === 0) addresses.delete(name);
  };

  subscribe(channels.connection, onConnection);
  subscribe(channels.request, onRequest);
  return {
    connections: () => connections.size,
    limited: told.count,
    [Symbol.dispose]: () => {
      unsubscribe(channels.connection, onConnection);
      unsubscribe(channels.request, onRequest);
      told[Symbol.dispose]();
    },
  };
}

const tellMs = 10_000;

/** Who floods us must not flood the log. */
function openTold(
  onLimited: GuardConfig["onLimited"],
  connections: () => number,
): Disposable & { add(address: string): void; count(): number } {
  let count = 0;
  let before = 0;
  let last = "";
  let timer: NodeJS.Timeout | undefined;
  const tell = (): void => {
    timer = undefined;
    if (count === before) return;
    onLimited({ closed: count - before, address: last, connections: connections() });
    before = count;
    timer = setTimeout(tell, tellMs).unref();
  };
  return {
    add: (address) => {
      count += 1;
      last = address;
      if (timer === undefined) tell();
    },
    count: () => count,
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

function keyOf({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">): string {
  return `${remoteAddress} ${remotePort}`;
}

/** What Node's documentation says of the two messages; their type is unknown to the compiler. */
function isConnection(message: unknown): message is { readonly socket: Socket } {
  return typeof message === "object" && message !== null && "socket" in message && message.socket instanceof Socket;
}

function isRequest(message: unknown): message is { readonly stream: ServerHttp2Stream; readonly headers: Headers } {
  return typeof message === "object" && message !== null && "stream" in message && message.stream instanceof Duplex;
}

type Headers = Readonly<Record<string, string | undefined>>;
