/** Connections that are used again: one TLS handshake for thousands of calls, and never more than a few at once. */
import { createHash } from "node:crypto";
import { Agent } from "node:https";
import type { Access, AccessTls } from "./credentials.ts";

/** Calls wait for a connection rather than open a seventeenth. */
export const callConnectionsMax = 16;
/** A watch keeps its connection for minutes, so watches have connections of their own. */
const watchConnectionsMax = 64;
/** A peer that vanished without a word is noticed by the kernel, should no deadline do it first. */
const keepAliveMs = 30_000;

export type Use = "call" | "watch";

export interface Taken extends Disposable {
  readonly agent: Agent;
}

export interface Pool extends Disposable {
  take(access: Access, use: Use): Taken;
}

/**
 * Another CA, certificate, key or server means other connections: what was verified by the old ones is never used for the new.
 * The old ones end with the calls that are on them. A token belongs to a call, not to a connection.
 */
export function openPool(): Pool {
  let current: Shelf | undefined;
  return {
    take: (access, use) => {
      const key = keyOf(access);
      if (current?.key !== key) {
        current?.retire();
        current = openShelf(key, access.tls);
      }
      return current.take(use);
    },
    [Symbol.dispose]: () => {
      current?.destroy();
      current = undefined;
    },
  };
}

interface Shelf {
  readonly key: string;
  take(use: Use): Taken;
  retire(): void;
  destroy(): void;
}

function openShelf(key: string, tls: AccessTls): Shelf {
  const open = (maxSockets: number) => new Agent({ ...toOptions(tls), maxSockets, maxFreeSockets: maxSockets });
  const agents: Readonly<Record<Use, Agent>> = { call: open(callConnectionsMax), watch: open(watchConnectionsMax) };
  let taken = 0;
  let retired = false;
  const destroy = () => {
    for (const agent of Object.values(agents)) agent.destroy();
  };
  return {
    key,
    take: (use) => {
      taken += 1;
      let given = false;
      return {
        agent: agents[use],
        [Symbol.dispose]: () => {
          if (given) return;
          given = true;
          taken -= 1;
          if (retired && taken === 0) destroy();
        },
      };
    },
    retire: () => {
      retired = true;
      if (taken === 0) destroy();
    },
    destroy,
  };
}

/** HTTP/1.1 and nothing else: after a failure a connection is closed and gone, not shared by fifty other calls. */
function toOptions({ ca, cert, key, serverName }: AccessTls) {
  return {
    keepAlive: true,
    keepAliveMsecs: keepAliveMs,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert, key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  } as const;
}

function keyOf({ server, tls }: Access): string {
  const parts = [server.origin, tls.ca, tls.cert, tls.key, tls.serverName];
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64");
}
