/** TenantIssuer and TenantClusterIssuer as the agent knows them, and whether certificates can be had through one. */
import { type Condition, readConditions } from "../kube/condition.ts";
import { recordAt, someTextAt, textAt, textsAt } from "../kube/json.ts";
import { keyOf, type Meta, readMeta } from "../kube/meta.ts";
import { resources } from "../kube/resource.ts";
import type { KeptTrust } from "./kept-trust.ts";

export const issuerResources = {
  TenantIssuer: resources.tenantIssuers,
  TenantClusterIssuer: resources.tenantClusterIssuers,
} as const;

export type IssuerKind = keyof typeof issuerResources;

export function isIssuerKind(text: string): text is IssuerKind {
  return Object.hasOwn(issuerResources, text);
}

/** As who asks through it names it. */
export interface IssuerName {
  readonly kind: IssuerKind;
  /** Empty for an issuer of the cluster. */
  readonly namespace: string;
  readonly name: string;
}

/** Unique among both kinds: none of the parts can hold a slash. */
export function issuerKeyOf(issuer: IssuerName): string {
  return `${issuer.kind}/${keyOf(issuer)}`;
}

export interface TenantIssuer extends Meta, IssuerName {
  readonly generation: number;
  readonly tenant: string;
  readonly profile: string;
  /** Names, or a prefix and `*`: who may use it. Its own namespace alone, where it is in one. */
  readonly namespaces: readonly string[];
  readonly ready: Condition | undefined;
}

/** The API server has judged it by its definition. @throws Refusal `malformed`. */
export function readTenantIssuer(kind: IssuerKind, object: unknown): TenantIssuer {
  const meta = readMeta(object);
  const spec = recordAt(object, "spec");
  const { generation } = recordAt(object, "metadata");
  return {
    ...meta,
    kind,
    generation: typeof generation === "number" ? generation : 0,
    tenant: someTextAt(spec, "tenant"),
    profile: textAt(spec, "profile") ?? "request",
    namespaces: kind === "TenantIssuer" ? [meta.namespace] : textsAt(spec, "namespaces"),
    ready: readConditions(recordAt(object, "status")).get("Ready"),
  };
}

export function mayUse({ namespaces }: TenantIssuer, namespace: string): boolean {
  return namespaces.some((one) => (one.endsWith("*") ? namespace.startsWith(one.slice(0, -1)) : one === namespace));
}

/** Without what only the writing of it adds. */
export type Readiness = Pick<Condition, "status" | "reason" | "message">;

/** Whether certificates can be had through an issuer, by what whoever asks knows of it. */
export type ReadinessOf = (issuer: TenantIssuer) => Readiness;

/** What the hub has said of its tenant. Whether the tenant gives a namespace anything is asked with each request. */
export function decideIssuer({ tenant }: Pick<TenantIssuer, "tenant">, trust: KeptTrust | undefined): Readiness {
  const no = (reason: string, message: string): Readiness => ({ status: "False", reason, message });
  if (trust === undefined)
    return no(
      "HubNotReached",
      "the agent has not heard from its hub yet: `kubectl get pods` of the agent, and its log",
    );
  if (trust.clusterSuspended) return no("ClusterSuspended", "this cluster is suspended at the hub");
  const found = trust.tenants.find((one) => one.tenant === tenant);
  if (found === undefined)
    return no("TenantNotFound", `the hub has no MeshTenant "${tenant}" with a rule (spec.rules) for this cluster`);
  if (found.suspended) return no("TenantSuspended", `MeshTenant "${tenant}" is suspended at the hub`);
  if (!found.requests)
    return no(
      "RequestsNotTaken",
      `MeshTenant "${tenant}" gives nothing to requests: at the hub it needs, in a rule for this cluster, the proof "request" and spec.requests, or the proof "requester:…" of one of the MeshCluster's requesters`,
    );
  return { status: "True", reason: "Ready", message: `MeshTenant "${tenant}" takes requests of this cluster` };
}

/** What it says of itself, for whoever does not hear from the hub. */
export function saidOf({ ready, generation }: TenantIssuer): Readiness {
  if (ready?.observedGeneration === generation) return ready;
  return {
    status: "False",
    reason: "NotLookedAt",
    message:
      "no agent of this cluster has looked at it: `espalier agent check`, and kubernetes.certManager in agent.yaml",
  };
}
