/** Drives an agent as its workloads do: Istio's CA protocol over TLS, on connections that stay or a new one for each CSR. */
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { toPem } from "../../src/pki/pem.ts";
import { IstioCertificateService } from "../../src/rpc/proto.ts";
import { type Answer, checkAnswers } from "./check.ts";
import { type Order, serveDriver } from "./driver.ts";
import { type MeshPlan, servingName } from "./mesh.ts";
import { makeWork, openTokens, type Work } from "./work.ts";

/** CSRs that are on their way at once, each with a connection of its own. */
const connections = 32;

const plan: MeshPlan = JSON.parse(process.argv.at(-1) ?? "");
const tokens = openTokens(plan.tokenKeyPem);
// By hand on node:http2: the library's own client would take more of the two cores than the agent.
const { path, requestSerialize, responseDeserialize } = IstioCertificateService.service.CreateCertificate;

interface Call {
  readonly work: Work;
  /** A gRPC message: a flag, the length, the protobuf. */
  readonly message: Uint8Array;
}

let calls: readonly Call[] = [];
let answers: Answer[] = [];
let kind = "";
let kept: readonly ClientHttp2Session[] = [];

function toCall(work: Work): Call {
  const body = requestSerialize({
    csr: toPem("CERTIFICATE REQUEST", work.csr),
    validityDuration: 3600,
    metadata: { fields: { CertSigner: { stringValue: "" } } },
  });
  const header = Buffer.alloc(5);
  header.writeUInt32BE(body.length, 1);
  return { work, message: Buffer.concat([header, body]) };
}

function open(): ClientHttp2Session {
  const session = connect(`https://${plan.agentAddress}`, {
    ca: plan.servingRootPem,
    servername: servingName,
    minVersion: "TLSv1.3",
  });
  session.on("error", fail);
  return session;
}

/** The parent sees the process end, and what it wrote. */
function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

async function ask(session: ClientHttp2Session, { work, message }: Call): Promise<Answer> {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${work.token}`,
    clusterid: "",
  });
  const chunks: Buffer[] = [];
  let refused = "there is no status";
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("trailers", (trailers) => {
    refused = trailers["grpc-status"] === "0" ? "" : String(trailers["grpc-message"]);
  });
  stream.end(message);
  await once(stream, "end");
  if (refused !== "") throw new Error(`the agent refused: ${refused}`);
  const { certChain } = responseDeserialize(Buffer.concat(chunks).subarray(5));
  const [leaf, authority] = certChain;
  if (leaf === undefined || authority === undefined || certChain.length !== 3)
    throw new Error("the answer is no leaf, authority and root");
  return { work, leaf, authority };
}

async function askOnce(call: Call): Promise<Answer> {
  const session = open();
  const answer = await ask(session, call);
  session.close();
  return answer;
}

async function run(): Promise<readonly number[]> {
  answers = [];
  const latencies: number[] = [];
  const next = calls.values();
  const line = async (_: unknown, n: number): Promise<void> => {
    const session = kept[n];
    for (const call of next) {
      const start = performance.now();
      answers.push(session === undefined ? await askOnce(call) : await ask(session, call));
      latencies.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: connections }, line));
  return latencies;
}

async function openKept(): Promise<void> {
  for (const session of kept) session.close();
  kept = kind === "persistent" ? Array.from({ length: connections }, open) : [];
  await Promise.all(kept.map((session) => once(session, "connect")));
}

serveDriver({
  prepare: async (order: Order) => {
    ({ kind } = order);
    calls = (await makeWork(tokens, order.count)).map(toCall);
    await openKept();
  },
  run: async () => ({ latenciesMs: await run() }),
  check: () => checkAnswers(answers, calls.length),
});
