/** What an agent measures of itself when somebody looks. */
import type { Metrics } from "../ops/metrics.ts";
import type { KeySet } from "../token/jwks-source.ts";
import type { ClusterApi } from "./cluster-api.ts";
import type { Door } from "./door.ts";
import { type ChainEnds, firstRootEnd } from "./ends.ts";
import type { Hub } from "./hub.ts";
import type { LeafEnds } from "./leaf-ends.ts";
import type { Own } from "./own.ts";
import type { Renewal } from "./renewal.ts";
import type { TrustWatch } from "./trust.ts";

export interface Measured {
  readonly api: ClusterApi | undefined;
  readonly keys: KeySet;
  readonly hub: Hub;
  readonly own: Own;
  readonly trust: Pick<TrustWatch, "current">;
  readonly serving: Pick<Renewal, "current">;
  readonly door: Door;
  readonly ends: ChainEnds;
  readonly leafEnds: LeafEnds;
  readonly now: () => Date;
}

export function addGauges(metrics: Metrics, measured: Measured): void {
  const { api, keys, hub, own, trust, serving, door, ends, leafEnds, now } = measured;
  const left = (end: Date | undefined): number => (end === undefined ? Number.NaN : (+end - +now()) / 1000);
  metrics.istio?.ends({ root: () => firstRootEnd(trust.current()), chain: ends.first, now });
  metrics.gauge("issuer_connections", "Connections to issuers that can take requests.", () => hub.connected());
  metrics.gauge(
    "trust_refused",
    "ConfigMaps and the like that the API server does not let the leader write.",
    () => (api?.lacking() ?? []).length,
  );
  metrics.gauge(
    "trust_conflicts",
    "Places where an istiod whose own CA is on writes its root over the cluster's.",
    () => (api?.conflicts() ?? []).length,
  );
  metrics.gauge(
    "token_keys",
    "Keys that the cluster's tokens may be signed with, as this agent knows them.",
    () => keys.keys().length,
  );
  metrics.gauge("token_keys_missing", "1 while the hub has none of the cluster's token keys.", () =>
    trust.current()?.tokenKeysMissing === true ? 1 : 0,
  );
  metrics.gauges(
    "certificate_expiry_seconds",
    "How long until a certificate of the agent's own ends, in seconds: agent is what the hub knows it by, serving what workloads do.",
    ["certificate"],
    () => [
      [{ certificate: "agent" }, left(own.current()?.notAfter)],
      [{ certificate: "serving" }, left(serving.current()?.notAfter)],
    ],
  );
  metrics.gauge(
    "first_expiry_seconds",
    "How long until the first workload's certificate ends that could not be renewed since the hub was last there, in seconds; while it is there, how long it may be away.",
    () => left(leafEnds.first(hub.connected() > 0)),
  );
  metrics.gauge("connections", "Connections of workloads.", () => door.connections());
  metrics.gauge("connections_limited", "Connections and requests closed for a limit since the start.", () =>
    door.limited(),
  );
}
