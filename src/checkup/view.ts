/** A cluster as the checks see it: read only, each thing asked for once. */
import { type KeptTrust, readKept } from "../agent/kept-trust.ts";
import type { Right } from "../agent/rights.ts";
import { isNotFound } from "../kube/api-error.ts";
import { type Client, openClient } from "../kube/client.ts";
import { inClusterCredentials } from "../kube/in-cluster.ts";
import { isRecord, type JsonRecord, recordAt, textAt } from "../kube/json.ts";
import { kubeconfigCredentials } from "../kube/kubeconfig.ts";
import { listItems, type Selection } from "../kube/list.ts";
import { getObject, type One } from "../kube/objects.ts";
import { type Resource, resources } from "../kube/resource.ts";
import { type Dialled, dial } from "./dial.ts";
import { askServer, isOpen, openRaw, type Server } from "./raw.ts";
import { askBeside, askPods, type Readiness } from "./readiness.ts";
import { accountOf, review } from "./review.ts";
import { readSite, type Site, siteOf } from "./site.ts";

export interface View {
  readonly now: () => Date;
  /** Whether this runs in the cluster: then what it cannot reach, the agents cannot reach either. */
  readonly inCluster: boolean;
  /** The agents' configuration. @throws Refusal. */
  site(): Promise<Site>;
  /** What the API server says of itself. @throws Refusal. */
  server(): Promise<Server>;
  /** Undefined if it is not there. @throws ApiError. */
  get(resource: Resource, one: One): Promise<JsonRecord | undefined>;
  /** @throws ApiError. */
  list(selection: Selection): Promise<readonly JsonRecord[]>;
  /** Whether the agents' account may. @throws Refusal, ApiError. */
  may(right: Right): Promise<boolean>;
  /** What each agent that answers says at /readyz. @throws Refusal, ApiError. */
  readiness(): Promise<readonly Readiness[]>;
  /** The trust that the agents keep; undefined while they have none. @throws ApiError. */
  trust(): Promise<KeptTrust | undefined>;
  /** As an agent that has no certificate yet. */
  dial(address: string, tls: { readonly rootsPem: string; readonly serverName: string }): Promise<Dialled>;
  /** Whether anybody listens at a pod's port; undefined if that cannot be seen. */
  isOpen(namespace: string, pod: string, port: number): Promise<boolean | undefined>;
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
    once(`get ${resource.version} ${resource.plural} ${one.namespace}/${one.name}`, () =>
      getIfThere(client, resource, one),
    );
  const list = (selection: Selection): Promise<readonly JsonRecord[]> =>
    once(`list ${JSON.stringify(selection)}`, () => listAll(client, selection));
  const site = (): Promise<Site> => once("site", async () => fromFile ?? (await siteOf(get, release)));

  return {
    now: options.now,
    inCluster: kubeconfig === undefined,
    site,
    get,
    list,
    server: () => once("server", () => askServer(raw, options.now)),
    may: async (right) => {
      const user = kubeconfig === undefined ? undefined : await accountOf(get, release);
      return await once(`may ${JSON.stringify(right)}`, () => review(client, right, user));
    },
    readiness: () =>
      once("readiness", async () => {
        const { config } = await site();
        const beside = configFile === undefined ? undefined : await askBeside(config);
        return beside === undefined ? await askPods(config, release, list, raw) : [beside];
      }),
    trust: () =>
      once("trust", async () => {
        const state = await get(resources.secrets, { namespace, name: `${name}-state` });
        return readKept(secretText(state, "trust.json"));
      }),
    dial: (address, tls) =>
      once(`dial ${address} ${tls.serverName}`, () => dial(address, { ...tls, now: options.now })),
    isOpen: (at, pod, port) => isOpen(raw, at, pod, port),
    [Symbol.dispose]: () => {
      client[Symbol.dispose]();
      raw[Symbol.dispose]();
    },
  };
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
