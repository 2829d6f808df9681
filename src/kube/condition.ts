/** Conditions of a status, as every kind that has them writes them. */
import { isRecord, listAt, textAt } from "./json.ts";

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** RFC 3339, as it stands there; empty where it is missing. */
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

/** By type. @throws Refusal `malformed` for what no API server would send. */
export function readConditions(status: unknown): ReadonlyMap<string, Condition> {
  const all = listAt(status, "conditions").filter(isRecord);
  return new Map(
    all.map((one) => {
      const type = textAt(one, "type") ?? "";
      const { observedGeneration } = one;
      const condition: Condition = {
        type,
        status: textAt(one, "status") ?? "",
        reason: textAt(one, "reason") ?? "",
        message: textAt(one, "message") ?? "",
        lastTransitionTime: textAt(one, "lastTransitionTime") ?? "",
        ...(typeof observedGeneration === "number" ? { observedGeneration } : {}),
      };
      return [type, condition];
    }),
  );
}

/** With the time of the last change of its status; a fraction of a second would never compare equal in an API server. */
export function toCondition(
  condition: Omit<Condition, "lastTransitionTime">,
  before: Condition | undefined,
  now: Date,
): Condition {
  const kept = before?.status === condition.status && before.lastTransitionTime !== "";
  return { ...condition, lastTransitionTime: kept ? before.lastTransitionTime : toSeconds(now) };
}

export function toSeconds(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
