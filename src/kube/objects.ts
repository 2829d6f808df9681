/** The plain verbs on single objects. */
import type { Client } from "./client.ts";
import { type Place, type Resource, toPath } from "./resource.ts";

export interface One extends Place {
  readonly name: string;
}

export interface CallOptions {
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** What writes in our name, in `managedFields`. */
export const fieldManager = "espalier";

/** @throws ApiError, 404 if it is not there. */
export async function getObject(client: Client, resource: Resource, one: One, options?: CallOptions): Promise<unknown> {
  return await client.call({ verb: "GET", path: toPath(resource, one), ...options });
}

/** @throws ApiError, 409 `AlreadyExists`. */
export async function createObject(
  client: Client,
  resource: Resource,
  place: Place,
  body: unknown,
  options?: CallOptions,
): Promise<unknown> {
  return await client.call({ verb: "POST", path: toPath(resource, place), query: { fieldManager }, body, ...options });
}

/** The body's `resourceVersion` guards it. @throws ApiError, 409 `Conflict` if the object has changed since. */
export async function replaceObject(
  client: Client,
  resource: Resource,
  one: One,
  body: unknown,
  options?: CallOptions,
): Promise<unknown> {
  return await client.call({ verb: "PUT", path: toPath(resource, one), query: { fieldManager }, body, ...options });
}

/** RFC 7396: what the patch does not name stays. */
export async function mergeObject(
  client: Client,
  resource: Resource,
  one: One,
  body: unknown,
  options?: CallOptions,
): Promise<unknown> {
  const contentType = "application/merge-patch+json";
  const path = toPath(resource, one);
  return await client.call({ verb: "PATCH", path, query: { fieldManager }, contentType, body, ...options });
}

export interface Preconditions {
  /** Only if it is still this one. */
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** @throws ApiError, 404 if it is not there, 409 if a precondition does not hold. */
export async function deleteObject(
  client: Client,
  resource: Resource,
  one: One,
  preconditions?: Preconditions,
  options?: CallOptions,
): Promise<void> {
  const body = { apiVersion: "v1", kind: "DeleteOptions", ...(preconditions === undefined ? {} : { preconditions }) };
  await client.call({ verb: "DELETE", path: toPath(resource, one), body, ...options });
}
