/** Which resource, and where it stands on the API server. */
import { Refusal } from "../errors.ts";

export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** One object, or, without a name, the collection; without a namespace, that of all namespaces. */
export interface Place {
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: "status" | "token" | "approval" | "binding" | "scale";
}

const core = { group: "", version: "v1" } as const;
const ours = { group: "espalier.dev", version: "v1alpha1" } as const;
const admission = { group: "admissionregistration.k8s.io", version: "v1" } as const;

export const resources = {
  pods: { ...core, plural: "pods", kind: "Pod", namespaced: true },
  nodes: { ...core, plural: "nodes", kind: "Node", namespaced: false },
  namespaces: { ...core, plural: "namespaces", kind: "Namespace", namespaced: false },
  serviceAccounts: { ...core, plural: "serviceaccounts", kind: "ServiceAccount", namespaced: true },
  configMaps: { ...core, plural: "configmaps", kind: "ConfigMap", namespaced: true },
  secrets: { ...core, plural: "secrets", kind: "Secret", namespaced: true },
  leases: { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease", namespaced: true },
  certificateSigningRequests: {
    group: "certificates.k8s.io",
    version: "v1",
    plural: "certificatesigningrequests",
    kind: "CertificateSigningRequest",
    namespaced: false,
  },
  /** `servedVersion` says which version there is. */
  clusterTrustBundles: {
    group: "certificates.k8s.io",
    version: "v1",
    plural: "clustertrustbundles",
    kind: "ClusterTrustBundle",
    namespaced: false,
  },
  tokenReviews: {
    group: "authentication.k8s.io",
    version: "v1",
    plural: "tokenreviews",
    kind: "TokenReview",
    namespaced: false,
  },
  /** cert-manager's. */
  certificateRequests: {
    group: "cert-manager.io",
    version: "v1",
    plural: "certificaterequests",
    kind: "CertificateRequest",
    namespaced: true,
  },
  /** Ours, in agents' clusters. */
  tenantIssuers: { ...ours, plural: "tenantissuers", kind: "TenantIssuer", namespaced: true },
  tenantClusterIssuers: { ...ours, plural: "tenantclusterissuers", kind: "TenantClusterIssuer", namespaced: false },
  validatingWebhooks: {
    ...admission,
    plural: "validatingwebhookconfigurations",
    kind: "ValidatingWebhookConfiguration",
    namespaced: false,
  },
  mutatingWebhooks: {
    ...admission,
    plural: "mutatingwebhookconfigurations",
    kind: "MutatingWebhookConfiguration",
    namespaced: false,
  },
  events: { group: "events.k8s.io", version: "v1", plural: "events", kind: "Event", namespaced: true },
} as const satisfies Record<string, Resource>;

export function toApiVersion({ group, version }: Pick<Resource, "group" | "version">): string {
  return group === "" ? version : `${group}/${version}`;
}

/** @throws Refusal `malformed` if a name could lead elsewhere. */
export function toPath(resource: Resource, { namespace, name, subresource }: Place = {}): string {
  const { group, version, plural, namespaced } = resource;
  if (namespace !== undefined && !namespaced) {
    throw new Refusal("malformed", `${plural} are in no namespace, not even in ${namespace}`);
  }
  if (name !== undefined && namespaced && namespace === undefined) {
    throw new Refusal("malformed", `${plural} ${name} needs a namespace`);
  }
  const segments = [
    ...(group === "" ? ["api"] : ["apis", group]),
    version,
    ...(namespace === undefined ? [] : ["namespaces", namespace]),
    plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return segments.map((segment) => `/${toSegment(segment)}`).join("");
}

/** As the API server has it (apimachinery `IsValidPathSegmentName`); `:` and the like are then only encoded. */
function toSegment(text: string): string {
  if (text === "" || text === "." || text === ".." || /[/%]/.test(text) || !text.isWellFormed()) {
    throw new Refusal("malformed", `not the name of an object: ${JSON.stringify(text)}`);
  }
  return encodeURIComponent(text);
}
