/**
 * The API server over HTTP: few connections used again and again, a deadline on everything, and trying again where that is safe.
 * Over node:https: it weighs nothing, where undici as a package weighs 28 MB and could do no more for us.
 */
import type { IncomingMessage } from "node:http";
import { type ApiError, readApiError } from "./api-error.ts";
import type { Credentials } from "./credentials.ts";
import { type Deadline, openDeadline } from "./deadline.ts";
import { exchange, type Query, readBody, readChunks, type Verb } from "./exchange.ts";
import { openItems } from "./items.ts";
import { type BackOff, pause } from "./pause.ts";
import { openPool, type Taken, type Use } from "./pool.ts";
import { isUnauthorized, nameOf, toRefused, toWaitMs } from "./try-again.ts";

export interface Call {
  readonly verb: Verb;
  /** As `toPath` makes it. */
  readonly path: string;
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Of the body. Default `application/json`. */
  readonly contentType?: string;
  /** For all tries together, waiting for a connection included. Default 10 s. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Of the answer. Default 4 MiB: etcd's largest object, twice. */
  readonly bytesMax?: number;
  /** Whether to send it again when nobody knows if it was carried out. Default: only what reads. */
  readonly repeatable?: boolean;
}

export interface Client extends Disposable {
  /** The answer's JSON. @throws ApiError, Refusal `unavailable`. */
  call(call: Call): Promise<unknown>;
  /** A list's answer, its items one by one through `read`, which keeps what is needed of them. @throws as `call`. */
  list<T>(call: Call, read: (item: unknown) => T): Promise<ListAnswer<T>>;
  /** The answer as it comes; its deadline is for the headers only. The signal, or disposing, ends it. @throws as `call`. */
  open(call: Call): Promise<OpenAnswer>;
}

export interface ListAnswer<T> {
  readonly items: readonly T[];
  /** The answer without them. */
  readonly rest: unknown;
}

export interface OpenAnswer extends Disposable {
  readonly response: IncomingMessage;
}

export interface ClientParts {
  readonly credentials: Credentials;
  /** Between tries, where the server does not say. Default 100 ms to 3 s. */
  readonly backOff?: BackOff;
}

export const callDeadlineMs = 10_000;
const answerBytesMax = 4 * 1024 * 1024;
const errorBytesMax = 64 * 1024;
/** A server that wants more than this to be tried again has a reason; the caller should know it. */
const triesMax = 6;

interface Answered {
  readonly response: IncomingMessage;
  readonly taken: Taken;
}

export function openClient({ credentials, backOff = { msMin: 100, msMax: 3_000 } }: ClientParts): Client {
  const pool = openPool();
  const closed = new AbortController();

  const once = async (call: Call, use: Use, signal: AbortSignal, again: boolean): Promise<Answered> => {
    const access = await credentials.current(again);
    const taken = pool.take(access, use);
    try {
      const { body, ...rest } = call;
      const bytes = body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) };
      const response = await exchange({ ...rest, ...bytes, agent: taken.agent, access, signal });
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return { response, taken };
      throw await toApiError(call, response, status);
    } catch (error) {
      taken[Symbol.dispose]();
      throw error;
    }
  };

  /** `finish` makes what the caller gets out of a good answer's beginning; if that breaks, it counts as a failed try too. */
  const tries = async <T>(call: Call, use: Use, deadline: Deadline, finish: (answered: Answered) => Promise<T>) => {
    let last: unknown;
    for (let failures = 0; failures < triesMax && !deadline.signal.aborted; failures += 1) {
      try {
        return await finish(await once(call, use, deadline.signal, isUnauthorized(last)));
      } catch (error) {
        if (deadline.signal.aborted) break;
        last = error;
        const waitMs = toWaitMs(call, error, failures, backOff);
        if (waitMs === undefined || waitMs >= deadline.leftMs()) break;
        await pause(waitMs, deadline.signal);
      }
    }
    throw toRefused(call, deadline, last);
  };

  return {
    call: async (call) => {
      using deadline = openDeadline(call.deadlineMs ?? callDeadlineMs, call.signal, closed.signal);
      return await tries(call, "call", deadline, (answered) => readJson(call, answered));
    },
    list: async (call, read) => {
      using deadline = openDeadline(call.deadlineMs ?? callDeadlineMs, call.signal, closed.signal);
      return await tries(call, "call", deadline, (answered) => readList(call, answered, read));
    },
    open: async (call) => {
      const deadline = openDeadline(call.deadlineMs ?? callDeadlineMs, call.signal, closed.signal);
      try {
        const answered = await tries(call, "watch", deadline, async (begun) => begun);
        deadline.lift();
        return { response: answered.response, [Symbol.dispose]: () => end(answered, deadline) };
      } catch (error) {
        deadline[Symbol.dispose]();
        throw error;
      }
    },
    [Symbol.dispose]: () => {
      closed.abort();
      pool[Symbol.dispose]();
    },
  };
}

function end({ response, taken }: Answered, deadline: Deadline): void {
  response.destroy();
  taken[Symbol.dispose]();
  deadline[Symbol.dispose]();
}

async function readJson({ bytesMax = answerBytesMax }: Call, { response, taken }: Answered): Promise<unknown> {
  using _ = taken;
  const bytes = await readBody(response, bytesMax);
  const value: unknown = JSON.parse(bytes.toString("utf8"));
  return value;
}

async function readList<T>(
  { bytesMax = answerBytesMax }: Call,
  { response, taken }: Answered,
  read: (item: unknown) => T,
): Promise<ListAnswer<T>> {
  using _ = taken;
  const items: T[] = [];
  const parser = openItems((item) => items.push(read(item)));
  await readChunks(response, bytesMax, parser.take);
  return { items, rest: parser.end() };
}

/** The body of a refusal is read to its end, so that its connection can be used again. */
async function toApiError(call: Call, response: IncomingMessage, status: number): Promise<ApiError> {
  const bytes = await readBody(response, errorBytesMax);
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString("utf8"));
  } catch {
    // A proxy in between answers in HTML; the status says enough.
    body = undefined;
  }
  return readApiError(nameOf(call), body, status, response.headers["retry-after"]);
}
