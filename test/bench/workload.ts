/** One call of Istio's CA protocol over TLS, by hand on node:http2: the library's own client would take more of the two cores than the agent. */
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { toPem } from "../../src/pki/pem.ts";
import { IstioCertificateService } from "../../src/rpc/proto.ts";
import type { Answer } from "./check.ts";
import { type MeshPlan, servingName } from "./mesh.ts";
import type { Work } from "./work.ts";

const { path, requestSerialize, responseDeserialize } = IstioCertificateService.service.CreateCertificate;

export interface Call {
  readonly work: Work;
  /** A gRPC message: a flag, the length, the protobuf. */
  readonly message: Uint8Array;
}

export function toCall(work: Work): Call {
  const body = requestSerialize({
    csr: toPem("CERTIFICATE REQUEST", work.csr),
    validityDuration: 3600,
    metadata: { fields: { CertSigner: { stringValue: "" } } },
  });
  const header = Buffer.alloc(5);
  header.writeUInt32BE(body.length, 1);
  return { work, message: Buffer.concat([header, body]) };
}

/** From an address of its own, where it stands for a node. */
export function connectTo(plan: MeshPlan, localAddress?: string): ClientHttp2Session {
  return connect(`https://${plan.agentAddress}`, {
    ca: plan.servingRootPem,
    servername: servingName,
    minVersion: "TLSv1.3",
    ...(localAddress === undefined ? {} : { localAddress }),
  });
}

/** A refusal of the agent's, with the number of its gRPC status. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(`the agent refused: ${message}`);
    this.status = status;
  }
}

/** @throws Refused, or whatever the connection broke with. */
export async function ask(session: ClientHttp2Session, { work, message }: Call): Promise<Answer> {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${work.token}`,
    clusterid: "",
  });
  const chunks: Buffer[] = [];
  let refused: Refused | undefined = new Refused(unavailable, "there is no status");
  const onStatus = ({ "grpc-status": status, "grpc-message": why }: Readonly<Record<string, unknown>>): void => {
    if (status !== undefined) refused = status === "0" ? undefined : new Refused(Number(status), String(why));
  };
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("response", onStatus);
  stream.on("trailers", onStatus);
  stream.end(message);
  await once(stream, "end");
  if (refused !== undefined) throw refused;
  const { certChain } = responseDeserialize(Buffer.concat(chunks).subarray(5));
  const [leaf, authority] = certChain;
  if (leaf === undefined || authority === undefined || certChain.length !== 3)
    throw new Error("the answer is no leaf, authority and root");
  return { work, leaf, authority };
}

/** Of gRPC: what is worth asking again. */
export const unavailable = 14;
export const resourceExhausted = 8;
