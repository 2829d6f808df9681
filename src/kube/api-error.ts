/** What an API server answered instead of what was asked. Both what it means to our callers and its own words are kept. */
import { Refusal, type RefusalCode } from "../errors.ts";
import { isRecord, listAt, recordAt } from "./json.ts";

/**
 * Never PERMISSION_DENIED or UNAUTHENTICATED: that the API server does not let *us* do something is an outage to a workload,
 * which must ask again.
 */
const codes: Readonly<Record<number, RefusalCode>> = {
  400: "internal",
  404: "not-found",
  405: "internal",
  406: "internal",
  409: "not-ready",
  413: "internal",
  415: "internal",
  422: "internal",
};

export class ApiError extends Refusal {
  /** HTTP's. */
  readonly status: number;
  /** Kubernetes' own word, such as `AlreadyExists`, `Conflict`, `Expired`; empty if what answered is no API server. */
  readonly reason: string;
  /** How long the server wants us to wait. */
  readonly retryAfterMs: number | undefined;
  /** The fields a conflict or an invalid object is about. */
  readonly fields: readonly string[];

  constructor(what: string, answer: ApiAnswer) {
    super(codes[answer.status] ?? "unavailable", `${what}: ${answer.status} ${answer.message}`);
    this.status = answer.status;
    this.reason = answer.reason;
    this.retryAfterMs = answer.retryAfterMs;
    this.fields = answer.fields;
  }
}

export interface ApiAnswer {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
  readonly fields: readonly string[];
}

/** A message longer than this is cut: it goes to logs. */
const messageMax = 300;
/** Nobody makes us wait longer. */
const retryAfterMsMax = 60_000;

/** `value` is the body, hopefully a `Status`; also that of an ERROR event of a watch, which brings its own status. */
export function readApiError(what: string, value: unknown, status: number, retryAfter?: string): ApiError {
  const body = isRecord(value) ? value : {};
  const details = isRecord(body["details"]) ? body["details"] : {};
  const seconds = Number(retryAfter ?? details["retryAfterSeconds"]);
  return new ApiError(what, {
    status: typeof body["code"] === "number" && body["code"] >= 300 ? body["code"] : status,
    reason: typeof body["reason"] === "string" ? body["reason"] : "",
    message: (typeof body["message"] === "string" ? body["message"] : "no reason given").slice(0, messageMax),
    retryAfterMs: seconds > 0 ? Math.min(seconds * 1000, retryAfterMsMax) : undefined,
    fields: toFields(body),
  });
}

function toFields(body: unknown): readonly string[] {
  try {
    const causes = listAt(recordAt(body, "details"), "causes").filter(isRecord);
    return causes.map((cause) => cause["field"]).filter((field) => typeof field === "string");
  } catch {
    return [];
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** Somebody else was there first: the object exists, has changed, or the field is another manager's. */
export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409;
}

/** The resource version or the continue token is too old: begin with a new list. */
export function isExpired(error: unknown): boolean {
  return error instanceof ApiError && error.status === 410;
}
