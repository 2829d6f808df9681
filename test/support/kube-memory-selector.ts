/** Label and field selectors: equality only, which is all we ask for. */
import { type JsonRecord, recordAt, textAt } from "../../src/kube/json.ts";

export function toSelector(query: URLSearchParams, namespace: string): (object: JsonRecord) => boolean {
  const labels = toPairs(query.get("labelSelector"));
  const fields = toPairs(query.get("fieldSelector"));
  return (object) => {
    const metadata = recordAt(object, "metadata");
    if (namespace !== "" && metadata["namespace"] !== namespace) return false;
    const own = recordAt(metadata, "labels");
    return (
      labels.every(([key, value]) => own[key] === value) &&
      fields.every(([key, value]) => fieldOf(object, key) === value)
    );
  };
}

function toPairs(text: string | null): readonly (readonly [string, string])[] {
  if (!text) return [];
  return text.split(",").map((pair) => {
    const [key = "", value = ""] = pair.split("=");
    return [key, value] as const;
  });
}

function fieldOf(object: JsonRecord, path: string): string {
  const [parent = "", key = ""] = path.split(".");
  return textAt(recordAt(object, parent), key) ?? "";
}
