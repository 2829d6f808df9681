/** The hub as the agents need it, and the agents themselves. */
import { openHubRoots } from "../agent/hub-roots.ts";
import { Refusal } from "../errors.ts";
import { isRecord, listAt, recordAt, textAt } from "../kube/json.ts";
import { readLease } from "../kube/lease-record.ts";
import { resources } from "../kube/resource.ts";
import { toHostPort } from "../ops/address.ts";
import type { Dialled } from "./dial.ts";
import type { Readiness } from "./readiness.ts";
import { endpointSlices, services } from "./resource.ts";
import { fail, ok, some, type Verdict, warn } from "./verdict.ts";
import type { View } from "./view.ts";

export async function hub(view: View): Promise<Verdict> {
  const { config } = await view.site();
  const dialled = await dialHub(view);
  const untrusted = dialled.find(({ kind }) => kind === "untrusted");
  if (untrusted !== undefined) {
    const { unseen } = await rootsOf(view);
    const but = unseen === "" ? "" : `; which hub roots the agents have followed to by now cannot be seen (${unseen})`;
    return fail(
      `${untrusted.at} is no issuer of this hub: its certificate does not hold (${untrusted.why})${but}`,
      `give the agents the hub's own hub-root.pem (hubRoot), the issuers' addresses (issuers), and their name if it is not issuer.${config.hub} (issuerName)`,
    );
  }
  const away = dialled.filter(({ kind }) => kind === "unreachable").map(({ at, why }) => `${at} (${why})`);
  if (away.length === 0) return ok(`${some(config.issuers)} under the hub root`);
  const says = `no issuer answers at ${some(away)}`;
  const fix =
    "start the issuer (espalier issuer run), and let the agents' namespace reach its port: DNS, firewall, networkPolicy.issuerCidrs";
  if (away.length < dialled.length) return warn(says, fix);
  // From outside of the cluster the agents know better.
  const agents = view.inCluster ? [] : await readinessIfSeen(view);
  if (agents === undefined) return warn(`${says}, seen from here`, fix);
  if (agents.some(({ waitingFor }) => !waitingFor.includes("connection to an issuer")))
    return ok("no issuer answers from here, but the agents are connected to one");
  return fail(says, fix);
}

interface DialledIssuer {
  readonly at: string;
  readonly kind: Dialled["kind"];
  /** Empty if it answers. */
  readonly why: string;
  readonly aheadMs: number | undefined;
}

/** Every issuer that the agents are told of. @throws Refusal. */
export async function dialHub(view: View): Promise<readonly DialledIssuer[]> {
  const { config } = await view.site();
  const { rootsPem } = await rootsOf(view);
  const serverName = config.issuerName ?? `issuer.${config.hub}`;
  const dialled = config.issuers.map(async (at) => {
    const found = await view.dial(at, { rootsPem, serverName });
    return { at, why: "", aheadMs: undefined, ...found };
  });
  return await Promise.all(dialled);
}

/** What the agents know issuers by: a hub root that they have followed goes before that of their configuration. */
async function rootsOf(view: View): Promise<{ readonly rootsPem: string; readonly unseen: string }> {
  const { hubRootsPem } = await view.site();
  const roots = openHubRoots(hubRootsPem);
  try {
    roots.take((await view.trust())?.hubRoots);
    return { rootsPem: roots.pem(), unseen: "" };
  } catch (error) {
    if (error instanceof Refusal) return { rootsPem: hubRootsPem, unseen: error.message };
    throw error;
  }
}

