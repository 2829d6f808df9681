/** What a schema says of a document, in words of ours. */
import type { z } from "zod";
import type { Flaw, Path } from "./problem.ts";

type Issue = z.core.$ZodIssue;

export function toFlaws(issues: readonly Issue[]): readonly Flaw[] {
  return issues.flatMap(toFlaw);
}

function toFlaw(issue: Issue): readonly Flaw[] {
  const path = toPath(issue.path);
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({ path: [...path, key], rule: "unknown field" }));
  return [{ path, rule: ruleOf(issue) }];
}

function ruleOf(issue: Exclude<Issue, { code: "unrecognized_keys" }>): string {
  switch (issue.code) {
    case "invalid_type":
      if (issue.input === undefined) return "required";
      return `must be ${article(issue.expected)}, not ${toText(issue.input)}`;
    case "invalid_value":
      if (issue.input === undefined) return "required";
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}, not ${toText(issue.input)}`;
    case "too_small":
      return `must be at least ${issue.minimum}${unitOf(issue.origin)}${notThis(issue.input)}`;
    case "too_big":
      return `must be at most ${issue.maximum}${unitOf(issue.origin)}${notThis(issue.input)}`;
    case "invalid_format":
      // The grammars in fields.ts each say their rule.
      return `${issue.message}, not ${toText(issue.input)}`;
    case "invalid_key":
      return "has a key that is not allowed";
    case "invalid_union":
    case "invalid_element":
    case "not_multiple_of":
    case "custom":
      break;
  }
  return issue.message;
}

function article(expected: string): string {
  const named: Readonly<Record<string, string>> = {
    object: "a map",
    record: "a map",
    array: "a list",
    int: "a whole number",
  };
  return named[expected] ?? `a ${expected}`;
}

function unitOf(origin: string): string {
  if (origin === "string") return " characters long";
  return origin === "array" ? " long" : "";
}

function notThis(input: unknown): string {
  return typeof input === "number" ? `, not ${input}` : "";
}

/** The offending value, when it is short and holds no more than itself. */
function toText(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "a map";
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function toPath(path: readonly PropertyKey[]): Path {
  return path.map((step) => (typeof step === "number" ? step : String(step)));
}
