/** Whether somebody answers at an address as who it should be, and what time it is there. */
import { connect } from "node:http2";
import { toHostPort } from "../ops/address.ts";

export type Dialled =
  | { readonly kind: "answers"; readonly aheadMs: number | undefined }
  /** Nobody there, as far as can be seen from here. */
  | { readonly kind: "unreachable"; readonly why: string }
  /** Somebody else. */
  | { readonly kind: "untrusted"; readonly why: string };

const deadlineMs = 5_000;

/** A connection as an agent makes it before it has a certificate, and one call of a method that there isn't. */
export async function dial(
  address: string,
  { rootsPem, serverName, now }: { readonly rootsPem: string; readonly serverName: string; readonly now: () => Date },
): Promise<Dialled> {
  const { host, port } = toHostPort(address);
  const authority = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const session = connect(authority, { ca: rootsPem, servername: serverName, minVersion: "TLSv1.2" });
  const { promise, resolve } = Promise.withResolvers<Dialled>();
  let connected = false;
  session.on("connect", () => {
    connected = true;
    const call = session.request({ ":method": "POST", ":path": "/espalier.v1.Issuer/Ping", te: "trailers" });
    call.on("response", ({ date }) => {
      resolve({ kind: "answers", aheadMs: toAheadMs(date, now()) });
    });
    call.on("error", () => {});
    call.end();
  });
  session.on("error", (error) => resolve(toFailure(error)));
  const timer = setTimeout(
    () =>
      resolve(connected ? { kind: "answers", aheadMs: undefined } : { kind: "unreachable", why: "no answer in time" }),
    deadlineMs,
  );
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    session.destroy();
  }
}

/** By a `date` header, which has whole seconds: how far that clock is ahead of ours; undefined if it says nothing. */
export function toAheadMs(date: string | undefined, now: Date): number | undefined {
  const ms = date === undefined ? Number.NaN : Date.parse(date) + 500 - now.getTime();
  return Number.isNaN(ms) ? undefined : ms;
}

/** What the machine or the network says, as against what TLS says. */
const networkCodes = /^(?!EPROTO$)(E[A-Z]+|EAI_AGAIN)$/;

function toFailure(error: Error): Dialled {
  const code = "code" in error && typeof error.code === "string" ? error.code : error.message;
  const unreachable = networkCodes.test(code);
  return { kind: unreachable ? "unreachable" : "untrusted", why: code };
}
