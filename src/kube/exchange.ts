/** One request on one connection, and what came back. No redirects, no compression, no cookies. */
import type { IncomingMessage } from "node:http";
import { type Agent, request } from "node:https";
import { Refusal } from "../errors.ts";
import type { Access } from "./credentials.ts";

export type Verb = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Exchange {
  readonly verb: Verb;
  readonly path: string;
  readonly query?: Query;
  readonly body?: Uint8Array;
  /** Default `application/json`. */
  readonly contentType?: string;
  readonly agent: Agent;
  readonly access: Access;
  readonly signal: AbortSignal;
}

const userAgent = "espalier";

/** Until the headers are there. Aborting later ends the response too. Rejects with what node:https says. */
export function exchange(call: Exchange): Promise<IncomingMessage> {
  const { access, agent, body, signal } = call;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        agent,
        signal,
        method: call.verb,
        hostname: access.server.hostname.replace(/^\[|\]$/g, ""),
        port: access.server.port || 443,
        path: `${access.server.pathname.replace(/\/$/, "")}${call.path}${toQuery(call.query)}`,
        headers: {
          // The second is for /openid/v1/jwks, which offers nothing else.
          accept: "application/json, application/jwk-set+json;q=0.9",
          "accept-encoding": "identity",
          "user-agent": userAgent,
          ...(access.token === undefined ? {} : { authorization: `Bearer ${access.token}` }),
          ...(body === undefined
            ? {}
            : { "content-type": call.contentType ?? "application/json", "content-length": body.length }),
        },
      },
      (response) => {
        // Whoever reads the body learns of a later error from it; without a listener it would end the process.
        response.on("error", () => {});
        resolve(response);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function toQuery(query: Query = {}): string {
  const pairs = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]));
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`;
}

/** @throws TooLong, or what node:https says of a connection that broke. */
export async function readBody(response: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await readChunks(response, bytesMax, (chunk) => chunks.push(chunk));
  return Buffer.concat(chunks);
}

/** The body as it comes. @throws as `readBody`, and whatever `onChunk` throws. */
export async function readChunks(
  response: IncomingMessage,
  bytesMax: number,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  let bytes = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) throw new Error("a response must be read as bytes");
    bytes += chunk.length;
    if (bytes > bytesMax) {
      response.destroy();
      throw new TooLong(`the answer is longer than ${bytesMax} bytes`);
    }
    onChunk(chunk);
  }
  if (!response.complete) throw new Error("the connection broke in the middle of the answer");
}

/** Asking for less can help; asking for the same again cannot. */
export class TooLong extends Refusal {
  constructor(message: string) {
    super("internal", message);
  }
}
