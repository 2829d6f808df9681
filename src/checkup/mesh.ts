/** What Istio was told: where certificates come from, whose they are, and by whom they may be asked for. */
import { parse as parseYaml } from "yaml";
import { Refusal } from "../errors.ts";
import { isRecord, type JsonRecord, recordAt, textAt } from "../kube/json.ts";
import { toHostPort } from "../ops/address.ts";
import { type Istiod, istiods, istioText, ztunnels } from "./istiods.ts";
import { servingLeaf } from "./roots.ts";
import { fail, ok, skipped, some, type Verdict, worst } from "./verdict.ts";
import type { View } from "./view.ts";

interface Told {
  readonly who: string;
  /** The chart's value that says it. */
  readonly value: string;
  readonly says: string | undefined;
}

const nothingTold = "neither istiod nor ztunnel is there yet";

/** The address that proxies and ztunnels are told is the agents', under a name that their certificate has. */
export async function caAddress(view: View): Promise<Verdict> {
  const { config, kubernetes } = await view.site();
  const leaf = await servingLeaf(view);
  const names = [`${kubernetes.name}.${kubernetes.namespace}.svc`, `${kubernetes.name}.${kubernetes.namespace}`];
  const own = [...names, `${names[0]}.cluster.local`];
  const { port } = toHostPort(config.listen);
  const right = `${names[0]}:${port}`;
  const istiodNames = new Set((await istiods(view)).map(({ namespace, name }) => `${name}.${namespace}.svc`));
  const judge = ({ who, value, says }: Told): Verdict => {
    if (says === undefined || says === "") {
      return fail(`${who} asks istiod for certificates, which gives none`, `set ${value}: ${right}`);
    }
    const [, host = "", asked = ""] = /^(?:https:\/\/)?(.+):(\d+)$/.exec(says) ?? [];
    if (own.includes(host) && asked !== String(port)) {
      return fail(`${who} asks at port ${asked} of the agent, where nobody answers`, `set ${value}: ${right}`);
    }
    // Its certificate has the same names as the agents', and it signs nothing.
    if (istiodNames.has(host)) return fail(`${who} asks istiod at ${says}, which gives none`, `set ${value}: ${right}`);
    if (leaf?.checkHost(host, { wildcards: false }) !== undefined) return ok(`${who} asks ${says}`);
    if (!own.includes(host)) return fail(`${who} asks ${says}, which is not this agent`, `set ${value}: ${right}`);
    return fail(
      `${who} asks ${says}, and the agents' certificate has no such name`,
      `at the hub: add ${host} to servingNames of MeshCluster "${config.cluster}"`,
    );
  };
  return worst([...(await addressesOf(view))].map(judge), nothingTold);
}

async function addressesOf(view: View): Promise<readonly Told[]> {
  const [proxies, nodes] = [await istiods(view), await ztunnels(view)];
  const told = proxies.map(async (istiod) => {
    const who = `every proxy of ${toName(istiod)}`;
    // What is set here comes later in a proxy's environment, and wins.
    const metadata = recordAt(recordAt(await meshOf(view, istiod), "defaultConfig"), "proxyMetadata");
    const over = textAt(metadata, "CA_ADDR");
    if (over !== undefined) return { who, value: "meshConfig.defaultConfig.proxyMetadata.CA_ADDR", says: over };
    return { who, value: "global.caAddress", says: textAt(await injectorGlobal(view, istiod), "caAddress") };
  });
  return [
    ...(await Promise.all(told)),
    ...nodes.map(({ namespace, name, environment }) => ({
      who: `${name} in ${namespace}`,
      value: "caAddress of the ztunnel chart",
      says: environment.get("CA_ADDRESS"),
    })),
  ];
}

/** Istio's trust domain is one of the tenants': another's names are nobody's here. */
export async function trustDomain(view: View): Promise<Verdict> {
  const trust = await view.trust();
  if (trust === undefined) return skipped("the agents have no trust yet");
  const domains = [...new Set(trust.tenants.map((tenant) => tenant.trustDomain))];
  if (domains.length === 0)
    return fail(
      "no tenant has a rule for this cluster and a root: nobody gets a certificate",
      "at the hub: give a MeshTenant a rule that names it; `espalier tenant list` says what else it lacks",
    );
  const verdicts = (await istiods(view)).map(async (istiod) => {
    // Istio's own default.
    const told = textAt(await meshOf(view, istiod), "trustDomain") ?? "cluster.local";
    if (domains.includes(told)) return ok(`${toName(istiod)}: ${told}`);
    return fail(
      `${toName(istiod)} is of trust domain "${told}", and this cluster's tenants are of ${some(domains)}`,
      `set meshConfig.trustDomain: ${domains.length === 1 ? domains[0] : `one of ${some(domains)}`}`,
    );
  });
  return worst(await Promise.all(verdicts), "there is no istiod yet");
}

