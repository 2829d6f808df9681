/**
 * The agent's own certificate at the hub, which it gets by joining: again at half of its life, and before that where the hub does not
 * take it, or where another hub root signs by now.
 */
import type { AgentConfig } from "../ops/config.ts";
import type { Log } from "../ops/log.ts";
import { readPemAll } from "../pki/pem.ts";
import type { ClientTls } from "../rpc/client.ts";
import { toJwks } from "../token/jwk.ts";
import type { KeySet } from "../token/jwks-source.ts";
import { type HubRoots, isByFirst } from "./hub-roots.ts";
import { join } from "./join.ts";
import type { KeyPair } from "./key-pair.ts";
import { type Renewal, startRenewal } from "./renewal.ts";
import type { Store } from "./store.ts";

export interface Own {
  /** How the hub is reached with it; undefined as long as there is none. */
  tls(): ClientTls | undefined;
  current(): KeyPair | undefined;
  /** The hub does not take it. */
  refused(): void;
  /** Gets another unless it is by the hub root that signs now: the sooner all agents have one, the sooner the root before can go. */
  moveOver(): void;
  /** `onNew` is called for one that was kept, too, before this returns. */
  start(onNew: () => void): Promise<AsyncDisposable>;
}

export interface OwnParts {
  readonly hubRoots: HubRoots;
  readonly keys: KeySet;
  readonly store: Store;
  readonly now: () => Date;
  readonly log: Log;
}

/** How often one that the hub does not take is got anew, at most: it may be the hub's clock. */
const rejoinMsMin = 60_000;

export function openOwn(config: AgentConfig, { hubRoots, keys, store, now, log }: OwnParts): Own {
  const serverName = config.issuerName ?? `issuer.${config.hub}`;
  let pair: KeyPair | undefined;
  let renewal: Renewal | undefined;
  let rejoinAfter = 0;
  const get = async (): Promise<KeyPair> => {
    const rootsPem = hubRoots.pem();
    const jwks = (): string => toJwks(keys.keys());
    return await join(config, { tls: { rootsPem, serverName }, hubRoots: readPemAll(rootsPem), jwks, now });
  };
  return {
    tls: () => pair && { rootsPem: hubRoots.pem(), serverName, identity: pair },
    current: () => pair,
    refused: () => {
      if (performance.now() < rejoinAfter) return;
      rejoinAfter = performance.now() + rejoinMsMin;
      renewal?.renewNow();
    },
    moveOver: () => {
      if (pair !== undefined && !isByFirst(pair.chainPem, hubRoots.pem())) renewal?.renewNow();
    },
    start: async (onNew) => {
      const take = (next: KeyPair): void => {
        pair = next;
        onNew();
      };
      renewal = await startRenewal({ name: "agent.pem", get, onNew: take, store, now, log });
      return renewal;
    },
  };
}
