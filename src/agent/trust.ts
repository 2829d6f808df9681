/** What this cluster has to trust: watched at the hub, kept on disk, acknowledged once it is in force. */

import type { Log } from "../ops/log.ts";
import { certificateLabel, crlLabel, toPemAll } from "../pki/pem.ts";
import { type ClientTls, closeClient, openIssuer, openWatchStream, whenConnected } from "../rpc/client.ts";
import type { Trust__Output } from "../rpc/gen/espalier/v1/Trust.ts";
import { readStatus } from "../rpc/status.ts";
import type { HubRoots } from "./hub-roots.ts";
import { type KeptTrust, readKept } from "./kept-trust.ts";
import type { Store } from "./store.ts";

export interface TrustWatch extends AsyncDisposable {
  /** Undefined until the hub has said it once, now or in an earlier life. */
  current(): KeptTrust | undefined;
  /**
   * For whoever begins to lead: where the hub does not reach this agent, another of the cluster may have heard of more and kept it.
   * That is put in force here first. @throws what reading the store throws: nobody leads on what may be older.
   */
  catchUp(): Promise<KeptTrust | undefined>;
  /** Ends the present stream and begins another with new credentials. */
  reconnect(): void;
  /** Says the cluster's token keys again, where the hub is to hear of others. */
  propose(): void;
}

export interface TrustParts {
  readonly addresses: readonly string[];
  readonly agent: string;
  readonly tls: () => ClientTls | undefined;
  readonly hubRoots: Pick<HubRoots, "hear">;
  /** The cluster's token keys as a JWKS; empty while they are not had. */
  readonly jwks: () => string;
  /** Puts it in force in this agent, one after the other. What it throws is logged and nothing is acknowledged. */
  readonly onTrust: (trust: KeptTrust) => Promise<void>;
  /** The hub does not take this agent's certificate any more. */
  readonly onRefused: () => void;
  /** What refuses it meanwhile, by name. */
  readonly lacking: () => readonly string[];
  /** Says since when the whole cluster has it; undefined where another agent says so. It may take as long as it likes. */
  readonly everywhere: (trust: KeptTrust) => Promise<Date | undefined>;
  /** Whether that is said for all agents of the cluster, and not for this one alone. */
  readonly wholeCluster: boolean;
  /** Default 10 s. */
  readonly tellMs?: number;
  readonly store: Store;
  readonly now: () => Date;
  readonly log: Log;
}

const file = "trust.json";
const retryMsMin = 200;
const retryMsMax = 5_000;
/** A refusal is no news to the hub before it has lasted. */
const tellMs = 10_000;
/** Enough to know what to look at. */
const toldMax = 16;
/** How often what others of the cluster have kept is looked at, at most, while the hub is not reached. */
const lookMs = 60_000;