/** The cluster's name as Istio's agents state it: others are refused. */
export async function clusterName(view: View): Promise<Verdict> {
  const { config } = await view.site();
  const known = [config.cluster, ...config.aliases];
  const told = [
    ...(await Promise.all(
      (
        await istiods(view)
      ).map(async (istiod) => {
        const global = recordAt(await injectorGlobal(view, istiod), "multiCluster");
        return { who: `every proxy of ${toName(istiod)}`, says: textAt(global, "clusterName") };
      }),
    )),
    ...(await ztunnels(view)).map(({ namespace, name, environment }) => ({
      who: `${name} in ${namespace}`,
      says: environment.get("ISTIO_META_CLUSTER_ID"),
    })),
  ];
  const verdicts = told.map(({ who, says }) => {
    const name = says === undefined || says === "" ? "Kubernetes" : says;
    if (known.includes(name)) return ok(`${who} says ${name}`);
    return fail(
      `${who} says that it is of cluster "${name}", and the agents are of "${config.cluster}"`,
      `set multiCluster.clusterName: ${config.cluster}, or add "${name}" to the aliases of agent and MeshCluster`,
    );
  });
  return worst(verdicts, nothingTold);
}

/** A token for somebody else is not taken. */
export async function audience(view: View): Promise<Verdict> {
  const { config } = await view.site();
  const { audiences } = config.tokens;
  const told = [
    ...(await Promise.all(
      (
        await istiods(view)
      ).map(async (istiod) => {
        const token = recordAt(recordAt(await injectorGlobal(view, istiod), "sds"), "token");
        return { who: `every proxy of ${toName(istiod)}`, says: textAt(token, "aud") ?? "istio-ca" };
      }),
    )),
    ...(await ztunnels(view)).flatMap(({ namespace, name, audiences: all }) =>
      all.map((says) => ({ who: `${name} in ${namespace}`, says })),
    ),
  ];
  const verdicts = told.map(({ who, says }) =>
    audiences.includes(says)
      ? ok(`${who} has tokens for ${says}`)
      : fail(
          `${who} has tokens for "${says}", and the agents take those for ${some(audiences)}`,
          `add "${says}" to tokens.audiences of the agent and of MeshCluster "${config.cluster}"`,
        ),
  );
  return worst(verdicts, nothingTold);
}

/** Whose word counts for the workloads of a node. */
export async function ztunnelAccount(view: View): Promise<Verdict> {
  const { config, kubernetes } = await view.site();
  const verdicts = (await ztunnels(view)).map(({ namespace, account }) => {
    const name = `${namespace}/${account}`;
    if (kubernetes.ztunnelAccounts.includes(name)) return ok(`${name} may ask for the workloads of its nodes`);
    return fail(
      `ztunnel runs as ${name}, which may not ask for anybody`,
      `add ${name} to kubernetes.ztunnelAccounts of the agent and to ztunnelAccounts of MeshCluster "${config.cluster}"`,
    );
  });
  return worst(verdicts, "there is no ztunnel");
}

/** MeshConfig, as the chart writes it. */
async function meshOf(view: View, istiod: Istiod): Promise<JsonRecord> {
  const mesh = read("mesh", parseYaml, await istioText(view, istiod, "istio", "mesh"));
  return isRecord(mesh) ? mesh : {};
}

/** What the chart writes down for the templates of proxies. */
async function injectorGlobal(view: View, istiod: Istiod): Promise<JsonRecord> {
  const values = read("values", JSON.parse, await istioText(view, istiod, "istio-sidecar-injector", "values"));
  return recordAt(values, "global");
}

/** @throws Refusal `malformed`. */
function read(key: string, parse: (text: string) => unknown, text: string | undefined): unknown {
  try {
    return text === undefined ? {} : parse(text);
  } catch (cause) {
    throw new Refusal("malformed", `${key} of an istiod's ConfigMap cannot be read`, { cause });
  }
}

function toName({ namespace, name }: Istiod): string {
  return `${name} in ${namespace}`;
}
