/** Which version of a resource an API server serves, by its own discovery documents. */
import { ApiError } from "./api-error.ts";
import type { Client } from "./client.ts";
import { isRecord, type JsonRecord, listAt } from "./json.ts";
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

/**
 * Whether the API server's own lists have no such resource: then all of its objects went with its definition. That it is not found can
 * be the word of a proxy in between, which knows nothing. @throws ApiError where we may not know; Refusal `unavailable`.
 */
export async function isWithdrawn(client: Client, resource: Resource, signal: AbortSignal): Promise<boolean> {
  const { group, version, plural } = resource;
  if (group === "") return false;
  const listed = async (path: string, list: string): Promise<readonly JsonRecord[]> =>
    listAt(await client.call({ verb: "GET", path, signal }), list).filter(isRecord);
  const groups = await listed("/apis", "groups");
  const versions = groups.filter(({ name }) => name === group).flatMap((one) => listAt(one, "versions"));
  // Every API server has some groups.
  if (!versions.some((one) => isRecord(one) && one["version"] === version)) return groups.length > 0;
  return (await listed(`/apis/${group}/${version}`, "resources")).every(({ name }) => name !== plural);
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
