/** Server-side apply: we say what should be, the API server knows which fields are ours. */
import { isConflict, isNotFound } from "./api-error.ts";
import type { Client } from "./client.ts";
import type { Meta } from "./meta.ts";
import { type CallOptions, fieldManager, type One } from "./objects.ts";
import { type Resource, toApiVersion, toPath } from "./resource.ts";

export interface ApplyOptions extends CallOptions {
  /** Takes fields that other managers hold. Without it their conflict is thrown. */
  readonly force?: boolean;
  /** Default `espalier`. */
  readonly fieldManager?: string;
  /** Only if it is still this one; another of its name is a conflict. */
  readonly uid?: string;
  /** Labels and annotations of ours. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Makes the object, or our fields of it, what `content` says; fields we applied before and leave out now go. Saying the same
 * again changes nothing, so it is tried again when an answer was lost. The object as it is afterwards.
 * @throws ApiError; 409 with the `fields` another manager holds.
 */
export async function applyObject(
  client: Client,
  resource: Resource,
  one: One,
  content: Readonly<Record<string, unknown>>,
  options: ApplyOptions = {},
): Promise<unknown> {
  const { force, fieldManager: manager = fieldManager, uid, labels, annotations, ...rest } = options;
  const metadata = {
    name: one.name,
    ...(one.namespace === undefined ? {} : { namespace: one.namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  return await client.call({
    verb: "PATCH",
    path: toPath(resource, one),
    query: { fieldManager: manager, force },
    contentType: "application/apply-patch+yaml",
    body: { ...content, apiVersion: toApiVersion(resource), kind: resource.kind, metadata },
    repeatable: true,
    ...rest,
  });
}

/** All that is ours of the status of this very object; nothing where that has gone, or another has its name by now. @throws ApiError. */
export async function applyStatus(
  client: Client,
  resource: Resource,
  { namespace, name, uid }: Meta,
  status: object,
  signal: AbortSignal,
): Promise<void> {
  const one = { ...(namespace === "" ? {} : { namespace }), name, subresource: "status" } as const;
  try {
    await applyObject(client, resource, one, { status }, { force: true, uid, signal });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
