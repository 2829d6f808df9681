/** Where a cluster's token-signing keys come from, kept fresh: a file, or the issuer's own discovery document. */
import { readFile } from "node:fs/promises";
import { get } from "node:https";
import { Refusal } from "../errors.ts";
import { type Jwk, readJwks } from "./jwk.ts";
import { isClaims } from "./jwt.ts";

export type JwksSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "issuer"; readonly url: string; readonly caPem?: string }
  | { readonly kind: "url"; readonly url: string }
  /** Somebody else knows how: the cluster's own API server, by its own client. */
  | { readonly kind: "api"; readonly load: () => Promise<string> };

export interface KeySet extends AsyncDisposable {
  /** The last good keys; empty until some have been had. */
  keys(): readonly Jwk[];
}

const fetchDeadlineMs = 5_000;
const documentBytesMax = 256 * 1024;
/** As long as there are no keys at all, nobody can be served. */
const retryMs = 2_000;

export interface KeySetParts {
  readonly onFailure: (error: unknown) => void;
  readonly onChange?: () => void;
  readonly refreshMs: number;
}

/** Loads at once and then every `refreshMs`. What cannot be had leaves the last good keys in force. */
export async function startKeySet(source: JwksSource, parts: KeySetParts): Promise<KeySet> {
  let current: readonly Jwk[] = [];
  let text = "";
  const refresh = async (): Promise<void> => {
    try {
      const next = await loadJwks(source);
      if (next === text) return;
      current = readJwks(next);
      text = next;
      parts.onChange?.();
    } catch (error) {
      parts.onFailure(error);
    }
  };
  let timer: NodeJS.Timeout;
  let stopped = false;
  const round = async (): Promise<void> => {
    await refresh();
    if (!stopped) timer = setTimeout(() => void round(), current.length === 0 ? retryMs : parts.refreshMs);
  };
  await round();
  return {
    keys: () => current,
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** The JWKS document as text. @throws Refusal `unavailable`. */
async function loadJwks(source: JwksSource): Promise<string> {
  switch (source.kind) {
    case "file":
      return await readFile(source.path, "utf8");
    case "api":
      return await source.load();
    case "url":
      return await fetchText(source.url, undefined);
    case "issuer": {
      // OpenID Connect Discovery 4: the document stands under the issuer, and names it.
      const discovery: unknown = JSON.parse(
        await fetchText(`${source.url.replace(/\/$/, "")}/.well-known/openid-configuration`, source.caPem),
      );
      if (!isClaims(discovery) || discovery["issuer"] !== source.url || typeof discovery["jwks_uri"] !== "string") {
        throw new Refusal("unavailable", `the discovery document of ${source.url} does not name it as issuer`);
      }
      return await fetchText(discovery["jwks_uri"], source.caPem);
    }
  }
}

/** HTTPS only, no redirects, bounded in time and size. */
function fetchText(url: string, caPem: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void =>
      reject(new Refusal("unavailable", `cannot fetch ${url}: ${why}`, { cause }));
    if (!url.startsWith("https://")) return fail("not an https URL");
    const signal = AbortSignal.timeout(fetchDeadlineMs);
    const request = get(url, { signal, ...(caPem === undefined ? {} : { ca: caPem }) }, (response) => {
      if (response.statusCode !== 200) {
        response.destroy();
        return fail(`status ${response.statusCode}`);
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > documentBytesMax) {
          response.destroy();
          fail(`longer than ${documentBytesMax} bytes`);
        }
      });
      response.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
      response.on("error", (error) => fail("the connection broke", error));
    });
    request.on("error", (error) => fail("no answer", error));
  });
}
