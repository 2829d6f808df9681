/** The agent's use of its cluster's API: what lives, what is kept, and, for the one agent that leads, what is distributed. */

import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { type Client, openClient } from "../kube/client.ts";
import { type EventRecorder, startEvents } from "../kube/events.ts";
import { findCredentials } from "../kube/find-credentials.ts";
import { type Informer, startInformer } from "../kube/informer.ts";
import { type Election, startElection } from "../kube/lease.ts";
import { type Namespace, readConfigMap, readNamespace, readPod, readServiceAccount } from "../kube/meta.ts";
import { resources } from "../kube/resource.ts";
import type { AgentConfig } from "../ops/config.ts";
import type { Log } from "../ops/log.ts";
import { type CrlDistribution, crlConfigMap, startCrlDistribution } from "./crl-distribution.ts";
import { type Distribution, startDistribution } from "./distribution.ts";
import type { KeptTrust } from "./kept-trust.ts";
import { toIstiodSecrets, toRoots, toTargets } from "./planes.ts";
import { nodeAccountOf, openPresence, type Presence } from "./presence.ts";
import { openReview, type Review } from "./review.ts";
import { openSecretStore, openTlsSecret } from "./secret-store.ts";
import type { Store } from "./store.ts";
import { startTrustBundle } from "./trust-bundle.ts";

export type KubernetesConfig = NonNullable<AgentConfig["kubernetes"]>;

export interface ClusterApi extends AsyncDisposable {
  readonly presence: Presence;
  /** In the place of the cluster's keys, where the configuration says so. */
  readonly review: Review | undefined;
  /** The agent's state, in a Secret of its own namespace. */
  readonly store: Store;
  /** The certificate of each istiod, in the Secret that it mounts. */
  readonly istiods: readonly { readonly name: string; readonly store: Store }[];
  /** The cluster's own JWKS. */
  readonly jwks: () => Promise<string>;
  /** Puts trust in force in every namespace; undefined, and at once, while another agent leads. */
  distribute(trust: KeptTrust): Promise<Date | undefined>;
  /** Places that refuse the trust that this agent distributes, for people; none while another agent leads. */
  lacking(): readonly string[];
  /** Those of them that an istiod fights for. */
  conflicts(): readonly string[];
  isLeader(): boolean;
  /** Joins the election. `duties` are taken up each time this agent begins to lead, and laid down when it does not any more. */
  elect(duties: Duties): void;
  waitingFor(): readonly string[];
}

/** What the leader does beside distributing trust. */
export type Duties = (leading: Leading) => Promise<AsyncDisposable>;

/** What only the leader has. */
export interface Leading {
  readonly client: Client;
  readonly events: EventRecorder;
  readonly namespaces: Informer<Namespace, never>;
}

export interface ClusterApiParts {
  readonly now: () => Date;
  readonly log: Log;
  /** The roots that istiod's `ca.crt` must hold. */
  readonly servingRootsPem: () => string;
  /** Somebody else's roots stood in a namespace. */
  readonly onOverwritten: () => void;
}

