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

interface Whose {
  readonly method: string;
  /** Proven, or empty. */
  readonly cluster?: string;
  /** What a caller says of itself, for the log alone. */
  readonly claimed?: string;
  /** Whom an operator's certificate names. */
  readonly operator?: string | undefined;
}

export function tellRefused(
  error: unknown,
  { method, cluster = "", claimed = cluster, operator }: Whose,
  { log, metrics }: TellParts,
): Refusal {
  const refusal = toRefusal(error);
  const { code, message, cause } = refusal;
  metrics.refused({ code, tenant: "", cluster });
  const fields = { method, code, cluster: claimed.slice(0, claimCharactersMax), operator };
  if (code === "internal") log.error("refused", fields, error);
  else log.warn("refused", { ...fields, message, met: cause instanceof Error ? cause.message : undefined });
  return refusal;
}
