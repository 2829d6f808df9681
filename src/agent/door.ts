/** The port that workloads use. It opens once there is a certificate to serve with and roots to verify clients with. */
import type { Log } from "../ops/log.ts";
import { openServerCredentials, type ServerCredentials, type ServerTls } from "../rpc/credentials.ts";
import type { IstioCertificateServiceHandlers } from "../rpc/gen/istio/v1/auth/IstioCertificateService.ts";
import type { OnLimited } from "../rpc/guard.ts";
import { IstioCertificateService } from "../rpc/proto.ts";
import { type Limits, type OnUnreadable, type RpcServer, startServer } from "../rpc/server.ts";
import type { KeyPair } from "./key-pair.ts";

export interface Door extends AsyncDisposable {
  readonly listening: Promise<number>;
  /** Open now. */
  connections(): number;
  /** Connections and requests that a limit has closed. */
  limited(): number;
  /** The roots that clients' certificates may chain to, PEM. */
  trust(rootsPem: string): void;
  serve(pair: KeyPair): void;
}

const limits: Limits = {
  // A CSR with an RSA-4096 key is 2 KB, a token at most 8.
  messageBytesMax: 64 * 1024,
  streamsPerConnectionMax: 1_000,
  connectionAgeMs: 30 * 60_000,
  // Ten thousand sidecars that hold on to idle connections are 0.8 GB.
  connectionIdleMs: 30_000,
};
const drainMs = 20_000;

export interface DoorParts {
  readonly service: IstioCertificateServiceHandlers;
  readonly onUnreadable: OnUnreadable;
  readonly log: Log;
}

export function openDoor(address: string, { service, onUnreadable, log }: DoorParts): Door {
  const { promise: listening, resolve, reject } = Promise.withResolvers<number>();
  let clientRootsPem: string | undefined;
  let pair: KeyPair | undefined;
  let credentials: ServerCredentials | undefined;
  let server: Promise<RpcServer> | undefined;
  let guard: RpcServer["guard"];
  // An address that cannot be bound is logged here, whether or not anybody waits for the port.
  listening.catch((error: unknown) => log.error("the port for workloads is not served", { address }, error));

  /** What does not fit together throws, and what was in force stays. */
  const publish = (next: { readonly pair?: KeyPair; readonly clientRootsPem?: string }): void => {
    const wanted = { pair, clientRootsPem, ...next };
    if (wanted.pair !== undefined && wanted.clientRootsPem !== undefined && wanted.clientRootsPem !== "") {
      const { chainPem, keyPem } = wanted.pair;
      putInForce({ chainPem, keyPem, clientRootsPem: wanted.clientRootsPem });
    }
    ({ pair, clientRootsPem } = wanted);
  };

  const putInForce = (tls: ServerTls): void => {
    if (credentials !== undefined) return credentials.publish(tls);
    credentials = openServerCredentials("TLSv1.2", tls);
    const onLimited: OnLimited = (limited) => log.warn("too much at the port", { ...limited });
    server = startServer({ address, limits, drainMs, onUnreadable, onLimited }, credentials.credentials, (s) =>
      s.addService(IstioCertificateService.service, service),
    );
    server.then((opened) => {
      ({ guard } = opened);
      log.info("serving workloads", { address, port: opened.port });
      resolve(opened.port);
    }, reject);
  };

  return {
    listening,
    connections: () => guard?.connections() ?? 0,
    limited: () => guard?.limited() ?? 0,
    trust: (rootsPem) => publish({ clientRootsPem: rootsPem }),
    serve: (next) => publish({ pair: next }),
    [Symbol.asyncDispose]: async () => await (await server?.catch(() => undefined))?.[Symbol.asyncDispose](),
  };
}
