/** A TCP relay before an API server: what a network does to connections, done on purpose, and counted. TLS goes through untouched. */
import { createServer, connect as dial, type Socket } from "node:net";
import type { Access } from "../../src/kube/credentials.ts";

export interface Relay extends AsyncDisposable {
  /** The API server, through here. */
  readonly access: Access;
  /** Connections taken so far, and open now. */
  taken(): number;
  open(): number;
  /** Nothing goes through what is open now, and nothing is closed. New connections work, unless they are to stall too. */
  freeze(how?: { readonly newOnes: boolean }): void;
  thaw(): void;
  /** Every connection is reset, and new ones are refused until `accept`. */
  cut(): void;
  accept(): void;
}

interface Pair {
  readonly sockets: readonly [Socket, Socket];
  frozen: boolean;
  /** What would have gone through meanwhile. */
  readonly held: (() => void)[];
}

export async function startRelay(target: Access): Promise<Relay> {
  const pairs = new Set<Pair>();
  let taken = 0;
  let freezing = false;
  let refusing = false;
  const server = createServer((near) => {
    if (refusing) {
      near.resetAndDestroy();
      return;
    }
    taken += 1;
    const far = dial(Number(target.server.port || 443), target.server.hostname);
    const pair: Pair = { sockets: [near, far], frozen: freezing, held: [] };
    pairs.add(pair);
    const pass = (from: Socket, to: Socket) => {
      from.on("data", (bytes) => {
        if (pair.frozen) pair.held.push(() => to.write(bytes));
        else to.write(bytes);
      });
      from.on("error", () => to.destroy());
      from.on("close", () => {
        pairs.delete(pair);
        to.destroy();
      });
    };
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening on a port");
  const serverName = target.tls.serverName ?? (isAddress(target.server.hostname) ? undefined : target.server.hostname);
  const all = () => [...pairs].flatMap(({ sockets }) => sockets);
  return {
    access: {
      ...target,
      server: new URL(`https://127.0.0.1:${address.port}${target.server.pathname}`),
      tls: { ...target.tls, ...(serverName === undefined ? {} : { serverName }) },
    },
    taken: () => taken,
    open: () => pairs.size,
    freeze: (how) => {
      freezing = how?.newOnes === true;
      for (const pair of pairs) pair.frozen = true;
    },
    thaw: () => {
      freezing = false;
      for (const pair of pairs) {
        pair.frozen = false;
        for (const pass of pair.held.splice(0)) pass();
      }
    },
    cut: () => {
      refusing = true;
      for (const socket of all()) socket.resetAndDestroy();
    },
    accept: () => {
      refusing = false;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of all()) socket.destroy();
      await closed;
    },
  };
}

function isAddress(host: string): boolean {
  return /^[\d.]+$|:/.test(host);
}
