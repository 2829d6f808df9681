/**
 * What a tenant, and what one token, may have in a time. Counted by each replica for itself: the hub's limit is this one times
 * its replicas, but for live certificates, which all of them count from the ledger now and then. Tokens are forgotten after two windows, or sooner where more of them come than are held.
 */
import { Refusal } from "../errors.ts";
import type { LeafNames } from "../pki/profile.ts";
import type { QuotaLimits } from "../resources/mesh-tenant.ts";
import type { Allowed } from "./allowed.ts";
import { type LiveCounts, openLiveCounts } from "./live-counts.ts";

export interface Quotas {
  /** Counts one certificate. @throws Refusal `quota`, which says which limit and whose. */
  take(allowed: Taken, limits: QuotaLimits, at: Date): void;
  /** Counts nothing. @throws as `take` would for the tenant; a token is not looked at. */
  look(tenant: string, limits: QuotaLimits, at: Date): void;
}

export interface Taken extends Pick<Allowed, "log" | "tokenSha256" | "validitySeconds"> {
  readonly names?: LeafNames;
}

const windowMs = 3_600_000;
/** Of a window; some 100 bytes each. */
const tokensMax = 100_000;

type Rate = NonNullable<QuotaLimits["rate"]>;

interface Bucket {
  level: number;
  atMs: number;
}

export function openQuotas(live: LiveCounts = openLiveCounts()): Quotas {
  const buckets = new Map<string, Bucket>();
  // Two windows, so that a limit is not forgotten all at once: what was had in the last one counts for the part of it that
  // still lies within an hour.
  let current = new Map<string, number>();
  let last: ReadonlyMap<string, number> = new Map();
  let sinceMs = 0;

  const turn = (atMs: number): void => {
    // A clock that was set back makes nobody's hour longer than from then on.
    sinceMs = Math.min(sinceMs, atMs);
    const passedMs = atMs - sinceMs;
    if (passedMs < windowMs && current.size < tokensMax) return;
    last = passedMs < 2 * windowMs ? current : new Map();
    current = new Map();
    sinceMs = passedMs < windowMs ? atMs : atMs - (passedMs % windowMs);
  };

  const takeOfToken = (key: string, limit: number, atMs: number): boolean => {
    turn(atMs);
    const had = current.get(key) ?? 0;
    const before = (last.get(key) ?? 0) * Math.min(1, 1 - (atMs - sinceMs) / windowMs);
    if (had + before + 1 > limit) return false;
    current.set(key, had + 1);
    return true;
  };

  /** As full as it is by now. @throws Refusal `quota` where it holds less than one certificate. */
  const fill = (tenant: string, { perSecond, burst }: Rate, atMs: number): Bucket => {
    const bucket = buckets.get(tenant) ?? { level: burst, atMs };
    buckets.set(tenant, bucket);
    bucket.level = Math.min(burst, bucket.level + (Math.max(0, atMs - bucket.atMs) * perSecond) / 1000);
    bucket.atMs = atMs;
    if (bucket.level >= 1) return bucket;
    throw new Refusal(
      "quota",
      `the tenant asks for more than ${perSecond} certificates a second (spec.quotas.rate of its MeshTenant)`,
    );
  };

  const checkLive = (tenant: string, most: number, at: Date): void => {
    if (live.count(tenant, at) < most) return;
    throw new Refusal(
      "quota",
      `the tenant has ${most} certificates that have not ended (spec.quotas.liveCertificates of its MeshTenant)`,
    );
  };

  return {
    look(tenant, { rate, liveCertificates }, at) {
      if (rate !== undefined) fill(tenant, rate, at.getTime());
      if (liveCertificates !== undefined) checkLive(tenant, liveCertificates, at);
    },
    take({ log, names, tokenSha256, validitySeconds }, { perTokenHour, rate, liveCertificates }, at) {
      const atMs = at.getTime();
      // The token first: whoever repeats one uses up nothing of its tenant's.
      if (tokenSha256 !== undefined && !takeOfToken(toKey(tokenSha256, names?.uri ?? ""), perTokenHour, atMs)) {
        throw new Refusal(
          "quota",
          `this token has had ${perTokenHour} certificates for this identity within an hour (spec.quotas.perTokenHour of its MeshTenant)`,
        );
      }
      if (rate !== undefined) fill(log, rate, atMs).level -= 1;
      if (liveCertificates === undefined) return;
      checkLive(log, liveCertificates, at);
      live.add(log, new Date(atMs + validitySeconds * 1000));
    },
  };
}

/** 128 bits of the hash are enough to tell tokens apart. */
function toKey(tokenSha256: Uint8Array, identity: string): string {
  return Buffer.from(tokenSha256.buffer, tokenSha256.byteOffset, 16).toString("latin1") + identity;
}
