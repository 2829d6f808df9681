/** Workloads: the keys they make, what they ask an agent over Istio's protocol, and what they are answered. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createSecureContext } from "node:tls";
import grpc from "@grpc/grpc-js";
import { type RefusalCode, refusals } from "../../src/errors.ts";
import { toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import type { ClientTls } from "../../src/rpc/client.ts";
import type { IstioCertificateRequest } from "../../src/rpc/gen/istio/v1/auth/IstioCertificateRequest.ts";
import { IstioCertificateService } from "../../src/rpc/proto.ts";
import { checkoutId, podToken, servingName } from "./documents.ts";
import { callMs } from "./patience.ts";
import type { Site } from "./site.ts";

/** What a call came to, as a client of any language sees it. */
export type Answer =
  | { readonly status: "OK"; readonly chain: readonly string[] }
  | { readonly status: string; readonly code: string; readonly message: string };

export interface Identity {
  readonly chainPem: string;
  readonly keyPem: string;
}

export interface WorkloadOptions {
  /** A client certificate. */
  readonly identity?: Identity;
}

export interface AskOptions {
  /** Undefined for none. */
  readonly token?: string | undefined;
  readonly csr?: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly validity?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
}

export interface WorkloadClient extends Disposable {
  ask(options?: AskOptions): Promise<Answer>;
  /** Sends bytes in the place of a request message. */
  send(bytes: Uint8Array, options?: Pick<AskOptions, "token" | "headers">): Promise<Answer>;
}

export interface NewKey {
  readonly privateKey: KeyObject;
  /** DER. */
  readonly spki: Uint8Array;
  readonly keyPem: string;
}

export function newKey(): NewKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  return { privateKey, spki, keyPem: privateKey.export({ type: "pkcs8", format: "pem" }) };
}

export function csrFor(uri: string = checkoutId, { privateKey }: Pick<NewKey, "privateKey"> = newKey()): Uint8Array {
  return toCsr({ privateKey, uri, subject: "istio" });
}

export function openWorkload(
  address: string,
  tls: ClientTls,
  cluster: string,
  { identity }: WorkloadOptions = {},
): WorkloadClient {
  const own = identity === undefined ? {} : { cert: identity.chainPem, key: identity.keyPem };
  const credentials = grpc.ChannelCredentials.createFromSecureContext(
    createSecureContext({ ca: tls.rootsPem, minVersion: "TLSv1.2", ...own }),
  );
  const client = new IstioCertificateService(address, credentials, {
    "grpc.ssl_target_name_override": tls.serverName,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 200,
  });
  const toMetadata = (token: string | undefined, headers: Readonly<Record<string, string>>): grpc.Metadata => {
    const metadata = new grpc.Metadata();
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    for (const [name, value] of Object.entries({ clusterid: cluster, ...headers })) metadata.add(name, value);
    return metadata;
  };
  return {
    ask: async (options = {}) => {
      const {
        csr = csrFor(),
        headers = {},
        validity = "0",
        metadata = { CertSigner: "" },
        deadlineMs = callMs,
      } = options;
      const token = "token" in options ? options.token : podToken(cluster);
      const fields = Object.fromEntries(Object.entries(metadata).map(([k, v]) => [k, { stringValue: v }]));
      const request: IstioCertificateRequest = {
        csr: typeof csr === "string" ? csr : toPem("CERTIFICATE REQUEST", csr),
        validityDuration: validity,
        metadata: { fields },
      };
      return await answer((done) =>
        client.createCertificate(request, toMetadata(token, headers), { deadline: Date.now() + deadlineMs }, done),
      );
    },
    send: async (bytes, { token = podToken(cluster), headers = {} } = {}) =>
      await answer((done) =>
        client.makeUnaryRequest(
          "/istio.v1.auth.IstioCertificateService/CreateCertificate",
          (raw: Uint8Array) => Buffer.from(raw),
          () => ({ certChain: [] }),
          bytes,
          toMetadata(token, headers),
          { deadline: Date.now() + callMs },
          done,
        ),
      ),
    [Symbol.dispose]: () => client.close(),
  };
}

async function answer(
  make: (done: (error: grpc.ServiceError | null, reply?: { readonly certChain: readonly string[] }) => void) => unknown,
): Promise<Answer> {
  return await new Promise((resolve) => {
    make((error, reply) => resolve(error === null ? { status: "OK", chain: reply?.certChain ?? [] } : toAnswer(error)));
  });
}

function toAnswer({ code, details, metadata }: grpc.ServiceError): Exclude<Answer, { status: "OK" }> {
  const [sent = ""] = metadata.get("espalier-code");
  return { status: grpc.status[code], code: sent.toString(), message: details };
}

/** A refusal is what the table of codes says of it, in both places where a client can look. */
export function assertRefused(answered: Answer, code: RefusalCode, message?: RegExp): void {
  assert.ok("code" in answered, "it was answered with a certificate");
  assert.deepEqual(
    { code: answered.code, status: answered.status },
    { code, status: refusals[code].status },
    answered.message,
  );
  if (message !== undefined) assert.match(answered.message, message);
}

export function assertIssued(answered: Answer): readonly string[] {
  assert.ok("chain" in answered, `refused: ${JSON.stringify(answered)}`);
  return answered.chain;
}

/** A workload's certificate with its key, as it would show them. */
export function toIdentity(chain: readonly string[], { keyPem }: NewKey): Identity {
  return { chainPem: chain.slice(0, -1).join(""), keyPem };
}

export function tlsOf(site: Site, cluster: string): ClientTls {
  return { rootsPem: site.servingRootsPem[cluster] ?? "", serverName: servingName(cluster) };
}
