/** All of a collection, page by page: one answer of 10,000 pods would be a hundred megabytes at once. */
import { isExpired } from "./api-error.ts";
import type { Client } from "./client.ts";
import { TooLong } from "./exchange.ts";
import { readPage } from "./meta.ts";
import { type Resource, toPath } from "./resource.ts";

export interface Selection {
  readonly resource: Resource;
  /** Default: all. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListOptions {
  /** Default 500. */
  readonly pageMax?: number;
  /** For each page. Default 30 s. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface Listed {
  /** Where a watch goes on. */
  readonly resourceVersion: string;
}

const pageBytesMax = 32 * 1024 * 1024;
/** A collection that outlives its own continue token this often is listed too slowly to be listed at all. */
const restartsMax = 4;

/**
 * `onPage` gets each page as it comes, so that what isn't needed is dropped before the next; `onRestart` is called when the
 * continue token has expired (410) and all begins anew. @throws ApiError, Refusal.
 */
export async function listPages(
  client: Client,
  selection: Selection,
  options: ListOptions,
  onPage: (items: readonly unknown[]) => void,
  onRestart: () => void,
): Promise<Listed> {
  let { pageMax: limit = 500 } = options;
  let next = "";
  let restarts = 0;
  for (;;) {
    try {
      const page = await getPage(client, selection, options, limit, next);
      onPage(page.items);
      if (page.next === "") return page;
      next = page.next;
    } catch (error) {
      if (error instanceof TooLong && limit > 1) {
        limit = Math.ceil(limit / 8);
      } else if (isExpired(error) && next !== "" && restarts < restartsMax) {
        restarts += 1;
        next = "";
        onRestart();
      } else {
        throw error;
      }
    }
  }
}

async function getPage(
  client: Client,
  { resource, namespace, labelSelector, fieldSelector }: Selection,
  { deadlineMs = 30_000, signal }: ListOptions,
  limit: number,
  next: string,
) {
  const list = await client.call({
    verb: "GET",
    path: toPath(resource, namespace === undefined ? {} : { namespace }),
    query: { limit, labelSelector, fieldSelector, continue: next === "" ? undefined : next },
    bytesMax: pageBytesMax,
    deadlineMs,
    ...(signal === undefined ? {} : { signal }),
  });
  return readPage(list);
}
