/** Istio's control planes in the cluster, and what each of them is given. */
import type { AgentConfig } from "../ops/config.ts";
import type { DistributeConfig, Roots } from "./distribution.ts";
import type { KeptTrust } from "./kept-trust.ts";
import type { SecretName } from "./secret-store.ts";

type Planes = Pick<
  NonNullable<AgentConfig["kubernetes"]>,
  "rootConfigMap" | "namespaceSelector" | "istiodNamespace" | "istiodSecret" | "revisions"
>;

/** Control planes whose roots have one name share the ConfigMap: one of them alone would undo what another one's istiod needs. */
export function toTargets(config: Planes): readonly DistributeConfig[] {
  const byName = Map.groupBy([config, ...config.revisions], ({ rootConfigMap }) => rootConfigMap);
  return [...byName].map(([configMap, planes]) => ({
    configMap,
    namespaceSelectors: planes.map(({ namespaceSelector }) => namespaceSelector),
    istiodNamespaces: new Set(planes.map(({ istiodNamespace }) => istiodNamespace)),
  }));
}

/** Each once: control planes in one namespace mount the same Secret. */
export function toIstiodSecrets(config: Planes): readonly SecretName[] {
  const named = [config, ...config.revisions].filter(({ istiodSecret }) => istiodSecret !== "");
  const secrets = named.map(({ istiodNamespace: namespace, istiodSecret: name }) => ({ namespace, name }));
  return [...new Map(secrets.map((secret) => [`${secret.namespace}/${secret.name}`, secret])).values()];
}

/** What pods trust for CA and XDS, and what istiod, which verifies clients with the same file, trusts beside it. */
export function toRoots({ servingRootsPem, tenants }: KeptTrust): Roots {
  // One root under several tenants stands there once.
  const tenantRoots = [...new Set(tenants.map((tenant) => tenant.rootsPem))].join("");
  return { rootsPem: servingRootsPem, istiodRootsPem: servingRootsPem + tenantRoots };
}
