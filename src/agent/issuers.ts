/** The cluster's TenantIssuers and TenantClusterIssuers, followed once for all doors that are asked through them. */
import type { Client } from "../kube/client.ts";
import { type Informer, startInformer } from "../kube/informer.ts";
import { resources } from "../kube/resource.ts";
import type { Log } from "../ops/log.ts";
import { type IssuerKind, readTenantIssuer, type TenantIssuer } from "./tenant-issuer.ts";

export type Issuers = Readonly<Record<IssuerKind, Informer<TenantIssuer, never>>>;

export const issuerResources = {
  TenantIssuer: resources.tenantIssuers,
  TenantClusterIssuer: resources.tenantClusterIssuers,
} as const;

export interface IssuersParts {
  readonly client: Client;
  readonly now: () => Date;
  readonly log: Log;
}

export function startIssuers(parts: IssuersParts): Issuers & AsyncDisposable {
  const follow = (kind: IssuerKind): Informer<TenantIssuer, never> =>
    startInformer(
      { resource: issuerResources[kind], read: (object) => readTenantIssuer(kind, object), indexes: {} },
      parts,
    );
  const issuers = { TenantIssuer: follow("TenantIssuer"), TenantClusterIssuer: follow("TenantClusterIssuer") };
  return {
    ...issuers,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(Object.values(issuers).map(async (one) => await one.stop()));
    },
  };
}
