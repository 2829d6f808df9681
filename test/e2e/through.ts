/** Passes connections on. Two clusters of the tool have no network in common, and a socket file of this machine between them. */
import { connect, createServer, type NetConnectOpts, type Server } from "node:net";

/** Each is `host:port` or the path of a socket. */
export async function startThrough(from: string, to: string): Promise<Server> {
  const server = createServer((socket) => {
    const other = connect(toAddress(to));
    for (const [one, end] of [
      [socket, other],
      [other, socket],
    ] as const)
      one.on("error", () => end.destroy()).pipe(end);
  });
  await new Promise<void>((resolve) => server.listen(toAddress(from), resolve));
  return server;
}

function toAddress(text: string): NetConnectOpts & { readonly path: string } {
  const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(text) ?? [];
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- either is what both functions take
  return (port === "" ? { path: text } : { host, port: Number(port) }) as NetConnectOpts & { readonly path: string };
}

if (import.meta.main) {
  const [from = "", to = ""] = process.argv.slice(2);
  await startThrough(from, to);
  console.log("passing on");
}
