/** `Watch`: the cluster's trust at once and after every change; what agents have put in force is written down. */
import { Refusal } from "../errors.ts";
import type { State } from "../ledger/state.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import type { Trust } from "../rpc/gen/espalier/v1/Trust.ts";
import type { TrustAck__Output } from "../rpc/gen/espalier/v1/TrustAck.ts";
import type { Stream } from "../rpc/stream.ts";
import type { LiveWorld } from "./live.ts";
import { type ProposeParts, propose } from "./propose.ts";
import { type AgentConnection, lostRight } from "./sign-stream.ts";
import { tellRefused } from "./tell-refused.ts";
import { type ClusterTrust, toClusterTrust } from "./trust.ts";

export interface WatchParts extends ProposeParts {
  readonly live: Pick<LiveWorld, "world" | "refresh" | "onChange">;
  readonly state: Pick<State, "acknowledge"> & ProposeParts["state"];
  /** For how long it is not known whether the world is still as it is here. */
  readonly behindMs: () => number;
  readonly draining: AbortSignal;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Other issuers may have gone on by then, as far as to another hub root: who is told of the one before would not find them again. */
const behindMsMax = 30_000;

/** What a stream was told, with the bundles in it. */
interface Sent {
  readonly version: string;
  readonly bundles: readonly string[];
  /** Of the hub's own roots. */
  readonly hubBundle: string;
}

/** Versions of one stream that may still be acknowledged. */
const sentMax = 16;
/** A cluster's keys change a few times a year; each time is read, and may be a durable write. */
const proposalsMax = 16;
/** Told in the log alone, and so of as few words as a line has room for, and few times. */
const lackingTellsMax = 64;
const lackingCharactersMax = 1_024;
/** An agent's word about itself, within its own cluster. */
const agentNameGrammar = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

export function acceptWatch(stream: Stream<TrustAck__Output, Trust>, agent: AgentConnection, parts: WatchParts): void {
  const sent: Sent[] = [];
  // A durable write each: one for each version that was sent, however often it is said.
  const acknowledged = new Set<string>();
  // A cluster nobody declares is told nothing; a suspended one is told that it is.
  if (!parts.live.world().declared.clusters.has(agent.cluster)) {
    throw new Refusal("not-this-caller", `cluster "${agent.cluster}" is not declared`);
  }
  if (parts.behindMs() > behindMsMax)
    throw new Refusal("unavailable", "this issuer does not hear from its database: ask another one");
  const send = (): void => {
    const lost = lostRight(agent, parts.live.world(), parts.now());
    if (lost !== undefined) {
      unsubscribe();
      return stream.fail(tellRefused(lost, { method: "Watch", cluster: agent.cluster }, parts));
    }
    const trust = toClusterTrust(parts.live.world(), agent.cluster);
    const { version, bundles, hubBundle } = trust;
    if (version === sent.at(-1)?.version) return;
    sent.push({ version, bundles, hubBundle });
    acknowledged.delete(version);
    if (sent.length > sentMax) acknowledged.delete(sent.shift()?.version ?? "");
    stream.write(toWire(trust));
  };
  const unsubscribe = parts.live.onChange(send);
  let proposals = 0;
  // One after the other, for the last word to stand.
  let proposed: Promise<void> = Promise.resolve();
  const hear = (jwks: string): void => {
    proposals += 1;
    if (proposals > proposalsMax) {
      const tooMany = new Refusal("overloaded", `more than ${proposalsMax} times other keys on one stream`);
      if (proposals === proposalsMax + 1)
        stream.fail(tellRefused(tooMany, { method: "Watch", cluster: agent.cluster }, parts));
      return;
    }
    proposed = proposed
      .then(async () => await propose(jwks, agent, parts))
      // The stream goes on: trust has nothing to do with it.
      .catch((error: unknown) => void tellRefused(error, { method: "Watch", cluster: agent.cluster }, parts));
  };
  let tells = 0;
  const tellLacking = (lacking: readonly string[]): void => {
    tells += 1;
    if (tells > lackingTellsMax) return;
    const places = lacking.join(", ").slice(0, lackingCharactersMax);
    parts.log.warn("trust refused in a cluster", { cluster: agent.cluster, places });
  };
  stream.onMessage((ack) => {
    if (ack.lacking.length > 0) tellLacking(ack.lacking);
    if (ack.jwks !== "") hear(ack.jwks);
    if (ack.version === "" || acknowledged.has(ack.version)) return;
    if (sent.some(({ version }) => version === ack.version)) acknowledged.add(ack.version);
    acknowledge(ack, sent, agent, parts).catch((error: unknown) => {
      if (error instanceof Refusal && error.code !== "unavailable")
        stream.fail(tellRefused(error, { method: "Watch", cluster: agent.cluster }, parts));
      else parts.log.error("acknowledgement lost", { cluster: agent.cluster, version: ack.version }, error);
    });
  });
  const drain = (): void => stream.end();
  parts.draining.addEventListener("abort", drain);
  stream.onEnd(() => {
    unsubscribe();
    parts.draining.removeEventListener("abort", drain);
    stream.end();
  });
  send();
}

function toWire(trust: ClusterTrust): Trust {
  const { version, tenants, servingRoots, servingNames, suspended, tokenKeysMissing, crls, crlNamespaces } = trust;
  return {
    version,
    tenants: tenants.map((t) => ({ ...t, roots: [...t.roots] })),
    servingRoots: [...servingRoots],
    servingNames: [...servingNames],
    clusterSuspended: suspended,
    tokenKeysMissing,
    crls: [...crls],
    crlNamespaces: [...crlNamespaces],
    hubRoots: [...trust.hubRoots],
  };
}

async function acknowledge(
  ack: TrustAck__Output,
  sent: readonly Sent[],
  agent: AgentConnection,
  parts: WatchParts,
): Promise<void> {
  const lost = lostRight(agent, parts.live.world(), parts.now());
  if (lost !== undefined) throw lost;
  // Only what we have told it: an acknowledgement opens a rotation's gate. A newer version may be on its way to it.
  const told = sent.findLast(({ version }) => version === ack.version);
  if (told === undefined)
    throw new Refusal("malformed", "the acknowledged version is none that was sent on this stream");
  if (!agentNameGrammar.test(ack.agent)) throw new Refusal("malformed", "the agent's name is not a Kubernetes name");
  const stated = new Date(ack.inForceSince);
  const now = parts.now();
  const inForceSince = Number.isNaN(stated.getTime()) || stated > now ? now : stated;
  // If we stop before this, the agent says it again on its next stream.
  const { version, hubBundle } = told;
  const bundles = ack.hubRoots ? [...told.bundles, hubBundle] : told.bundles;
  const record = { cluster: agent.cluster, agent: ack.agent, version, bundles, inForceSince };
  await parts.state.acknowledge(record, ack.wholeCluster);
}
