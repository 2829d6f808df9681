/** Istio's own programs on the stage: pilot-discovery with its CA off, and pilot-agent with the Envoy it starts. */
import { join } from "node:path";
import { applyObject } from "../../src/kube/apply.ts";
import { isRecord, listAt, recordAt, someTextAt } from "../../src/kube/json.ts";
import { resources } from "../../src/kube/resource.ts";
import { freePort } from "../support/processes.ts";
import { type Rendered, renderIstiod } from "./chart.ts";
import { mount, mountWorkload } from "./kubelet.ts";
import { type Program, startProgram } from "./program.ts";
import { type ControlPlane, istiodName, type Stage, type Workload } from "./stage.ts";

/** What test/mesh/run has built or fetched. */
export const programs = {
  discovery: fromEnvironment("ESPALIER_PILOT_DISCOVERY"),
  agent: fromEnvironment("ESPALIER_PILOT_AGENT"),
  envoy: fromEnvironment("ESPALIER_ENVOY"),
  /** Istio's module as it is on disk: its CRDs, its chart, its Envoy's bootstrap. */
  source: fromEnvironment("ESPALIER_ISTIO_SOURCE"),
};

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") throw new Error(`${name} is not set: test/mesh/run sets it`);
  return value;
}

export interface Istiod extends Program {
  /** The address of its port for workloads (15012 in a cluster), host:port. */
  readonly xds: string;
  /** Its port for webhooks, of loopback. */
  readonly webhooks: number;
  /** The name it has in its cluster. */
  readonly servingName: string;
}

export interface IstiodOptions {
  readonly name?: string;
  /** Whether what its chart mounts is there when it starts. Default true. */
  readonly mounted?: boolean;
  /** Beside what its chart sets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Who it is to the API server; an administrator if absent. */
  readonly kubeconfig?: string;
}

/** What istiod needs of the API: its chart's ConfigMaps. */
export async function installIstiod(stage: Stage, plane: ControlPlane, more: object = {}): Promise<Rendered> {
  const rendered = await renderIstiod(stage, plane, programs.source, more);
  const { client } = stage.clusters[plane.cluster].kube;
  const { namespace } = plane;
  // By apply, which is tried again: helm has held up this process, and the API server may have closed a connection of it meanwhile.
  for (const one of rendered.configMaps) {
    const name = someTextAt(recordAt(one, "metadata"), "name");
    const content = { data: one["data"] };
    await applyObject(client, resources.configMaps, { namespace, name }, content, { fieldManager: "helm" });
  }
  return rendered;
}

/** As its chart has it, but for the addresses. What a pod has mounted it looks for below its working directory. */
export async function startIstiod(
  stage: Stage,
  plane: ControlPlane,
  rendered: Rendered,
  { name = "istiod", mounted = true, env = {}, kubeconfig }: IstiodOptions = {},
): Promise<Istiod> {
  const cluster = stage.clusters[plane.cluster];
  const directory = stage.folder(plane.namespace, plane.cluster, name);
  if (mounted) await mount(cluster, plane.namespace, rendered.mounts, directory);
  const webhooks = await freePort();
  const [http, xds, metrics, introspection] = await freePorts(4);
  const program = startProgram({
    name,
    file: programs.discovery,
    directory,
    args: [
      ...rendered.args,
      `--kubeconfig=${kubeconfig ?? cluster.kubeconfig}`,
      `--httpAddr=127.0.0.1:${http}`,
      `--httpsAddr=127.0.0.1:${webhooks}`,
      "--grpcAddr=",
      `--secureGRPCAddr=127.0.0.1:${xds}`,
      `--monitoringAddr=127.0.0.1:${metrics}`,
      `--ctrlz_port=${introspection}`,
    ],
    env: { ...rendered.env, POD_NAME: "istiod-1", POD_NAMESPACE: plane.namespace, SERVICE_ACCOUNT: "istiod", ...env },
  });
  await program.await(async () => {
    const answer = await fetch(`http://127.0.0.1:${http}/ready`);
    if (answer.status !== 200) throw new Error(`not ready: ${answer.status}`);
  });
  return { ...program, xds: `localhost:${xds}`, webhooks, servingName: istiodName(plane) };
}

