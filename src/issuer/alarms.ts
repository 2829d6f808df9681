/** What the alert rules of charts/espalier-issuer look at, beside what is counted anyway: what runs out, lags or is refused. */
import type { AuthorityRecord } from "../ledger/state.ts";
import type { Metrics } from "../ops/metrics.ts";
import { clusterProblem, tenantProblem } from "./describe.ts";
import type { LiveWorld } from "./live.ts";
import { signingNow } from "./renew.ts";
import type { Storage } from "./storage.ts";
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

function lifeLeft({ notBefore, notAfter }: AuthorityRecord, now: Date): number {
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
