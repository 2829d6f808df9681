/** A cluster as the checks see it: read only, each thing asked for once. */
import { assertHubRoots, readHubRoots } from "../agent/hub-roots.ts";
import { type KeptTrust, readKept } from "../agent/kept-trust.ts";
import type { Right } from "../agent/rights.ts";
import { Refusal } from "../errors.ts";
import { isNotFound } from "../kube/api-error.ts";
import { type Client, openClient } from "../kube/client.ts";
import type { Credentials } from "../kube/credentials.ts";
import { openDeadline } from "../kube/deadline.ts";
import { exchange, readBody } from "../kube/exchange.ts";
import { inClusterCredentials } from "../kube/in-cluster.ts";
import { isRecord, type JsonRecord, recordAt, someTextAt, textAt } from "../kube/json.ts";
import { kubeconfigCredentials } from "../kube/kubeconfig.ts";
import { listItems, type Selection } from "../kube/list.ts";
import { getObject, type One } from "../kube/objects.ts";
import { openPool } from "../kube/pool.ts";
import { type Resource, resources } from "../kube/resource.ts";
import { toHostPort } from "../ops/address.ts";
import { type AgentConfig, readAgentConfig, readAgentText } from "../ops/config.ts";
import { type Dialled, dial, toAheadMs } from "./dial.ts";

export interface View {
  readonly now: () => Date;
  /** Whether this runs in the cluster: then what it cannot reach, the agents cannot reach either. */
  readonly inCluster: boolean;
  /** The agents' configuration. @throws Refusal. */
  site(): Promise<Site>;
  /** What the API server says of itself; its clock as against `now`, where it says that. @throws Refusal. */
  server(): Promise<{ readonly version: string; readonly aheadMs: number | undefined }>;
  /** Undefined if it is not there. @throws ApiError. */
  get(resource: Resource, one: One): Promise<JsonRecord | undefined>;
  /** @throws ApiError. */
  list(selection: Selection): Promise<readonly JsonRecord[]>;
  /** Whether the agents' account may. @throws ApiError. */
  may(right: Right): Promise<boolean>;
  /** What each agent that answers says at /readyz. @throws ApiError. */
  readiness(): Promise<readonly Readiness[]>;
  /** The trust that the agents keep; undefined while they have none. @throws ApiError. */
  trust(): Promise<KeptTrust | undefined>;
  /** As an agent that has no certificate yet. */
  dial(address: string, tls: { readonly rootsPem: string; readonly serverName: string }): Promise<Dialled>;
}

export interface Site {
  readonly config: AgentConfig;
  readonly kubernetes: NonNullable<AgentConfig["kubernetes"]>;
  readonly hubRootsPem: string;
  /** Where it was read. */
  readonly from: string;
}

export interface Readiness {
  readonly agent: string;
  /** Empty when it is ready. */
  readonly waitingFor: string;
}

export interface ViewOptions {
  /** Of the pod if absent, and none in the agent's configuration. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  /** agent.yaml; that of the release's ConfigMap if absent. */
  readonly configFile?: string | undefined;
  /** The release's. */
  readonly namespace: string;
  readonly name: string;
  readonly now: () => Date;
}

const deadlineMs = 5_000;
const answerBytesMax = 64 * 1024;