/** Undefined where the agents cannot be asked: that is told elsewhere. */
export async function readinessIfSeen(view: View): Promise<readonly Readiness[] | undefined> {
  try {
    return await view.readiness();
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/** What /readyz says, and what mends it: the first that fits. */
const remedies: readonly (readonly [waitingFor: RegExp, fix: (cluster: string) => string])[] = [
  [
    /from the Kubernetes API/,
    () => "let the agents reach the API server: networkPolicy.apiServerPorts and apiServerCidrs",
  ],
  [
    /token keys at the hub/,
    (cluster) =>
      `at the hub: espalier cluster keys list ${cluster}; where a join token is to bring them, delete the agent's Secret <release>-state so that it joins again`,
  ],
  [
    /token keys/,
    () =>
      "say who the cluster's tokens are by: tokens.issuer, as kubectl get --raw /.well-known/openid-configuration has it",
  ],
  [
    /\(join\)/,
    (cluster) =>
      `ask the hub why: espalier cluster show ${cluster}; its MeshCluster must have this cluster's keys and name the agents' account`,
  ],
  [/trust from the hub/, (cluster) => `ask the hub why: espalier cluster show ${cluster}`],
  [/serving certificate/, (cluster) => `at the hub: espalier root create --serving ${cluster} --reason …`],
  [/connection to an issuer/, () => "let the agents' namespace reach the issuers' port"],
  [/istiod to stop signing/, () => 'set pilot.env.ENABLE_CA_SERVER="false" for the istiod that still has its CA on'],
];

export async function readiness(view: View): Promise<Verdict> {
  const { config, kubernetes } = await view.site();
  const agents = await view.readiness();
  const { namespace, name } = kubernetes;
  if (agents.length === 0) {
    return fail(
      `no pod of the agent runs in ${namespace}`,
      `kubectl -n ${namespace} describe pods -l app.kubernetes.io/instance=${name}`,
    );
  }
  const waiting = agents.filter(({ waitingFor }) => waitingFor !== "");
  const [first] = waiting;
  if (first === undefined) return ok(`${some(agents.map(({ agent }) => agent))}: ready`);
  const remedy = remedies.find(([phrase]) => phrase.test(first.waitingFor));
  const fix = remedy?.[1](config.cluster) ?? `kubectl -n ${namespace} logs -l app.kubernetes.io/instance=${name}`;
  const says = `${some(waiting.map(({ agent }) => agent))} waits for ${first.waitingFor}`;
  // The others carry on.
  return waiting.length < agents.length ? warn(says, fix) : fail(says, fix);
}

export async function leader(view: View): Promise<Verdict> {
  const { kubernetes } = await view.site();
  const { namespace, name } = kubernetes;
  const found = await view.get(resources.leases, { namespace, name });
  const fix = `kubectl -n ${namespace} logs -l app.kubernetes.io/instance=${name} | grep -i lead`;
  if (found === undefined) return fail(`no agent has ever led: there is no Lease ${namespace}/${name}`, fix);
  const { holder, durationMs } = readLease(found);
  const renewed = textAt(recordAt(found, "spec"), "renewTime");
  const { aheadMs = 0 } = await view.server();
  const ageMs = view.now().getTime() + aheadMs - new Date(renewed ?? 0).getTime();
  if (holder === "") return fail(`no agent leads: the Lease ${namespace}/${name} is let go`, fix);
  // A date in a header has whole seconds.
  if (!(ageMs <= durationMs + 1_000)) {
    return fail(`no agent leads: ${holder} renewed the Lease ${namespace}/${name} at ${renewed} and not since`, fix);
  }
  return ok(`${holder} leads`);
}

export async function service(view: View): Promise<Verdict> {
  const { config, kubernetes } = await view.site();
  const { namespace, name } = kubernetes;
  const found = await view.get(services, { namespace, name });
  if (found === undefined) {
    return fail(
      `workloads have no way to the agent: there is no Service ${namespace}/${name}`,
      `helm upgrade --install ${name} …`,
    );
  }
  const ports = listAt(recordAt(found, "spec"), "ports").flatMap((one) => (isRecord(one) ? [one["port"]] : []));
  const { port } = toHostPort(config.listen);
  if (!ports.includes(port))
    return fail(`the Service ${namespace}/${name} has no port ${port}`, `helm upgrade --install ${name} …`);
  const labelSelector = `kubernetes.io/service-name=${name}`;
  const slices = await view.list({ resource: endpointSlices, namespace, labelSelector });
  const ready = slices
    .flatMap((slice) => listAt(slice, "endpoints"))
    .filter((endpoint) => recordAt(endpoint, "conditions")["ready"] !== false);
  if (ready.length === 0) {
    return fail(
      `nobody answers behind the Service ${namespace}/${name}: none of its endpoints is ready`,
      `kubectl -n ${namespace} get pods -l app.kubernetes.io/instance=${name}; its selector must be theirs`,
    );
  }
  return ok(`${ready.length} behind ${name}.${namespace}.svc:${port}`);
}
