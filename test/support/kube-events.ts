/** What an agent's Events say of an object of a real cluster. */
import type { Client } from "../../src/kube/client.ts";
import { isRecord, type JsonRecord, listAt, recordAt, textAt } from "../../src/kube/json.ts";
import type { One } from "../../src/kube/objects.ts";
import { type Resource, resources, toPath } from "../../src/kube/resource.ts";

/** Type and reason of each, such as `Warning Refused`, sorted. Of what is in no namespace, Events are in `default`. */
export async function eventsOf(
  client: Client,
  { kind }: Resource,
  { namespace = "default", name }: One,
): Promise<readonly string[]> {
  const answer = await client.call({ verb: "GET", path: toPath(resources.events, { namespace }) });
  const isAbout = (event: JsonRecord): boolean => {
    const regarding = recordAt(event, "regarding");
    const isOurs = event["reportingController"] === "espalier.dev/agent";
    return isOurs && regarding["kind"] === kind && regarding["name"] === name;
  };
  return listAt(answer, "items")
    .filter(isRecord)
    .filter(isAbout)
    .map((event) => `${textAt(event, "type")} ${textAt(event, "reason")}`)
    .sort();
}
