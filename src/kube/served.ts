/** Which version of a resource an API server serves, by its own discovery documents. */
import { ApiError } from "./api-error.ts";
import type { Client } from "./client.ts";
import { isRecord, listAt } from "./json.ts";
import type { Resource } from "./resource.ts";

/**
 * The resource in the first of these versions that is served; undefined where there is none, or where we may not know.
 * @throws Refusal `unavailable` when nobody answers.
 */
export async function servedVersion(
  client: Client,
  resource: Resource,
  versions: readonly string[],
): Promise<Resource | undefined> {
  const group = `/apis/${resource.group}`;
  const found = await namesAt(client, group, "versions", "version");
  for (const version of versions.filter((one) => found.has(one))) {
    if ((await namesAt(client, `${group}/${version}`, "resources", "name")).has(resource.plural))
      return { ...resource, version };
  }
  return undefined;
}

async function namesAt(client: Client, path: string, list: string, key: string): Promise<ReadonlySet<unknown>> {
  try {
    const answer = await client.call({ verb: "GET", path });
    return new Set(listAt(answer, list).map((one) => (isRecord(one) ? one[key] : undefined)));
  } catch (error) {
    // No such group, or discovery is closed to us: either way there is nothing that we can use.
    if (error instanceof ApiError && (error.status === 404 || error.status === 403)) return new Set();
    throw error;
  }
}
