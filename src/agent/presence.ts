/**
 * Whether what a token is bound to still lives, by kube-apiserver's own rules (pkg/serviceaccount, Validator): the account and
 * the pod with these UIDs, not past their deletion by more than a minute. Informers know; where they don't, the API server is
 * asked, so that a pod created a moment ago is served.
 */
import { Refusal } from "../errors.ts";
import type { Client } from "../kube/client.ts";
import type { Informer } from "../kube/informer.ts";
import { listItems } from "../kube/list.ts";
import { type ServiceAccount as Account, type Pod, readMeta, readPod, readServiceAccount } from "../kube/meta.ts";
import { resources } from "../kube/resource.ts";
import type { ServiceAccount } from "../token/account.ts";
import { gone, knownTo, lookupDeadlineMs, openFinder } from "./finder.ts";
import { openFlights } from "./flights.ts";

export interface Presence {
  /** @throws Refusal `proof-invalid` when something of it is gone, `unavailable` when nobody can say. */
  check(account: ServiceAccount): Promise<void>;
  /** The living pod that a token is bound to. @throws as `check`. */
  podOf(account: ServiceAccount): Promise<Pod>;
  /** Whether a pod of this account runs on this node now. @throws Refusal `unavailable`. */
  runsOn(node: string, namespace: string, serviceAccount: string): Promise<boolean>;
}

export interface PresenceParts {
  readonly client: Client;
  readonly pods: Informer<Pod, "node-account">;
  readonly accounts: Informer<Account, never>;
  readonly now: () => Date;
  /** How old what the informers know may be. */
  readonly stalenessMs: number;
}

/** As kube-apiserver has it (jwt.DefaultLeeway), after the deletion timestamp, which has the grace period in it. */
const deletionLeewayMs = 60_000;

/** The index under which a node's pods are found by their account. */
export function nodeAccountOf({
  node,
  namespace,
  serviceAccount,
}: Pick<Pod, "node" | "namespace" | "serviceAccount">): string {
  return `${node}/${namespace}/${serviceAccount}`;
}

export function openPresence(parts: PresenceParts): Presence {
  const { client, now } = parts;
  const knownPods = knownTo(parts.pods, parts);
  const pods = openFinder({ resource: resources.pods, read: readPod, known: knownPods.known }, client);
  const { known } = knownTo(parts.accounts, parts);
  const accounts = openFinder({ resource: resources.serviceAccounts, read: readServiceAccount, known }, client);
  // Tokens bound to a node and to no pod are rare: not worth an informer.
  const nodes = openFinder({ resource: resources.nodes, read: readMeta, known: () => undefined }, client);
  const running = openFlights<ReadonlySet<string>>();

  const podOf = async (account: ServiceAccount): Promise<Pod> => {
    if (account.pod === undefined) throw gone("it is bound to no pod");
    const pod = await pods.find(account.pod, account.namespace);
    if (!isAlive(pod, now())) throw gone("the pod it is bound to was deleted");
    if (pod.serviceAccount !== account.name) throw gone("the pod it is bound to runs as another account");
    return pod;
  };

  return {
    podOf,
    check: async (account) => {
      const found = await accounts.find(account, account.namespace);
      if (!isAlive(found, now())) throw gone("its account was deleted");
      if (account.pod !== undefined) await podOf(account);
      if (account.node !== undefined) await nodes.find(account.node);
    },
    runsOn: async (node, namespace, serviceAccount) => {
      const key = nodeAccountOf({ node, namespace, serviceAccount });
      const here = parts.pods.byIndex("node-account", key);
      if (knownPods.isFresh() && here.some((pod) => isRunning(pod, now()))) return true;
      // One list answers for all of a ztunnel's identities: a thousand misses are not a thousand look-ups.
      return (await running.share(node, async () => await listRunning(node, client, now()))).has(key);
    },
  };
}

/** The accounts that run something on a node, as the index names them. */
async function listRunning(node: string, client: Client, at: Date): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const onPage = (pods: readonly Pod[]): void => {
    for (const pod of pods) if (isRunning(pod, at)) found.add(nodeAccountOf(pod));
  };
  const selection = { resource: resources.pods, fieldSelector: `spec.nodeName=${node}` };
  try {
    await listItems(
      client,
      selection,
      { deadlineMs: lookupDeadlineMs },
      { read: readPod, onPage, onRestart: () => found.clear() },
    );
    return found;
  } catch (cause) {
    throw new Refusal("unavailable", "the Kubernetes API cannot be asked about a node's pods", { cause });
  }
}

/** A pod that has ended is on its node in name only. */
function isRunning(pod: Pod, at: Date): boolean {
  return pod.phase !== "Failed" && pod.phase !== "Succeeded" && isAlive(pod, at);
}

function isAlive({ deletedAt }: { readonly deletedAt: Date | undefined }, at: Date): boolean {
  return deletedAt === undefined || at.getTime() - deletedAt.getTime() <= deletionLeewayMs;
}
