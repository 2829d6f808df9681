/**
 * `Join`: an agent's certificate for the agent's own service-account token, a day at a time. Where the hub cannot reach a
 * cluster's keys, a one-time token from an operator registers the one key it states.
 */
import { createHash } from "node:crypto";
import { Refusal } from "../errors.ts";
import { agentId } from "../identity.ts";
import { hubLog } from "../ledger/ledger.ts";
import type { State } from "../ledger/state.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import { readCsr, verifyCsr } from "../pki/csr.ts";
import { profiles } from "../pki/profile.ts";
import type { JoinReply } from "../rpc/gen/espalier/v1/JoinReply.ts";
import type { JoinRequest__Output } from "../rpc/gen/espalier/v1/JoinRequest.ts";
import { readServiceAccount, type ServiceAccount } from "../token/account.ts";
import { type Jwk, readJwks } from "../token/jwk.ts";
import { toStored } from "./cluster-keys.ts";
import type { LiveWorld } from "./live.ts";
import { issueOwn, type OwnParts } from "./own.ts";
import type { ClusterState, World } from "./world.ts";

export interface JoinParts extends OwnParts {
  readonly live: Pick<LiveWorld, "world" | "refresh">;
  readonly state: State;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** @throws Refusal. Whoever shows no token of a cluster is not told whether there is one. */
export async function join(request: JoinRequest__Output, parts: JoinParts): Promise<JoinReply> {
  const csr = readCsr(request.csr);
  const stated = request.joinToken === "" ? undefined : await readStatedKey(request, parts.state);
  const { cluster, account } = authenticateAgent(request, stated, parts);
  verifyCsr(csr);
  if (stated !== undefined) await register(stated, request, cluster, parts);
  const world = parts.live.world();
  const { leaf, chain, intent } = await issueOwn(
    {
      profile: "agent",
      cluster: cluster.name,
      names: { uri: agentId(world.hub, cluster.name), dns: [] },
      validitySeconds: profiles.agent.validitySecondsCap,
      rule: `@hub/agent/${cluster.name}`,
      proof: request.joinToken === "" ? "token" : "join-token",
      spki: csr.spki,
      tokenSha256: account.tokenSha256,
    },
    world,
    parts,
  );
  parts.metrics.issued({ tenant: hubLog, cluster: cluster.name, profile: "agent" });
  parts.log.info("joined", {
    cluster: cluster.name,
    pod: account.pod?.name,
    serial: Buffer.from(intent.serial).toString("hex"),
  });
  return { certificate: leaf, hubRoots: [...chain.bundle.roots] };
}

/** The agent's own pod-bound token: for this hub, of the account the MeshCluster names. */
function authenticateAgent(
  request: JoinRequest__Output,
  stated: Jwk | undefined,
  { live, now }: JoinParts,
): { readonly cluster: ClusterState; readonly account: ServiceAccount } {
  const world = live.world();
  const cluster = world.findCluster(request.cluster);
  const known = cluster?.keys() ?? [];
  // Ours, not the caller's; a cluster that waits for its join token has none and will not get any by waiting.
  if (known.length === 0 && cluster?.tokens.keys.kind === "url")
    throw new Refusal("unavailable", "the cluster's token keys have not been had yet");
  const account = readServiceAccount(request.token, {
    issuer: cluster?.tokens.issuer ?? "",
    audiences: [`espalier:${world.hub}`],
    keys: stated === undefined ? known : [stated],
    at: now(),
  });
  if (cluster === undefined) throw notItsAgent(`cluster "${request.cluster}" is not declared`);
  if (account.namespace !== cluster.agent.namespace || account.name !== cluster.agent.serviceAccount) {
    throw notItsAgent(`the token is of account ${account.namespace}/${account.name}`);
  }
  if (account.pod === undefined)
    throw new Refusal("proof-invalid", "the agent's token is bound to no pod: use a projected token");
  // Only now, and again in the ledger's own transaction: its state is its own agents' to know.
  return { cluster: world.cluster(cluster.name), account };
}

/** A guessed join token gets no further than this; `register` spends the real one. */
async function readStatedKey({ cluster, joinToken, jwks }: JoinRequest__Output, state: State): Promise<Jwk> {
  const record = await state.joinToken(createHash("sha256").update(joinToken).digest());
  if (record?.cluster !== cluster) throw new Refusal("proof-invalid", "the join token is unknown");
  // An API server in the middle of a rotation shows several; the operator has said which.
  const key = readJwks(jwks).find(({ thumbprint }) => thumbprint === record.keyThumbprint);
  if (key === undefined) throw new Refusal("proof-invalid", "the join token is not for a key of the JWKS");
  return key;
}

/** The key is proven first: a join token is spent only by somebody who holds a token that its key has signed. */
async function register(
  key: Jwk,
  request: JoinRequest__Output,
  cluster: ClusterState,
  parts: JoinParts,
): Promise<void> {
  if (cluster.tokens.keys.kind === "static" || cluster.tokens.keys.kind === "url") {
    throw new Refusal("proof-invalid", `cluster "${cluster.name}" has declared keys: join without a join token`);
  }
  const { thumbprint } = key;
  if (belongsToAnother(thumbprint, cluster.name, parts.live.world())) {
    throw new Refusal("not-this-caller", "the key already belongs to another cluster");
  }
  await parts.state.useJoinToken(
    createHash("sha256").update(request.joinToken).digest(),
    toStored(cluster.name, key),
    parts.now(),
    {
      log: hubLog,
      verb: "join",
      operator: "espalier",
      reason: "join token used",
      details: { cluster: cluster.name, keyThumbprint: thumbprint },
    },
  );
  await parts.live.refresh();
}

function belongsToAnother(thumbprint: string, name: string, world: World): boolean {
  return [...world.declared.clusters.values()].some(
    (c) =>
      c.name !== name && c.tokens.keys.kind === "static" && c.tokens.keys.keys.some((k) => k.thumbprint === thumbprint),
  );
}

function notItsAgent(why: string): Refusal {
  return new Refusal("proof-invalid", "the caller is not this cluster's agent", { cause: new Error(why) });
}
