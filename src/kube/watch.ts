/** One watch: from a resource version until the server ends it, it breaks, or it has been silent for too long. */
import type { IncomingMessage } from "node:http";
import { Refusal } from "../errors.ts";
import { readApiError } from "./api-error.ts";
import type { Client } from "./client.ts";
import { isRecord } from "./json.ts";
import type { Selection } from "./list.ts";
import { toPath } from "./resource.ts";

export interface WatchConfig extends Selection {
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
  /** Without as much as a bookmark, which comes about once a minute. Default 130 s. */
  readonly silenceMsMax?: number;
}

export type WatchEvent =
  | { readonly kind: "object"; readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: unknown }
  | { readonly kind: "bookmark"; readonly object: unknown };

/** One event. The largest object is 1.5 MiB in etcd, some more as JSON. */
const lineBytesMax = 8 * 1024 * 1024;
const openDeadlineMs = 15_000;
export const silenceMsMaxUsual = 130_000;

/**
 * Returns when the server ended it in good order. @throws ApiError (410: begin with a list), also for an ERROR event;
 * Refusal `unavailable` if it broke or fell silent; whatever `onEvent` throws.
 */
export async function watch(client: Client, config: WatchConfig, onEvent: (event: WatchEvent) => void): Promise<void> {
  const { resource, namespace, labelSelector, fieldSelector, resourceVersion, signal } = config;
  const { silenceMsMax = silenceMsMaxUsual } = config;
  const path = toPath(resource, namespace === undefined ? {} : { namespace });
  // Not all watches of all agents should end at once.
  const timeoutSeconds = 300 + Math.floor(Math.random() * 300);
  using answer = await client.open({
    verb: "GET",
    path,
    query: { watch: true, allowWatchBookmarks: true, resourceVersion, timeoutSeconds, labelSelector, fieldSelector },
    deadlineMs: openDeadlineMs,
    signal,
  });
  let silent = false;
  const timer = setTimeout(() => {
    silent = true;
    answer.response.destroy();
  }, silenceMsMax);
  try {
    for await (const line of lines(answer.response)) {
      timer.refresh();
      onEvent(readEvent(`watch ${path}`, line));
    }
    if (!answer.response.complete) throw new Error("the connection broke");
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const why = silent ? `silent for ${silenceMsMax} ms` : signal.aborted ? "stopped" : "broke";
    throw new Refusal("unavailable", `watch ${path}: ${why}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** @throws Refusal `malformed` if a line is too long. */
async function* lines(response: IncomingMessage): AsyncGenerator<string> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) throw new Error("a watch must be read as bytes");
    let start = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, start)) {
      held.push(chunk.subarray(start, at));
      const line = Buffer.concat(held).toString("utf8");
      [held, bytes, start] = [[], 0, at + 1];
      if (line.trim() !== "") yield line;
    }
    held.push(chunk.subarray(start));
    bytes += chunk.length - start;
    if (bytes > lineBytesMax) throw new Refusal("malformed", `an event of more than ${lineBytesMax} bytes`);
  }
}

function readEvent(what: string, line: string): WatchEvent {
  const event: unknown = toJson(what, line);
  const type = isRecord(event) ? event["type"] : undefined;
  const object = isRecord(event) ? event["object"] : undefined;
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return { kind: "object", type, object };
    case "BOOKMARK":
      return { kind: "bookmark", object };
    case "ERROR":
      throw readApiError(what, object, 500);
    default:
      throw new Refusal("malformed", `${what}: an event of type ${JSON.stringify(type)}`);
  }
}

function toJson(what: string, line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new Refusal("malformed", `${what}: an event that is no JSON`, { cause: error });
  }
}
