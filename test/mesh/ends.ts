/** The ends of connections that are not Istio's: an application behind an Envoy, and whoever speaks to an Envoy with a certificate in hand. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { join } from "node:path";
import tls from "node:tls";

export interface Certificate {
  /** Leaf first. */
  readonly chainPem: string;
  readonly keyPem: string;
  readonly rootsPem: string;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
}

const deadlineMs = 30_000;

export interface Server extends AsyncDisposable {
  readonly port: number;
}

/** Tells callers their SPIFFE ID, as its Envoy says it saw it. */
export async function startApplication(): Promise<Server> {
  const server = http.createServer((request, response) => {
    const shown = String(request.headers["x-forwarded-client-cert"] ?? "");
    response.end(/(?:^|;)URI=([^;,]+)/.exec(shown)?.[1] ?? "");
  });
  return await listen(server, 0);
}

/** Serves under a certificate, whoever asks. */
export async function startServer(port: number, { chainPem, keyPem }: Certificate): Promise<Server> {
  // Istio's Envoys offer a protocol of their own name.
  const ALPNCallback = ({ protocols: [first] }: { readonly protocols: string[] }) => first;
  const server = https.createServer({ cert: chainPem, key: keyPem, ALPNCallback }, (_, response) => response.end());
  return await listen(server, port);
}

async function listen(server: http.Server, port: number): Promise<Server> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port was bound");
  return {
    port: address.port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** In the clear, as an application calls through its own Envoy. */
export async function call(port: number, host: string): Promise<Reply> {
  return await read(http.request({ host: "127.0.0.1", port, headers: { host }, agent: false, timeout: deadlineMs }));
}

/** As an Envoy calls another one: with a certificate, or none. The server's is verified up to its root. */
export async function callWith(port: number, rootsPem: string, shown?: Certificate): Promise<Reply> {
  const own = shown === undefined ? {} : { cert: shown.chainPem, key: shown.keyPem };
  const checkServerIdentity = (): undefined => undefined;
  const options = { ca: rootsPem, checkServerIdentity, ...own, agent: false, timeout: deadlineMs };
  return await read(https.request({ host: "127.0.0.1", port, ...options }));
}

async function read(request: http.ClientRequest): Promise<Reply> {
  request.on("timeout", () => request.destroy(new Error(`no answer within ${deadlineMs} ms`)));
  request.end();
  const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once("response", resolve).once("error", reject);
  });
  let body = "";
  for await (const part of answer) body += String(part);
  return { status: answer.statusCode ?? 0, body };
}

/** The certificate that is served under a name, verified under these roots; DER. */
export async function certificateAt(port: number, rootsPem: string, servername: string): Promise<Buffer> {
  const socket = tls.connect({ host: "127.0.0.1", port, ca: rootsPem, servername, timeout: deadlineMs });
  await once(socket, "secureConnect");
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return raw;
}

/** One connection between two workloads. */
export interface Held extends AsyncDisposable {
  /** What comes back of it: the same, as long as the connection is there. */
  say(text: string): Promise<string>;
}

/** By the files that both have now, as pilot-agent writes them. */
export async function holdConnection(client: string, server: string): Promise<Held> {
  const listener = tls.createServer({ ...readFiles(server), requestCert: true }, (socket) => socket.pipe(socket));
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const address = listener.address();
  if (typeof address !== "object" || address === null) throw new Error("no port was bound");
  const checkServerIdentity = (): undefined => undefined;
  const socket = tls.connect({ ...readFiles(client), host: "127.0.0.1", port: address.port, checkServerIdentity });
  await once(socket, "secureConnect");
  return {
    say: async (text) => {
      socket.write(text);
      const [answer] = await once(socket, "data", { signal: AbortSignal.timeout(deadlineMs) });
      return String(answer);
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(listener, "close");
      socket.destroy();
      listener.close();
      await closed;
    },
  };
}

function readFiles(directory: string): { cert: Buffer; key: Buffer; ca: Buffer } {
  const read = (name: string): Buffer => readFileSync(join(directory, name));
  return { cert: read("cert-chain.pem"), key: read("key.pem"), ca: read("root-cert.pem") };
}
