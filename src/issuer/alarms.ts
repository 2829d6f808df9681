/** What the alert rules of charts/espalier-issuer look at, beside what is counted anyway: what runs out, lags or is refused. */
import type { AuthorityRecord } from "../ledger/state.ts";
import type { Metrics } from "../ops/metrics.ts";
import { openSuspensionLag } from "./copy-suspensions.ts";
import { clusterProblem, tenantProblem } from "./describe.ts";
import type { LiveWorld } from "./live.ts";
import { signingNow } from "./renew.ts";
import type { Storage } from "./storage.ts";
import { firstCrls } from "./trust.ts";
import type { World } from "./world.ts";

export interface AlarmParts extends Pick<Storage, "unplaced" | "clockAheadSeconds"> {
  readonly live: Pick<LiveWorld, "world">;
  readonly now: () => Date;
  /** Whether what is declared now is not in force. */
  readonly refused: () => boolean;
  /** Of the issuer's own certificate. */
  readonly servingEnd: () => Date;
}

export function addAlarms(metrics: Metrics, parts: AlarmParts): void {
  const { live, now, refused, servingEnd, unplaced, clockAheadSeconds } = parts;
  metrics.gauges(
    "authority_life_left",
    "How much of its life is left to what signs for this owner: 1 when it is new, 0 at its end.",
    ["kind", "owner"],
    () =>
      signingNow(live.world()).map((record) => [{ kind: record.kind, owner: record.owner }, lifeLeft(record, now())]),
  );
  metrics.gauges(
    "crl_expiry_seconds",
    "How long until the first CRL of this owner's CAs ends, in seconds. A kind is tenant, delegating or root.",
    ["kind", "owner"],
    () => firstCrls(live.world()).map(([labels, { nextUpdate }]) => [labels, (+nextUpdate - +now()) / 1000]),
  );
  metrics.gauges(
    "crl_life_left",
    "How much of its life is left to that CRL: 1 when it is new, 0 at its end.",
    ["kind", "owner"],
    () =>
      firstCrls(live.world()).map(([labels, { thisUpdate, nextUpdate }]) => [
        labels,
        lifeLeft({ notBefore: thisUpdate, notAfter: nextUpdate }, now()),
      ]),
  );
  const lag = openSuspensionLag(now);
  metrics.gauge(
    "suspension_lag_seconds",
    "For how long a document's suspension is not yet in the ledger's own write, in seconds; 0 when all are.",
    () => lag(live.world()),
  );
  metrics.gauge(
    "serving_expiry_seconds",
    "How long until the issuer's own certificate ends, in seconds.",
    () => (+servingEnd() - +now()) / 1000,
  );
  metrics.gauge(
    "ledger_unplaced",
    "Entries of the ledger that wait for a position; NaN while the database is away.",
    unplaced,
  );
  metrics.gauge(
    "database_clock_ahead_seconds",
    "How far this issuer's clock was ahead of its PostgreSQL server's with the last write, in seconds.",
    clockAheadSeconds,
  );
  metrics.gauge("resources_refused", "1 while the documents are refused and the last good ones stay in force.", () =>
    refused() ? 1 : 0,
  );
  metrics.gauges(
    "not_ready",
    "Tenants and clusters that are declared and cannot be served: espalier tenant list, espalier cluster list.",
    ["kind"],
    () => {
      const world = live.world();
      return [
        [{ kind: "tenant" }, countTenants(world)],
        [{ kind: "cluster" }, countClusters(world)],
      ];
    },
  );
}

function lifeLeft({ notBefore, notAfter }: Pick<AuthorityRecord, "notBefore" | "notAfter">, now: Date): number {
  return Math.max(0, (+notAfter - +now) / (+notAfter - +notBefore));
}

function countTenants(world: World): number {
  return [...world.declared.tenants.values()].filter((tenant) => tenantProblem(tenant, world) !== "").length;
}

/** One that is suspended is not meant to be served. */
function countClusters(world: World): number {
  const meant = [...world.declared.clusters.values()].filter(({ name }) => !world.isSuspended("cluster", name));
  return meant.filter((cluster) => clusterProblem(cluster, world) !== "").length;
}
