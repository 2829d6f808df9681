/** Operators of an issuer under test: what each shows, and clients that call as them. */
import assert from "node:assert/strict";
import { toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import { call, openAdmin, openRemoteAdmin, readStream } from "../../src/rpc/client.ts";
import type { AdminClient } from "../../src/rpc/gen/espalier/v1/Admin.ts";
import type { OperatorCertificate__Output } from "../../src/rpc/gen/espalier/v1/OperatorCertificate.ts";
import type { IssuerStack } from "./stack.ts";
import { issuerTls } from "./thief.ts";
import { type Identity, type NewKey, newKey } from "./workload.ts";

export type { AdminClient };

export const act = { operator: "alice", reason: "a test" };

/** A client that closes itself. */
export interface Opened extends Disposable {
  readonly admin: AdminClient;
}

export function openSocket({ site }: IssuerStack): Opened {
  return closing(openAdmin(site.config.adminSocket));
}

/** As whoever shows this; as nobody without it. */
export function openAs({ site, running }: IssuerStack, identity?: Identity): Opened {
  assert.ok(running.adminPort !== undefined, "nothing listens for operators");
  return closing(openRemoteAdmin(`127.0.0.1:${running.adminPort}`, issuerTls(site, identity)));
}

function closing(admin: AdminClient): Opened {
  return { admin, [Symbol.dispose]: () => admin.close() };
}

export async function createOperator(
  admin: AdminClient,
  name: string,
  role: string,
  more: { readonly key?: NewKey; readonly uri?: string; readonly days?: number; readonly dryRun?: boolean } = {},
): Promise<OperatorCertificate__Output> {
  const { key = newKey(), uri, days = 1, dryRun = false } = more;
  const csr = toCsr({ privateKey: key.privateKey, ...(uri === undefined ? {} : { uri }) });
  const request = { act, name, role, csr, days, dryRun };
  return await call<object, OperatorCertificate__Output>(admin.createOperator.bind(admin), request, 5_000);
}

/** A new operator's certificate with its key. */
export async function enrol(issuer: IssuerStack, name: string, role: string): Promise<Identity> {
  using socket = openSocket(issuer);
  const key = newKey();
  const { certificate } = await createOperator(socket.admin, name, role, { key });
  return { chainPem: toPem("CERTIFICATE", certificate), keyPem: key.keyPem };
}

/** The acts of the hub, newest first. */
export async function acts(admin: AdminClient): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const found: Readonly<Record<string, unknown>>[] = [];
  for await (const { kind, body } of readStream(admin.listEntries({ log: "@hub", limit: 1000 }))) {
    if (kind === "act") found.push(JSON.parse(body.toString("utf8")));
  }
  return found;
}
