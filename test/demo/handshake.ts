/** mTLS between two workloads with the files they hold, and the check of the trust domain that Istio's data plane makes. */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";

export interface Handshake {
  /** What each end saw of the other; missing when the chain did not verify. */
  readonly clientSaw?: string;
  readonly serverSaw?: string;
  readonly error?: string;
}

/** `server` accepts only peers of its own trust domain, as Envoy and ztunnel do. */
export async function shakeHands(client: string, server: string): Promise<Handshake> {
  const [from, to] = [await readFiles(client), await readFiles(server)];
  let serverSaw: string | undefined;
  const listener = createServer(
    { ...to, requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.3" },
    (socket) => {
      serverSaw = uriOf(socket);
      if (trustDomainOf(serverSaw) === trustDomainOf(to.uri)) socket.end("welcome");
      else socket.destroy();
    },
  );
  await new Promise<void>((ready) => listener.listen(0, "127.0.0.1", ready));
  const address = listener.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const outcome = await new Promise<Handshake>((resolve) => {
    // SPIFFE identities, not host names: the URI is looked at instead.
    const socket = connect({
      ...from,
      port,
      host: "127.0.0.1",
      checkServerIdentity: () => undefined,
      minVersion: "TLSv1.3",
    });
    let clientSaw = "";
    let welcomed = false;
    socket.on("secureConnect", () => {
      clientSaw = uriOf(socket);
    });
    socket.on("data", () => {
      welcomed = true;
    });
    socket.on("error", (error) => resolve({ clientSaw, error: error.message }));
    socket.on("close", () =>
      resolve(welcomed ? { clientSaw } : { clientSaw, error: "the server ended the connection" }),
    );
  });
  await new Promise((closed) => listener.close(closed));
  return { ...outcome, ...(serverSaw === undefined ? {} : { serverSaw }) };
}

async function readFiles(directory: string): Promise<{ cert: string; key: string; ca: string; uri: string }> {
  const [cert, key, ca] = await Promise.all(
    ["cert-chain.pem", "key.pem", "root-cert.pem"].map(async (f) => await readFile(join(directory, f), "utf8")),
  );
  if (cert === undefined || key === undefined || ca === undefined) throw new Error(`no certificate in ${directory}`);
  return { cert, key, ca, uri: new X509Certificate(cert).subjectAltName?.replace(/^URI:/, "") ?? "" };
}

function uriOf(socket: TLSSocket): string {
  return socket.getPeerCertificate().subjectaltname?.replace(/^URI:/, "") ?? "";
}

function trustDomainOf(uri: string): string {
  return uri.split("/")[2] ?? "";
}