/** @throws Refusal `config` for a kubeconfig or an agent.yaml that will not do. */
export async function openView(options: ViewOptions): Promise<View & Disposable> {
  const { configFile, context } = options;
  const fromFile = configFile === undefined ? undefined : await readSite(configFile);
  const kubeconfig = options.kubeconfig ?? fromFile?.kubernetes.kubeconfig;
  const credentials =
    kubeconfig === undefined
      ? inClusterCredentials({ host: "kubernetes.default.svc", port: "443" })
      : await kubeconfigCredentials(kubeconfig, context === undefined ? {} : { context });
  const client = openClient({ credentials });
  const raw = openRaw(credentials);
  const { namespace, name } = fromFile?.kubernetes ?? options;
  const release = { namespace, name };

  const seen = new Map<string, Promise<unknown>>();
  const once = <T>(key: string, ask: () => Promise<T>): Promise<T> => {
    const asked = seen.get(key) ?? ask();
    seen.set(key, asked);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a key is asked for in one way only
    return asked as Promise<T>;
  };
  const get = (resource: Resource, one: One): Promise<JsonRecord | undefined> =>
    once(`get ${resource.plural} ${one.namespace}/${one.name}`, () => getIfThere(client, resource, one));
  const list = (selection: Selection): Promise<readonly JsonRecord[]> =>
    once(`list ${JSON.stringify(selection)}`, () => listAll(client, selection));
  const site = (): Promise<Site> => once("site", async () => fromFile ?? (await siteOf(get, release)));

  return {
    now: options.now,
    inCluster: kubeconfig === undefined,
    site,
    get,
    list,
    server: () => once("server", () => askServer(raw.get, options.now)),
    may: async (right) => {
      const user = kubeconfig === undefined ? undefined : await accountOf(get, release);
      return await once(`may ${JSON.stringify(right)}`, () => review(client, right, user));
    },
    readiness: () =>
      once("readiness", async () => {
        const { config } = await site();
        const beside = configFile === undefined ? undefined : await askBeside(config);
        return beside === undefined ? await askPods(config, release, { list, raw: raw.get }) : [beside];
      }),
    trust: () =>
      once("trust", async () => {
        const state = await get(resources.secrets, { namespace, name: `${name}-state` });
        return readKept(secretText(state, "trust.json"));
      }),
    dial: (address, tls) =>
      once(`dial ${address} ${tls.serverName}`, () => dial(address, { ...tls, now: options.now })),
    [Symbol.dispose]: () => {
      client[Symbol.dispose]();
      raw[Symbol.dispose]();
    },
  };
}

async function readSite(file: string): Promise<Site> {
  const config = await readAgentConfig(file);
  return { ...withKubernetes(config, file), hubRootsPem: await readHubRoots(config), from: file };
}

/** As the chart puts it there. */
async function siteOf(get: View["get"], { namespace, name }: { namespace: string; name: string }): Promise<Site> {
  const from = `ConfigMap ${namespace}/${name}`;
  const found = await get(resources.configMaps, { namespace, name });
  if (found === undefined) throw new Refusal("not-found", `there is no ${from}`);
  const data = recordAt(found, "data");
  const config = readAgentText(someTextAt(data, "agent.yaml"), from);
  const hubRootsPem = someTextAt(data, "hub-root.pem");
  assertHubRoots(hubRootsPem, config.hubRootSha256);
  return { ...withKubernetes(config, from), hubRootsPem, from };
}

function withKubernetes(config: AgentConfig, from: string): Pick<Site, "config" | "kubernetes"> {
  const { kubernetes } = config;
  if (kubernetes === undefined) throw new Refusal("config", `${from}: kubernetes: is missing`);
  return { config, kubernetes };
}

