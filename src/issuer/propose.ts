/**
 * Keys that a cluster's agent proposes, where neither the hub reaches them nor the document has them. Nothing is trusted by it:
 * an operator decides, unless the cluster is declared to be taken at its word.
 */
import { Refusal } from "../errors.ts";
import { hubLog } from "../ledger/ledger.ts";
import type { State } from "../ledger/state.ts";
import type { Log } from "../ops/log.ts";
import { type Jwk, readJwks } from "../token/jwk.ts";
import { toStored } from "./cluster-keys.ts";
import type { LiveWorld } from "./live.ts";
import type { AgentConnection } from "./sign-stream.ts";
import type { World } from "./world.ts";

export interface ProposeParts {
  readonly live: Pick<LiveWorld, "world" | "refresh">;
  readonly state: Pick<State, "keyProposals" | "proposeKeys" | "approveKeys">;
  readonly now: () => Date;
  readonly log: Log;
}

/** A cluster has one key, or two or three while it changes; each may be tried for any token that anybody sends. */
const proposedKeysMax = 8;

/** @throws Refusal. A cluster that is not declared to take proposals is not listened to: every agent says what it sees. */
export async function propose(jwks: string, agent: AgentConnection, parts: ProposeParts): Promise<void> {
  const { live, now } = parts;
  const source = live.world().findCluster(agent.cluster)?.tokens.keys;
  if (source?.kind !== "proposed") return;
  const cluster = live.world().cluster(agent.cluster);
  if (now() > agent.notAfter)
    throw new Refusal("proof-invalid", "the agent's certificate has expired during the connection");
  const keys = new Map(readJwks(jwks).map((key) => [key.thumbprint, key]));
  if (keys.size > proposedKeysMax) throw new Refusal("malformed", `more than ${proposedKeysMax} keys are proposed`);
  const foreign = [...keys.keys()].find((thumbprint) => isAnothers(thumbprint, cluster.name, live.world()));
  if (foreign !== undefined)
    throw new Refusal("not-this-caller", `the proposed key ${foreign} belongs to another cluster`);
  const inForce = isSame(cluster.keys(), keys);
  // Its API server shows what counts already; only a proposal that it has taken back has to go.
  if (inForce && cluster.proposed().length === 0) return;
  await write(cluster.name, keys, inForce ? "approved" : "pending", parts);
  if (source.taken && !inForce) await take(cluster.name, keys, parts);
}

async function write(
  cluster: string,
  keys: ReadonlyMap<string, Jwk>,
  became: "pending" | "approved",
  { live, state, now, log }: ProposeParts,
): Promise<void> {
  const thumbprints = toText(keys.keys());
  // Without the kid: an operator compares the key and not what an agent calls it, and tokens would be refused for that name.
  const all = [...keys.values()].map(({ thumbprint, key, jwk }) => toStored(cluster, { thumbprint, key, jwk }));
  // If we stop before this, the agent says it again on its next stream; after it, an operator finds it, and no key counts for it.
  const written = await state.proposeKeys(
    { cluster, keys: all, state: became, proposedAt: now() },
    {
      log: hubLog,
      verb: became === "pending" ? "propose-keys" : "withdraw-keys",
      operator: `agent:${cluster}`,
      reason: became === "pending" ? "its API server shows other keys" : "its API server shows the keys in force",
      details: { cluster, keyThumbprints: thumbprints },
    },
  );
  if (!written) return;
  await live.refresh();
  if (became === "pending") log.warn("keys proposed", { cluster, thumbprints });
  else log.info("keys no longer proposed", { cluster, thumbprints });
}

/** Also what a crash left between the two writes. What an operator has rejected stays rejected. */
async function take(
  cluster: string,
  keys: ReadonlyMap<string, Jwk>,
  { live, state, log }: ProposeParts,
): Promise<void> {
  const proposal = (await state.keyProposals()).find((one) => one.cluster === cluster);
  if (proposal === undefined || proposal.keys.some(({ keyThumbprint }) => !keys.has(keyThumbprint))) return;
  // They were taken before though we were told that they were not, and count here only now.
  if (proposal.state === "approved") return await live.refresh();
  if (proposal.state !== "pending") return;
  const thumbprints = toText(keys.keys());
  await state.approveKeys(cluster, [...keys.keys()], {
    log: hubLog,
    verb: "take-keys",
    operator: "espalier",
    reason: "the cluster is declared with keys: {proposed: taken}",
    details: { cluster, keyThumbprints: thumbprints },
  });
  await live.refresh();
  log.warn("keys taken", { cluster, thumbprints });
}

/** Its own word gives an agent nothing that another cluster has, by whatever claim. */
function isAnothers(thumbprint: string, name: string, world: World): boolean {
  return [...world.declared.clusters.values()].some((other) => {
    if (other.name === name) return false;
    const { keys } = other.tokens;
    const declared = keys.kind === "static" ? keys.keys : [];
    return [...declared, ...(world.findCluster(other.name)?.keys() ?? [])].some((key) => key.thumbprint === thumbprint);
  });
}

function isSame(keys: readonly Jwk[], others: ReadonlyMap<string, Jwk>): boolean {
  const own = new Set(keys.map(({ thumbprint }) => thumbprint));
  return own.size === others.size && [...own].every((thumbprint) => others.has(thumbprint));
}

export function toText(thumbprints: Iterable<string>): string {
  return [...thumbprints].sort().join(" ");
}
