/** The cluster's TenantIssuers and TenantClusterIssuers, followed once for all doors that are asked through them. */
import type { Client } from "../kube/client.ts";
import { type Informer, startInformer } from "../kube/informer.ts";
import type { Log } from "../ops/log.ts";
import {
  type IssuerKind,
  isIssuerKind,
  issuerResources,
  readTenantIssuer,
  type TenantIssuer,
} from "./tenant-issuer.ts";

export interface Issuers extends AsyncDisposable {
  /** One of each kind. */
  readonly followed: readonly Informer<TenantIssuer, never>[];
  /** By `issuerKeyOf`. */
  at(key: string): TenantIssuer | undefined;
}

export interface IssuersParts {
  readonly client: Client;
  readonly now: () => Date;
  readonly log: Log;
}

export function startIssuers(parts: IssuersParts): Issuers {
  const follow = (kind: IssuerKind): Informer<TenantIssuer, never> =>
    startInformer(
      { resource: issuerResources[kind], read: (object) => readTenantIssuer(kind, object), indexes: {} },
      parts,
    );
  const kinds = { TenantIssuer: follow("TenantIssuer"), TenantClusterIssuer: follow("TenantClusterIssuer") };
  const followed = Object.values(kinds);
  return {
    followed,
    at: (key) => {
      const [kind = "", ...path] = key.split("/");
      return isIssuerKind(kind) ? kinds[kind].at(path.join("/")) : undefined;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(followed.map(async (one) => await one.stop()));
    },
  };
}
