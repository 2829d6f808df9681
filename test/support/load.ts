/**
 * Workloads that want their certificates, as Istio's agents ask for them: one connection each, kept for the next time and made anew
 * after a call that failed; five attempts in a call, 100, 200, 400 and 800 ms apart, of what their middleware takes for passing.
 */
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { createSecureContext } from "node:tls";
import grpc from "@grpc/grpc-js";
import { readPem, toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import { IstioCertificateService } from "../../src/rpc/proto.ts";
import { groundServingName, groundTrustDomain } from "./ground.ts";
import type { Random } from "./random.ts";

export interface Attempt {
  /** Since the load began, when its answer was there. */
  readonly atMs: number;
  readonly status: string;
  readonly message: string;
}

export interface Call {
  readonly startMs: number;
  readonly attempts: readonly Attempt[];
  /** What the client holds now. */
  readonly held?: Held;
}

export interface Held {
  /** DER. */
  readonly leaf: Uint8Array;
  readonly at: Date;
}

export interface LoadConfig {
  readonly address: string;
  readonly servingRootPem: string;
  /** What the agent serves with; the ground's by default. */
  readonly servingName?: string;
  readonly token: (serviceAccount: string) => string;
  readonly random: Random;
}

export interface Load {
  /** One call of one workload, to its end. */
  call(): Promise<void>;
  readonly calls: readonly Call[];
  close(): void;
}

const attemptsMax = 5;
const backoffMs = 100;
/** Of each pause, either way. */
const jitter = 0.1;
/** What their middleware tries again (go-grpc-middleware, with the codes of Istio's `pkg/security/retry.go`). */
const passing: ReadonlySet<string> = new Set(["RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNAVAILABLE"]);
/** They set no deadline. Whoever has not answered by now never does, and that is a fault. */
const patienceMs = 60_000;
/** Accounts that ask. */
const accounts = 50;

type Client = InstanceType<typeof IstioCertificateService>;

export function startLoad({
  address,
  servingRootPem,
  servingName = groundServingName,
  token,
  random,
}: LoadConfig): Load {
  const began = performance.now();
  const calls: Call[] = [];
  const idle: Client[] = [];
  const credentials = grpc.ChannelCredentials.createFromSecureContext(
    createSecureContext({ ca: servingRootPem, minVersion: "TLSv1.2" }),
  );
  const open = (): Client =>
    new IstioCertificateService(address, credentials, {
      "grpc.ssl_target_name_override": servingName,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
    });
  const sinceStart = (): number => Math.round(performance.now() - began);

  const call = async (): Promise<void> => {
    const startMs = sinceStart();
    const client = idle.pop() ?? open();
    const serviceAccount = `web-${random.below(accounts)}`;
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const uri = `spiffe://${groundTrustDomain}/ns/shop/sa/${serviceAccount}`;
    const csr = toPem("CERTIFICATE REQUEST", toCsr({ privateKey, uri, subject: "istio" }));
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${token(serviceAccount)}`);
    metadata.set("clusterid", "east");
    const attempts: Attempt[] = [];
    for (let pauseMs = backoffMs; ; pauseMs *= 2) {
      const { status, message, chain } = await ask(client, csr, metadata);
      attempts.push({ atMs: sinceStart(), status, message });
      if (status === "OK") {
        const leaf = readPem(chain[0] ?? "", ["CERTIFICATE"]);
        const certificate = new X509Certificate(leaf);
        const isOurs =
          certificate.subjectAltName === `URI:${uri}` && certificate.publicKey.equals(publicKey) && chain.length === 3;
        if (!isOurs) throw new Error(`a certificate that was not asked for: ${certificate.subjectAltName}`);
        calls.push({ startMs, attempts, held: { leaf, at: new Date() } });
        idle.push(client);
        return;
      }
      if (!passing.has(status) || attempts.length === attemptsMax) break;
      await delay(pauseMs * (1 - jitter + 2 * jitter * random.next()));
    }
    client.close();
    calls.push({ startMs, attempts });
  };
  return {
    call,
    calls,
    close: () => {
      for (const client of idle) client.close();
    },
  };
}

interface Answer {
  readonly status: string;
  readonly message: string;
  readonly chain: readonly string[];
}

async function ask(client: Client, csr: string, metadata: grpc.Metadata): Promise<Answer> {
  const request = { csr, validityDuration: 0, metadata: { fields: { CertSigner: { stringValue: "" } } } };
  return await new Promise((resolve) => {
    client.createCertificate(request, metadata, { deadline: Date.now() + patienceMs }, (error, reply) => {
      if (error === null) resolve({ status: "OK", message: "", chain: reply?.certChain ?? [] });
      else resolve({ status: grpc.status[error.code], message: error.details, chain: [] });
    });
  });
}
