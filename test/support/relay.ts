/** A port that leads to another one, which can be changed: connections that were there break, as in a failover. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface Relay extends AsyncDisposable {
  readonly port: number;
  to(port: number): void;
}

/** `target` is a port, or says one for each connection, as what balances does. */
export async function startRelay(target: number | (() => number)): Promise<Relay> {
  let current = target;
  const open = new Set<Socket>();
  const server = createServer((from) => {
    const to = connect(typeof current === "number" ? current : current(), "127.0.0.1");
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      open.add(socket);
      socket.pipe(other);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        open.delete(socket);
        other.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port was bound");
  const breakAll = (): void => {
    for (const socket of open) socket.destroy();
  };
  return {
    port: address.port,
    to(port) {
      current = port;
      breakAll();
    },
    async [Symbol.asyncDispose]() {
      breakAll();
      server.close();
      await once(server, "close");
    },
  };
}
