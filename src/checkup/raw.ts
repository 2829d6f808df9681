/** The API server's answers of any status, with their date: what the client's calls leave out. */
import { Refusal } from "../errors.ts";
import type { Credentials } from "../kube/credentials.ts";
import { openDeadline } from "../kube/deadline.ts";
import { exchange, readBody } from "../kube/exchange.ts";
import { isRecord, textAt } from "../kube/json.ts";
import { openPool } from "../kube/pool.ts";
import { toAheadMs } from "./dial.ts";

export interface Raw {
  readonly status: number;
  readonly date: string | undefined;
  readonly text: string;
}

export interface RawClient extends Disposable {
  /** @throws Refusal `unavailable`. */
  get(path: string): Promise<Raw>;
}

const deadlineMs = 5_000;
const answerBytesMax = 64 * 1024;

export function openRaw(credentials: Credentials): RawClient {
  const pool = openPool();
  return {
    get: async (path) => {
      using deadline = openDeadline(deadlineMs);
      const access = await credentials.current();
      using taken = pool.take(access, "call");
      const request = { verb: "GET", path, agent: taken.agent, access, signal: deadline.signal } as const;
      try {
        const response = await exchange(request);
        const text = (await readBody(response, answerBytesMax)).toString("utf8");
        return { status: response.statusCode ?? 0, date: response.headers.date, text };
      } catch (error) {
        const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
        throw new Refusal("unavailable", `${access.server.host} does not answer (${why})`, { cause: error });
      }
    },
    [Symbol.dispose]: () => pool[Symbol.dispose](),
  };
}

export interface Server {
  readonly version: string;
  /** Its clock as against ours, where it says that. */
  readonly aheadMs: number | undefined;
}

/** @throws Refusal `unavailable`. */
export async function askServer(raw: RawClient, now: () => Date): Promise<Server> {
  const { status, date, text } = await raw.get("/version");
  const aheadMs = toAheadMs(date, now());
  if (status !== 200) throw new Refusal("unavailable", `it answers ${status}`);
  const version: unknown = JSON.parse(text);
  return { version: isRecord(version) ? (textAt(version, "gitVersion") ?? "") : "", aheadMs };
}

/** Whether anybody listens at a pod's port, by way of the API server; undefined if it does not say. */
export async function isOpen(
  raw: RawClient,
  namespace: string,
  pod: string,
  port: number,
): Promise<boolean | undefined> {
  const path = `/api/v1/namespaces/${namespace}/pods/https:${pod}:${port}/proxy/`;
  // The API server may not reach pods at all: a firewall in between takes its time to say so.
  const { status, text } = await raw.get(path).catch(() => ({ status: 0, text: "" }));
  if (/connection refused/.test(text)) return false;
  // It speaks TLS; that gRPC has nothing to say to a plain GET is no matter.
  return status === 200 || status === 415 || /tls: |malformed HTTP|HTTP\/2/i.test(text) ? true : undefined;
}
