/** One request by an object, and the tenant and rule that it met: what each step of the decision looks at. */
import type { Refusal, RefusalCode } from "../errors.ts";
import type { NamedRequest } from "./decide-request.ts";
import type { RequestLimits } from "./requests.ts";
import type { Rule, Tenant } from "./rule.ts";
import type { RuleTable } from "./table.ts";
import type { ProofKind } from "./workload.ts";

export interface Given {
  readonly table: RuleTable;
  readonly request: NamedRequest;
  readonly tenant: Tenant;
  readonly rule: Rule;
  readonly limits: RequestLimits;
  readonly refuse: (code: RefusalCode, message: string) => Refusal;
}

/** What every grant to a request says. */
export interface Granted {
  readonly tenant: string;
  /** Exactly what was asked for, if anything was. */
  readonly validitySeconds: number;
  /** `tenant/rule`. */
  readonly rule: string;
  readonly proof: ProofKind;
}

/** cert-manager's own, where nothing is asked for. */
const defaultSeconds = 90 * 86_400;
/** Kubernetes' own least. */
const minimumSeconds = 600;

/** For at most that long, which is what the field says. @throws Refusal `request-denied`. */
export function grant(given: Given, maximumSeconds: number, field: string): Granted {
  const { tenant, rule } = given;
  return {
    tenant: tenant.name,
    validitySeconds: givenSeconds(given, maximumSeconds, field),
    rule: `${tenant.name}/${rule.name}`,
    proof: "request",
  };
}

/** Neither clamped nor raised: whoever asked plans its renewal by what it asked for. */
function givenSeconds(
  { request: { validitySeconds }, tenant, refuse }: Given,
  maximumSeconds: number,
  field: string,
): number {
  if (validitySeconds <= 0) return Math.min(defaultSeconds, maximumSeconds);
  if (validitySeconds < minimumSeconds)
    throw refuse("request-denied", `the duration is ${validitySeconds} s, less than ${minimumSeconds} s`);
  if (validitySeconds > maximumSeconds)
    throw refuse(
      "request-denied",
      `the duration is ${validitySeconds} s, and MeshTenant "${tenant.name}" gives at most ${maximumSeconds} s (${field})`,
    );
  return validitySeconds;
}

/** The caller's own value, of which a name's length is enough. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 253 ? `${text.slice(0, 253)}…` : text);
}
