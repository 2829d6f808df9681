/** All of a collection, page by page: one answer of 10,000 pods would be a hundred megabytes in one go. */
import { isExpired } from "./api-error.ts";
import type { Call, Client, ListAnswer } from "./client.ts";
import { TooLong } from "./exchange.ts";
import { readPageEnd } from "./meta.ts";
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

export interface Listing<T> {
  /** Keeps of an item what is needed, before the next one is looked at. */
  readonly read: (item: unknown) => T;
  readonly onPage: (items: readonly T[]) => void;
  /** The continue token has expired (410): all begins anew, and what came before doesn't count. */
  readonly onRestart: () => void;
}

export interface Listed {
  /** Where a watch goes on. */
  readonly resourceVersion: string;
}

const pageBytesMax = 32 * 1024 * 1024;
/** A collection that outlives its own continue token this often is listed too slowly to be listed at all. */
const restartsMax = 4;

/** @throws ApiError, Refusal. */
export async function listItems<T>(
  client: Client,
  selection: Selection,
  options: ListOptions,
  { read, onPage, onRestart }: Listing<T>,
): Promise<Listed> {
  let { pageMax: limit = 500 } = options;
  let next = "";
  let restarts = 0;
  for (;;) {
    try {
      const { items, rest } = await getPage(client, selection, options, { limit, next }, read);
      const end = readPageEnd(rest);
      onPage(items);
      if (end.next === "") return end;
      next = end.next;
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

async function getPage<T>(
  client: Client,
  { resource, namespace, labelSelector, fieldSelector }: Selection,
  { deadlineMs = 30_000, signal }: ListOptions,
  { limit, next }: { readonly limit: number; readonly next: string },
  read: (item: unknown) => T,
): Promise<ListAnswer<T>> {
  const call: Call = {
    verb: "GET",
    path: toPath(resource, namespace === undefined ? {} : { namespace }),
    query: { limit, labelSelector, fieldSelector, continue: next === "" ? undefined : next },
    bytesMax: pageBytesMax,
    deadlineMs,
    ...(signal === undefined ? {} : { signal }),
  };
  return await client.list(call, read);
}