export async function openClusterApi(config: KubernetesConfig, parts: ClusterApiParts): Promise<ClusterApi> {
  const { now, log } = parts;
  await using stack = new AsyncDisposableStack();
  const client = stack.use(openClient({ credentials: await findCredentials(config.kubeconfig) }));
  const kube = { client, now, log };
  const pods = stack.use(
    startInformer(
      { resource: resources.pods, read: readPod, indexes: { "node-account": (pod) => [nodeAccountOf(pod)] } },
      kube,
    ),
  );
  const accounts = stack.use(
    startInformer({ resource: resources.serviceAccounts, read: readServiceAccount, indexes: {} }, kube),
  );
  const presence = openPresence({ client, pods, accounts, now, stalenessMs: config.stalenessSeconds * 1000 });
  const { namespace, name } = config;
  const leader = toLeader(config, { ...parts, client });
  let election: Election | undefined;
  stack.defer(async () => await election?.[Symbol.asyncDispose]());
  const opened = stack.move();
  return {
    presence,
    review: config.tokens === "review" ? openReview(client) : undefined,
    store: openSecretStore(client, { namespace, name: `${name}-state` }),
    istiods: toIstiodSecrets(config).map((secret) => ({
      name: `${secret.namespace}/${secret.name}`,
      store: openTlsSecret(client, secret, parts.servingRootsPem),
    })),
    jwks: async () => JSON.stringify(await client.call({ verb: "GET", path: "/openid/v1/jwks" })),
    distribute: async (trust) => await leader.distribute(trust),
    lacking: () => leader.distributions().flatMap((one) => one.lacking()),
    conflicts: () => leader.distributions().flatMap((one) => one.conflicts()),
    isLeader: () => election?.isLeader() ?? false,
    elect: (duties) => {
      // A pod's name is who leads, for whoever looks at the Lease.
      const identity = `${hostname()}-${randomBytes(6).toString("hex")}`;
      const lead = async (signal: AbortSignal): Promise<void> => await leader.lead(signal, duties);
      election = startElection({ namespace, name, identity }, { ...kube, lead });
    },
    waitingFor: () => [
      ...(pods.freshness() === undefined ? ["the list of pods from the Kubernetes API"] : []),
      ...(accounts.freshness() === undefined ? ["the list of service accounts from the Kubernetes API"] : []),
      ...leader
        .distributions()
        .flatMap((one) => one.conflicts().map((where) => `istiod to stop signing: it still writes ${where}`)),
    ],
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

interface Leader {
  lead(signal: AbortSignal, duties: Duties): Promise<void>;
  distribute(trust: KeptTrust): Promise<Date | undefined>;
  /** None while another agent leads. */
  distributions(): readonly Pick<Distribution, "lacking" | "conflicts">[];
}

/** What only the leader watches and writes. */
function toLeader(
  config: KubernetesConfig,
  kube: Pick<ClusterApiParts, "now" | "log" | "onOverwritten"> & { readonly client: Client },
): Leader {
  let distributions: readonly Distribution[] | undefined;
  let crls: CrlDistribution | undefined;
  return {
    lead: async (signal, duties) => {
      await using stack = new AsyncDisposableStack();
      const namespaces = stack.use(
        startInformer({ resource: resources.namespaces, read: readNamespace, indexes: {} }, kube),
      );
      // The field selector is what the RBAC rule can name: no other ConfigMap is readable.
      const targets = toTargets(config).map((target) => {
        const selection = { resource: resources.configMaps, fieldSelector: `metadata.name=${target.configMap}` };
        const configMaps = stack.use(startInformer({ ...selection, read: readConfigMap, indexes: {} }, kube));
        return { target, configMaps };
      });
      const events = stack.use(startEvents({ controller: "espalier.dev/agent", instance: hostname() }, kube));
      const synced = [namespaces.synced, ...targets.map(({ configMaps }) => configMaps.synced)];
      await Promise.race([Promise.all(synced), aborted(signal)]);
      const { clusterTrustBundle: name } = config;
      const bundle = name === undefined ? undefined : stack.use(await startTrustBundle(name, { ...kube, events }));
      if (signal.aborted) return;
      distributions = [
        ...targets.map(({ target, configMaps }) =>
          stack.use(startDistribution(target, { ...kube, namespaces, configMaps, events })),
        ),
        ...(bundle === undefined ? [] : [bundle]),
      ];
      // Nobody waits for its list where no tenant has CRLs.
      const named = { resource: resources.configMaps, fieldSelector: `metadata.name=${crlConfigMap}` };
      const crlMaps = stack.use(startInformer({ ...named, read: readConfigMap, indexes: {} }, kube));
      crls = stack.use(startCrlDistribution(toTargets(config), { ...kube, namespaces, configMaps: crlMaps, events }));
      stack.defer(() => {
        distributions = undefined;
        crls = undefined;
      });
      stack.use(await duties({ client: kube.client, events, namespaces }));
      await aborted(signal);
    },
    distribute: async (trust) => {
      if (distributions === undefined) return undefined;
      await Promise.all([
        ...distributions.map(async (one) => await one.put(toRoots(trust), kube.now)),
        crls?.put(trust),
      ]);
      return kube.now();
    },
    distributions: () => [...(distributions ?? []), ...(crls === undefined ? [] : [crls])],
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