async function getIfThere(client: Client, resource: Resource, one: One): Promise<JsonRecord | undefined> {
  try {
    const found = await getObject(client, resource, one, { deadlineMs });
    return isRecord(found) ? found : undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function listAll(client: Client, selection: Selection): Promise<readonly JsonRecord[]> {
  const found: JsonRecord[] = [];
  const read = (item: unknown): unknown => item;
  const onPage = (items: readonly unknown[]): void => void found.push(...items.filter(isRecord));
  await listItems(client, selection, {}, { read, onPage, onRestart: () => void found.splice(0) });
  return found;
}

/** A key of a Secret; undefined if either is not there. */
export function secretText(secret: JsonRecord | undefined, key: string): string | undefined {
  const value = textAt(recordAt(secret, "data"), key);
  return value === undefined ? undefined : Buffer.from(value, "base64").toString("utf8");
}

interface Raw {
  readonly status: number;
  readonly date: string | undefined;
  readonly text: string;
}

/** Answers of any status, with their headers: what the client's calls leave out. */
function openRaw(credentials: Credentials): Disposable & { get(path: string): Promise<Raw> } {
  const pool = openPool();
  return {
    get: async (path) => {
      using deadline = openDeadline(deadlineMs);
      const access = await credentials.current();
      using taken = pool.take(access, "call");
      const request = { verb: "GET", path, agent: taken.agent, access, signal: deadline.signal } as const;
      try {
        const response = await exchange(request);
        const text = (await readBody(response, answerBytesMax)).toString("utf8");
        return { status: response.statusCode ?? 0, date: response.headers.date, text };
      } catch (error) {
        const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
        throw new Refusal("unavailable", `${access.server.host} does not answer (${why})`, { cause: error });
      }
    },
    [Symbol.dispose]: () => pool[Symbol.dispose](),
  };
}

async function askServer(
  raw: (path: string) => Promise<Raw>,
  now: () => Date,
): Promise<Awaited<ReturnType<View["server"]>>> {
  const { status, date, text } = await raw("/version");
  const aheadMs = toAheadMs(date, now());
  if (status !== 200) throw new Refusal("unavailable", `it answers ${status}`);
  const version: unknown = JSON.parse(text);
  return { version: isRecord(version) ? (textAt(version, "gitVersion") ?? "") : "", aheadMs };
}

/** Who the agents are. @throws Refusal `not-found`, ApiError. */
async function accountOf(get: View["get"], release: { namespace: string; name: string }): Promise<string> {
  const deployment = await get(deployments, release);
  if (deployment === undefined) {
    throw new Refusal(
      "not-found",
      `there is no Deployment ${release.namespace}/${release.name} whose account to look at`,
    );
  }
  const pod = recordAt(recordAt(recordAt(deployment, "spec"), "template"), "spec");
  return `system:serviceaccount:${release.namespace}:${textAt(pod, "serviceAccountName") ?? "default"}`;
}

async function review(client: Client, right: Right, user: string | undefined): Promise<boolean> {
  const { verb, url: path, ...attributes } = right;
  const what =
    path === undefined ? { resourceAttributes: { verb, ...attributes } } : { nonResourceAttributes: { verb, path } };
  const [, , namespace] = user?.split(":") ?? [];
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
  const kind = user === undefined ? "SelfSubjectAccessReview" : "SubjectAccessReview";
  const answer = await client.call({
    verb: "POST",
    path: `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`,
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind,
      spec: { ...what, ...(user === undefined ? {} : { user, groups }) },
    },
    repeatable: true,
    deadlineMs,
  });
  return recordAt(answer, "status")["allowed"] === true;
}

/** The agent whose agent.yaml this is, on the machine or in the pod where this runs; undefined if none answers. */
async function askBeside({ http, cluster }: AgentConfig): Promise<Readiness | undefined> {
  const { port } = toHostPort(http);
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(deadlineMs) });
    return toReadiness(`the agent of ${cluster} at port ${port}`, await answer.text());
  } catch {
    return undefined;
  }
}

async function askPods(
  { http }: AgentConfig,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  { list, raw }: { readonly list: View["list"]; readonly raw: (path: string) => Promise<Raw> },
): Promise<readonly Readiness[]> {
  const labelSelector = `app.kubernetes.io/name=espalier-agent,app.kubernetes.io/instance=${name}`;
  const pods = await list({ resource: resources.pods, namespace, labelSelector });
  const running = pods.filter((pod) => textAt(recordAt(pod, "status"), "phase") === "Running");
  const names = running.map((pod) => someTextAt(recordAt(pod, "metadata"), "name"));
  const { port } = toHostPort(http);
  const asked = names.map(async (pod) => {
    const { status, text } = await raw(`/api/v1/namespaces/${namespace}/pods/${pod}:${port}/proxy/readyz`);
    if (status === 403) throw new Refusal("unavailable", "this account may not ask the agents' pods (pods/proxy)");
    return toReadiness(pod, text);
  });
  return await Promise.all(asked);
}

function toReadiness(agent: string, text: string): Readiness {
  const [, waitingFor] = /^waiting for (.*)/.exec(text) ?? [];
  return { agent, waitingFor: text === "ok\n" ? "" : (waitingFor ?? "an answer at /readyz") };
}

const apps = { group: "apps", version: "v1", namespaced: true } as const;
export const deployments: Resource = { ...apps, plural: "deployments", kind: "Deployment" };
export const daemonSets: Resource = { ...apps, plural: "daemonsets", kind: "DaemonSet" };
export const services: Resource = { group: "", version: "v1", plural: "services", kind: "Service", namespaced: true };
export const endpointSlices: Resource = {
  group: "discovery.k8s.io",
  version: "v1",
  plural: "endpointslices",
  kind: "EndpointSlice",
  namespaced: true,
};
