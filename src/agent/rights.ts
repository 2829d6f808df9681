/** All that the agent asks of its cluster's API: what charts/espalier-agent gives it, and `agent check` looks for. */
import type { AgentConfig } from "../ops/config.ts";
import { crlConfigMap } from "./crl-distribution.ts";
import { toIstiodSecrets, toTargets } from "./planes.ts";
import { issuerResources } from "./tenant-issuer.ts";
import { signerOf } from "./trust-bundle.ts";

export interface Right {
  readonly verb: string;
  /** Empty for the core group. */
  readonly group: string;
  /** Its plural, or that and a subresource: `pods/status`. */
  readonly resource: string;
  /** All of them if absent. */
  readonly namespace?: string;
  readonly name?: string;
  /** Instead of a resource. */
  readonly url?: string;
}

export function rightsOf(config: NonNullable<AgentConfig["kubernetes"]>): readonly Right[] {
  const { namespace, name } = config;
  const core = { group: "" };
  const lease = { group: "coordination.k8s.io", resource: "leases", namespace };
  return [
    ...verbs(["get", "list", "watch"], { ...core, resource: "pods" }),
    ...verbs(["get", "list", "watch"], { ...core, resource: "serviceaccounts" }),
    ...verbs(["get"], { ...core, resource: "nodes" }),
    ...verbs(["list", "watch"], { ...core, resource: "namespaces" }),
    ...[...toTargets(config).map(({ configMap }) => configMap), crlConfigMap].flatMap((configMap) =>
      verbs(["create", "list", "patch", "watch"], { ...core, resource: "configmaps", name: configMap }),
    ),
    ...verbs(["get"], { ...core, resource: "", url: "/openid/v1/jwks" }),
    ...(config.tokens === "review"
      ? verbs(["create"], { group: "authentication.k8s.io", resource: "tokenreviews" })
      : []),
    ...bundleRights(config.clusterTrustBundle),
    ...(config.certManager ? certificateRequestRights() : []),
    ...(config.signingRequests ? signingRequestRights() : []),
    ...(config.certManager || config.signingRequests ? issuerRights() : []),
    ...verbs(["create", "get", "patch"], { ...core, resource: "secrets", namespace, name: `${name}-state` }),
    ...verbs(["create"], lease),
    ...verbs(["get", "update"], { ...lease, name }),
    ...verbs(["create", "patch"], { group: "events.k8s.io", resource: "events", namespace: "default" }),
    ...toIstiodSecrets(config).flatMap((secret) =>
      verbs(["create", "get", "patch"], { ...core, resource: "secrets", ...secret }),
    ),
  ];
}

function bundleRights(name: string | undefined): readonly Right[] {
  if (name === undefined) return [];
  const group = "certificates.k8s.io";
  return [
    ...verbs(["create", "list", "patch", "watch"], { group, resource: "clustertrustbundles", name }),
    ...verbs(["attest"], { group, resource: "signers", name: signerOf(name) }),
  ];
}

function certificateRequestRights(): readonly Right[] {
  const group = "cert-manager.io";
  const admission = "admissionregistration.k8s.io";
  return [
    ...verbs(["list", "watch"], { group, resource: "certificaterequests" }),
    ...verbs(["list", "watch"], { group: admission, resource: "validatingwebhookconfigurations" }),
    ...verbs(["list", "watch"], { group: admission, resource: "mutatingwebhookconfigurations" }),
    ...verbs(["patch"], { group, resource: "certificaterequests/status" }),
    ...verbs(["create", "patch"], { group: "events.k8s.io", resource: "events" }),
  ];
}

/** Events about them are in the namespace "default", as all about what is in no namespace. */
function signingRequestRights(): readonly Right[] {
  const group = "certificates.k8s.io";
  const signers = Object.values(issuerResources).map((issuer) => `${issuer.plural}.${issuer.group}/*`);
  return [
    ...verbs(["list", "watch"], { group, resource: "certificatesigningrequests" }),
    ...verbs(["patch"], { group, resource: "certificatesigningrequests/status" }),
    ...signers.flatMap((name) => verbs(["sign"], { group, resource: "signers", name })),
  ];
}

function issuerRights(): readonly Right[] {
  return Object.values(issuerResources).flatMap(({ group, plural }) => [
    ...verbs(["list", "watch"], { group, resource: plural }),
    ...verbs(["patch"], { group, resource: `${plural}/status` }),
  ]);
}

function verbs(all: readonly string[], right: Omit<Right, "verb">): readonly Right[] {
  return all.map((verb) => ({ verb, ...right }));
}
