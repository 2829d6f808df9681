/** Channels to our servers and to anybody who speaks Istio's CA protocol. */
import { createSecureContext } from "node:tls";
import grpc from "@grpc/grpc-js";
import type { AdminClient } from "./gen/espalier/v1/Admin.ts";
import type { IssuerClient } from "./gen/espalier/v1/Issuer.ts";
import type { SignBatch } from "./gen/espalier/v1/SignBatch.ts";
import type { SignReplies__Output } from "./gen/espalier/v1/SignReplies.ts";
import type { Trust__Output } from "./gen/espalier/v1/Trust.ts";
import type { TrustAck } from "./gen/espalier/v1/TrustAck.ts";
import type { IstioCertificateRequest } from "./gen/istio/v1/auth/IstioCertificateRequest.ts";
import type { IstioCertificateResponse__Output } from "./gen/istio/v1/auth/IstioCertificateResponse.ts";
import { Admin, Issuer, IstioCertificateService } from "./proto.ts";
import { readStatus } from "./status.ts";
import { type Stream, toStream } from "./stream.ts";

export type { IssuerClient };

export interface ClientTls {
  /** PEM roots; the server must chain to one. */
  readonly rootsPem: string;
  /** The name the server's certificate must carry. */
  readonly serverName: string;
  /** Our own certificate and key, where the server asks who we are. */
  readonly identity?: { readonly chainPem: string; readonly keyPem: string };
}

const connectDeadlineMs = 5_000;

const common: grpc.ClientOptions = {
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 5_000,
  "grpc.keepalive_time_ms": 15_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.enable_channelz": 0,
  "grpc.enable_http_proxy": 0,
};

export function openIssuer(address: string, tls: ClientTls): IssuerClient {
  return new Issuer(address, toCredentials(tls, "TLSv1.3"), {
    ...common,
    "grpc.ssl_target_name_override": tls.serverName,
    "grpc.max_receive_message_length": 16 * 1024 * 1024,
  });
}

/** Calls once it is connected, or with what went wrong: of itself grpc-js waits for ever for one who accepts and says nothing. */
export function whenConnected(client: IssuerClient, done: (error: Error | undefined) => void): void {
  client.waitForReady(Date.now() + connectDeadlineMs, done);
}

/**
 * Closes a client. While it connects that has to wait: grpc-js forgets a socket whose channel is closed meanwhile, and it stays
 * open for as long as the other end likes.
 */
export function closeClient(client: IssuerClient): void {
  if (client.getChannel().getConnectivityState(false) !== grpc.connectivityState.CONNECTING) return client.close();
  whenConnected(client, () => client.close());
}

/** The operators' socket: a path on this machine. */
export function openAdmin(socketPath: string): AdminClient {
  return new Admin(`unix:${socketPath}`, grpc.credentials.createInsecure(), {
    ...common,
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
  });
}

/** The operators' verbs from elsewhere. */
export function openRemoteAdmin(address: string, tls: ClientTls): AdminClient {
  return new Admin(address, toCredentials(tls, "TLSv1.3"), {
    ...common,
    "grpc.ssl_target_name_override": tls.serverName,
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
  });
}

export function openSignStream(client: IssuerClient): Stream<SignReplies__Output, SignBatch> {
  const call = client.sign();
  return toStream(
    call,
    () => call.end(),
    () => call.cancel(),
  );
}

export function openWatchStream(client: IssuerClient): Stream<Trust__Output, TrustAck> {
  const call = client.watch();
  return toStream(
    call,
    () => call.end(),
    () => call.cancel(),
  );
}

/** One unary call as a promise, with a deadline. @throws Refusal as the server sent it, or `unavailable`. */
export function call<Q, R>(
  method: (
    request: Q,
    options: grpc.CallOptions,
    callback: (error: grpc.ServiceError | null, reply?: R) => void,
  ) => unknown,
  request: Q,
  deadlineMs: number,
): Promise<R> {
  return new Promise((resolve, reject) => {
    method(request, { deadline: Date.now() + deadlineMs }, (error, reply) => {
      if (error !== null || reply === undefined) reject(readStatus(error));
      else resolve(reply);
    });
  });
}

/** A server stream's messages. @throws Refusal as `call` does. */
export async function* readStream<R>(stream: grpc.ClientReadableStream<R>): AsyncGenerator<R> {
  try {
    for await (const message of stream) yield message;
  } catch (error) {
    throw readStatus(error);
  }
}

/** Asks an agent for a certificate as a workload does. @throws Refusal. */
export async function createCertificate(
  address: string,
  tls: ClientTls,
  request: IstioCertificateRequest,
  headers: Readonly<Record<string, string>>,
  deadlineMs: number,
): Promise<IstioCertificateResponse__Output> {
  const client = new IstioCertificateService(address, toCredentials(tls, "TLSv1.2"), {
    ...common,
    "grpc.ssl_target_name_override": tls.serverName,
  });
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  try {
    return await call((q, options, done) => client.createCertificate(q, metadata, options, done), request, deadlineMs);
  } finally {
    client.close();
  }
}

function toCredentials(tls: ClientTls, minVersion: "TLSv1.2" | "TLSv1.3"): grpc.ChannelCredentials {
  const identity = tls.identity === undefined ? {} : { cert: tls.identity.chainPem, key: tls.identity.keyPem };
  return grpc.ChannelCredentials.createFromSecureContext(
    createSecureContext({ ca: tls.rootsPem, minVersion, ...identity }),
  );
}
