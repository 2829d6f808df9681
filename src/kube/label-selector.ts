/** Label selectors (apimachinery LabelSelector), as webhooks select namespaces and objects by them. */
import { isRecord, type JsonRecord, listAt, recordAt, textAt } from "./json.ts";

/** Whether it asks for nothing. */
export function isOpen(selector: JsonRecord): boolean {
  return (
    Object.keys(recordAt(selector, "matchLabels")).length === 0 && listAt(selector, "matchExpressions").length === 0
  );
}

/** An operator that nobody has yet selects nothing. @throws Refusal `malformed`. */
export function selects(selector: JsonRecord, labels: ReadonlyMap<string, string>): boolean {
  const wanted = recordAt(selector, "matchLabels");
  return (
    Object.keys(wanted).every((key) => labels.get(key) === textAt(wanted, key)) &&
    listAt(selector, "matchExpressions").every((one) => isRecord(one) && holds(one, labels))
  );
}

function holds(expression: JsonRecord, labels: ReadonlyMap<string, string>): boolean {
  const value = labels.get(textAt(expression, "key") ?? "");
  const isIn = value !== undefined && listAt(expression, "values").includes(value);
  switch (textAt(expression, "operator")) {
    case "In":
      return isIn;
    case "NotIn":
      return !isIn;
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    default:
      return false;
  }
}