export interface Sidecar extends Program {
  /** Serial number of the certificate that Envoy has now, hex. */
  serial(): Promise<string>;
  /** Sum of Envoy's counters whose names match. */
  count(counter: RegExp): Promise<number>;
  /** Until Envoy listens on this port of loopback: it has been told so by istiod, and has its certificate. */
  listens(port: number): Promise<void>;
  /** Where it writes its certificates, too. */
  readonly certs: string;
}

export interface SidecarOptions {
  /** Of its folder and its log. */
  readonly name: string;
  /** Whether its token is mounted. Default true. */
  readonly token?: boolean;
  /** Where it writes its certificates; a folder of its own if absent. */
  readonly certs?: string;
  /** Scopes of its log and their levels. */
  readonly log?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Ten minutes, the shortest Espalier gives by default, and a grace that leaves three seconds of them before the next. */
export const rotateEverySeconds = {
  SECRET_TTL: "10m",
  SECRET_GRACE_PERIOD_RATIO: "0.995",
  SECRET_GRACE_PERIOD_RATIO_JITTER: "0",
};

/**
 * pilot-agent and the Envoy it starts, as a pod or a VM has them. There is no iptables here, so nothing is captured: a Sidecar object
 * gives each listener a port of loopback.
 */
export async function startSidecar(
  stage: Stage,
  workload: Workload,
  istiod: Istiod,
  { name, token = true, certs = stage.folder("certs", name), log = "default:info", env = {} }: SidecarOptions,
): Promise<Sidecar> {
  const directory = stage.folder("workloads", name);
  await mountWorkload(stage.clusters[workload.cluster], workload, directory, token);
  const [admin, statusPort, ready, prometheus] = await freePorts(4);
  const config = {
    binaryPath: programs.envoy,
    discoveryAddress: istiod.xds,
    proxyAdminPort: admin,
    statusPort,
    concurrency: 1,
    proxyStatsMatcher: { inclusionRegexps: [".*ssl.*"] },
  };
  const program = startProgram({
    name,
    file: programs.agent,
    directory,
    args: ["proxy", "sidecar", `--log_output_level=${log}`, "--domain", `${workload.namespace}.svc.cluster.local`],
    env: {
      CA_ADDR: stage.clusters[workload.cluster].agent,
      PROXY_CONFIG: JSON.stringify(config),
      TRUST_DOMAIN: workload.trustDomain,
      POD_NAMESPACE: workload.namespace,
      POD_NAME: workload.pod ?? workload.account,
      SERVICE_ACCOUNT: workload.account,
      INSTANCE_IP: "127.0.0.1",
      ISTIOD_SAN: istiod.servingName,
      ISTIO_META_CLUSTER_ID: workload.cluster,
      ISTIO_META_INTERCEPTION_MODE: "NONE",
      ISTIO_BOOTSTRAP: join(programs.source, "tools/packaging/common/envoy_bootstrap.json"),
      OUTPUT_CERTS: certs,
      ENVOY_STATUS_PORT: String(ready),
      ENVOY_PROMETHEUS_PORT: String(prometheus),
      ...env,
    },
  });
  const ask = async (path: string): Promise<unknown> => await (await fetch(`http://127.0.0.1:${admin}${path}`)).json();
  return {
    ...program,
    certs,
    serial: async () => {
      const [first] = listAt(await ask("/certs"), "certificates");
      const [leaf] = listAt(first, "cert_chain");
      return someTextAt(recordAt({ leaf }, "leaf"), "serial_number");
    },
    count: async (counter) => {
      const counters = listAt(await ask("/stats?format=json&type=Counters"), "stats").filter(isRecord);
      const matching = counters.filter((one) => counter.test(someTextAt(one, "name")));
      return matching.reduce((sum, { value }) => sum + Number(value), 0);
    },
    listens: async (port) =>
      await program.await(async () => {
        const listeners = listAt(await ask("/listeners?format=json"), "listener_statuses");
        const ports = listeners.map((one) => recordAt(recordAt(one, "local_address"), "socket_address")["port_value"]);
        if (!ports.includes(port)) throw new Error(`it listens on ${ports.join(", ")}, not on ${port}`);
      }),
  };
}

async function freePorts(count: number): Promise<readonly number[]> {
  return await Promise.all(Array.from({ length: count }, freePort));
}
