/** /metrics, /healthz and /readyz: plain HTTP for the machine that watches us. Nothing secret is served here. */
import { createServer } from "node:http";
import { toHostPort } from "./address.ts";
import type { Metrics } from "./metrics.ts";

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

/** `waitingFor` answers what is still missing before we are ready; empty means ready. */
export async function startHttp(
  address: string,
  parts: { readonly metrics: Metrics; readonly waitingFor: () => readonly string[] },
): Promise<HttpServer> {
  const server = createServer(
    { requestTimeout: 5_000, headersTimeout: 5_000, maxHeaderSize: 8 * 1024 },
    (request, response) => {
      const answer = (status: number, type: string, body: string): void => {
        response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
      };
      switch (request.method === "GET" ? request.url : undefined) {
        case "/metrics":
          parts.metrics.registry.metrics().then(
            (text) => answer(200, parts.metrics.registry.contentType, text),
            () => answer(500, "text/plain", "metrics failed\n"),
          );
          return;
        case "/healthz":
          return answer(200, "text/plain", "ok\n");
        case "/readyz": {
          const missing = parts.waitingFor();
          return missing.length === 0
            ? answer(200, "text/plain", "ok\n")
            : answer(503, "text/plain", `waiting for ${missing.join(", ")}\n`);
        }
        case undefined:
        default:
          return answer(404, "text/plain", "not found\n");
      }
    },
  );
  server.maxConnections = 64;
  const { host, port } = toHostPort(address);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, host, resolve);
  });
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
