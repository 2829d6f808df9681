/** What is refused as a whole: a call, a stream, a joining. One line and one count, as for every request. */
import { type Refusal, toRefusal } from "../errors.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";

export interface TellParts {
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A caller that is nobody yet may claim to be of any cluster, at any length; lines stay short. */
const claimCharactersMax = 63;

/** `cluster` is proven, or empty; `claimed` is what a caller says of itself, for the log alone. */
export function tellRefused(
  error: unknown,
  { method, cluster = "", claimed = cluster }: { method: string; cluster?: string; claimed?: string },
  { log, metrics }: TellParts,
): Refusal {
  const refusal = toRefusal(error);
  const { code, message, cause } = refusal;
  metrics.refused({ code, tenant: "", cluster });
  const fields = { method, code, cluster: claimed.slice(0, claimCharactersMax) };
  if (code === "internal") log.error("refused", fields, error);
  else log.warn("refused", { ...fields, message, met: cause instanceof Error ? cause.message : undefined });
  return refusal;
}
