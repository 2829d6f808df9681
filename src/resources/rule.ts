/**
 * What OpenAPI has no words for. Each rule stands in one place and is said twice there: as code, for the issuer, and in the API
 * server's own terms, for a CustomResourceDefinition (crd.ts). The API server goes by them after it has filled in defaults, as zod does.
 */
import * as z from "zod";
import type { Path } from "./problem.ts";

/** What a structural schema may say beside OpenAPI. */
export interface Keywords {
  readonly "x-kubernetes-validations"?: readonly Validation[];
  readonly "x-kubernetes-list-type"?: "map" | "set";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-preserve-unknown-fields"?: true;
  readonly type?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, object>>;
  /** Nothing stands beside an object of an API server: the field is for files alone. */
  readonly absent?: true;
}

export interface Validation {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

export const keywords = z.registry<Keywords>();

export interface Rule<T> {
  readonly says: string;
  /** CEL that is true where the rule holds. `self` is the value. */
  readonly cel: string;
  /** Below the value, where it is told, as `.authority.validityDays`; the value itself if absent. */
  readonly field?: string;
  /** Calls `broken` where the rule does not hold: at the field or at a path more exact, and with what else there is to say. */
  readonly check: (value: T, broken: (path?: Path, more?: string) => void) => void;
}

export function holds<S extends z.ZodType>(schema: S, ...rules: readonly Rule<z.output<S>>[]): S {
  const checked = schema.superRefine((value, context) => {
    for (const { says, field = "", check } of rules) {
      const own = field.split(".").slice(1);
      check(value, (path = own, more = "") =>
        context.addIssue({ code: "custom", path: [...path], message: `${says}${more}` }),
      );
    }
  });
  const validations = rules.map(({ says, cel, field }) => ({
    rule: cel,
    message: says,
    ...(field === undefined ? {} : { fieldPath: field }),
  }));
  return withKeywords(checked, { "x-kubernetes-validations": validations });
}

/** Nothing is listed twice. */
export function distinct<S extends z.ZodArray<z.ZodString>>(schema: S): S {
  const checked = schema.superRefine((items, context) => {
    const at = items.findIndex((item, at) => items.indexOf(item) < at);
    if (at >= 0) context.addIssue({ code: "custom", path: [at], message: `"${items[at]}" is listed twice` });
  });
  return withKeywords(checked, { "x-kubernetes-list-type": "set" });
}

/** No two items have one name. */
export function distinctNames<S extends z.ZodArray<z.ZodObject<{ name: z.ZodString }>>>(schema: S, what: string): S {
  const checked = schema.superRefine((items, context) => {
    const seen = new Set<string>();
    for (const [at, { name }] of items.entries()) {
      if (seen.has(name))
        context.addIssue({ code: "custom", path: [at, "name"], message: `another ${what} is also called "${name}"` });
      seen.add(name);
    }
  });
  return withKeywords(checked, { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] });
}

export const unchanging = "cannot be changed";

/** What it was is not in the document: the API server compares with the object it has, `checkDeclared` with what is in force. */
export function immutable<S extends z.ZodType>(schema: S): S {
  return withKeywords(schema, { "x-kubernetes-validations": [{ rule: "self == oldSelf", message: unchanging }] });
}

/** What only the API server is told. */
export function withKeywords<S extends z.ZodType>(schema: S, more: Keywords): S {
  keywords.add(schema, more);
  return schema;
}
