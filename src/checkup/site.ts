/** The agents' configuration: a file, or the release's ConfigMap as the chart makes it. */
import { assertHubRoots, readHubRoots } from "../agent/hub-roots.ts";
import { Refusal } from "../errors.ts";
import { recordAt, someTextAt } from "../kube/json.ts";
import { resources } from "../kube/resource.ts";
import { type AgentConfig, readAgentConfig, readAgentText } from "../ops/config.ts";
import type { View } from "./view.ts";

export interface Site {
  readonly config: AgentConfig;
  readonly kubernetes: NonNullable<AgentConfig["kubernetes"]>;
  readonly hubRootsPem: string;
  /** Where it was read. */
  readonly from: string;
}

export interface Release {
  readonly namespace: string;
  readonly name: string;
}

/** @throws Refusal `config`. */
export async function readSite(file: string): Promise<Site> {
  const config = await readAgentConfig(file);
  return { ...withKubernetes(config, file), hubRootsPem: await readHubRoots(config), from: file };
}

/** @throws Refusal `not-found`, `config`, `malformed`; ApiError. */
export async function siteOf(get: View["get"], release: Release): Promise<Site> {
  const from = `ConfigMap ${release.namespace}/${release.name}`;
  const found = await get(resources.configMaps, release);
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