export async function startTrust(parts: TrustParts): Promise<TrustWatch> {
  const { store, log } = parts;
  let current = readKept(await store.read(file));
  let attempt = 0;
  let retryMs = retryMsMin;
  let timer: NodeJS.Timeout | undefined;
  let stop: (() => void) | undefined;
  let propose: (() => void) | undefined;
  let stopped = false;
  /** The hub has said on the present stream what holds now. */
  let heard = false;
  let last: Promise<unknown> = Promise.resolve();
  let lookAfter = 0;

  const again = (): void => {
    heard = false;
    stop?.();
    stop = undefined;
    propose = undefined;
    if (stopped) return;
    clearTimeout(timer);
    timer = setTimeout(connect, retryMs * (0.5 + Math.random()));
    retryMs = Math.min(retryMs * 2, retryMsMax);
  };

  const connect = (): void => {
    const tls = parts.tls();
    if (tls === undefined) return again();
    const address = parts.addresses[attempt++ % parts.addresses.length];
    if (address === undefined) return again();
    const client = openIssuer(address, tls);
    const stream = openWatchStream(client);
    let mine = true;
    let told = "";
    const tell = (): void => {
      const lacking = parts.lacking().slice(0, toldMax);
      if (lacking.join() === told) return;
      told = lacking.join();
      stream.write({ version: "", inForceSince: "", agent: parts.agent, lacking });
    };
    const telling = setInterval(tell, parts.tellMs ?? tellMs);
    stop = () => {
      mine = false;
      clearInterval(telling);
      stream.end();
      closeClient(client);
    };
    stream.onMessage((message) => {
      retryMs = retryMsMin;
      heard = true;
      take(message)
        .then(
          (inForceSince) =>
            mine &&
            inForceSince !== undefined &&
            stream.write({
              version: message.version,
              inForceSince: inForceSince.toISOString(),
              agent: parts.agent,
              wholeCluster: parts.wholeCluster,
              hubRoots: message.hubRoots.length > 0,
            }),
        )
        .catch((error: unknown) => log.error("trust not put in force", { version: message.version }, error));
    });
    const ended = (error: unknown): void => {
      if (!mine) return;
      if (error !== undefined) {
        const { code, message } = readStatus(error);
        log.warn("trust is not being watched", { address, message });
        if (code === "proof-invalid") parts.onRefused();
      }
      again();
      if (error !== undefined) look();
    };
    stream.onEnd(ended);
    whenConnected(client, (error) => error !== undefined && ended(error));
    propose = () => stream.write({ version: "", inForceSince: "", agent: parts.agent, jwks: parts.jwks() });
    // Opens the stream: nothing of it is in force here yet.
    propose();
  };

  // One after the other: a slow disk must not put an older trust over a newer one.
  const inTurn = async (work: () => Promise<void>): Promise<void> => {
    const done = last.then(work);
    last = done.catch(() => {});
    await done;
  };

  const take = async (message: Trust__Output): Promise<Date | undefined> => {
    const next = { ...toKept(message), hubRoots: parts.hubRoots.hear(message.hubRoots) ?? current?.hubRoots };
    await inTurn(async () => {
      await parts.onTrust(next);
      await store.write(file, `${JSON.stringify(next, undefined, 2)}\n`);
      tellInForce(next);
    });
    // Not in that line: a namespace that takes no ConfigMap (its own is immutable, its quota is full) would hold up all others.
    return await parts.everywhere(next);
  };

  const catchUp = async (): Promise<KeptTrust | undefined> => {
    await inTurn(async () => {
      const kept = heard ? undefined : readKept(await store.read(file));
      // What the hub has said meanwhile is newer than anything kept, and waits for its turn.
      if (kept === undefined || heard || kept.version === current?.version) return;
      await parts.onTrust(kept);
      tellInForce(kept);
    });
    return current;
  };

  /** The issuers may be known by a hub root by now that only another agent of the cluster has heard of. */
  const look = (): void => {
    if (performance.now() < lookAfter) return;
    lookAfter = performance.now() + lookMs;
    catchUp().catch((error: unknown) => log.error("trust not put in force", {}, error));
  };

  const tellInForce = (next: KeptTrust): void => {
    current = next;
    log.info("trust in force", { version: next.version, tenants: next.tenants.length });
  };

  if (current !== undefined) await parts.onTrust(current);
  connect();
  return {
    current: () => current,
    catchUp,
    reconnect: () => {
      retryMs = retryMsMin;
      again();
    },
    propose: () => propose?.(),
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      clearTimeout(timer);
      stop?.();
    },
  };
}

function toKept(trust: Trust__Output): KeptTrust {
  const { version, tenants, servingRoots, servingNames, clusterSuspended, tokenKeysMissing, crlNamespaces } = trust;
  return {
    version,
    servingRootsPem: toPemAll(certificateLabel, servingRoots),
    servingNames,
    clusterSuspended,
    tokenKeysMissing,
    crlsPem: toPemAll(crlLabel, trust.crls),
    crlNamespaces,
    tenants: tenants.map((t) => ({
      tenant: t.tenant,
      trustDomain: t.trustDomain,
      rootsPem: toPemAll(certificateLabel, t.roots),
      bundleVersion: t.bundleVersion,
      suspended: t.suspended,
      requests: t.requests,
    })),
  };
}
