/** What a failed try means: whether the same call may be sent again, when, and what its caller is told if not. */
import { Refusal } from "../errors.ts";
import { ApiError } from "./api-error.ts";
import type { Deadline } from "./deadline.ts";
import { TooLong, type Verb } from "./exchange.ts";
import { type BackOff, toPauseMs } from "./pause.ts";

interface Tried {
  readonly verb: Verb;
  readonly path: string;
  readonly repeatable?: boolean;
}

/** For logs and messages; the query stays out, it may hold a continue token. */
export function nameOf({ verb, path }: Tried): string {
  return `${verb} ${path}`;
}

/** Then what is on disk may be newer than the token that was sent. */
export function isUnauthorized(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401;
}

/** How long to wait before the next try; undefined if there should be none. */
export function toWaitMs(call: Tried, error: unknown, failures: number, backOff: BackOff): number | undefined {
  if (error instanceof TooLong) return undefined;
  const { verb, repeatable = verb === "GET" } = call;
  const waitMs = toPauseMs(backOff, failures);
  if (!(error instanceof ApiError)) return repeatable || neverSent(error) ? waitMs : undefined;
  switch (error.status) {
    // It was not carried out: a newer token may do.
    case 401:
      return failures === 0 ? 0 : undefined;
    // It was not carried out: priority and fairness turned it away before anything else was looked at.
    case 429:
      return error.retryAfterMs ?? waitMs;
    case 500:
    case 502:
    case 503:
    case 504:
      return repeatable ? (error.retryAfterMs ?? waitMs) : undefined;
    default:
      return undefined;
  }
}

/** There was nobody to send it to. */
const unsentCodes: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH"]);

function neverSent(error: unknown): boolean {
  return unsentCodes.has(codeOf(error));
}

/** What the last try failed of, or that time ran out, as a Refusal. */
export function toRefused(call: Tried, deadline: Deadline, last: unknown): Refusal {
  if (deadline.signal.aborted && !deadline.isOver()) return new Refusal("unavailable", `${nameOf(call)}: stopped`);
  if (last instanceof Refusal) return last;
  const why = deadline.isOver() ? "no answer in time" : `no answer (${codeOf(last)})`;
  return new Refusal("unavailable", `${nameOf(call)}: ${why}`, { cause: last });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
