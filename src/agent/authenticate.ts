/** Who asks? The workload's token by the cluster's own keys; without one, the certificate a VM renews. */
import { Refusal } from "../errors.ts";
import { readCertificate } from "../pki/certificate.ts";
import type { Caller } from "../rpc/server.ts";
import type { ServiceAccount } from "../token/account.ts";
import type { Presence } from "./presence.ts";
import type { Proof } from "./proof.ts";

export interface AuthenticateParts {
  readonly cluster: string;
  readonly aliases: readonly string[];
  readonly proof: Proof;
  readonly now: () => Date;
  /** Where there is a Kubernetes API to ask: whether what a token is bound to still lives. */
  readonly presence?: Pick<Presence, "check"> | undefined;
}

/** What goes to the issuer, which checks it again. */
export type Shown =
  | { readonly token: string }
  | { readonly certificate: Uint8Array }
  | { readonly impersonated: { readonly token: string; readonly identity: string } };

/** A caller this agent has proven by its token, or one that renews by its certificate. */
export type Authenticated =
  | { readonly by: "token"; readonly token: string; readonly account: ServiceAccount }
  | { readonly by: "certificate"; readonly certificate: Uint8Array };

const bearer = "Bearer ";

/** @throws Refusal `proof-missing` or `proof-invalid`, or `unavailable` when nobody can say now. */
export async function authenticate(caller: Caller, parts: AuthenticateParts): Promise<Authenticated> {
  checkCluster(caller, parts);
  const token = readToken(caller);
  const renewed = caller.certificate();
  if (token === undefined && renewed === undefined) {
    throw new Refusal("proof-missing", 'no "authorization: Bearer" token and no client certificate that verifies');
  }
  if (token === undefined) return byCertificate(renewed, parts);
  try {
    return await byToken(token, parts);
  } catch (error) {
    // A VM goes on showing the token it was set up with, long after it has expired.
    if (renewed !== undefined && error instanceof Refusal && error.code === "proof-invalid")
      return byCertificate(renewed, parts);
    throw error;
  }
}

/** As istiod counts it: the header says something only when it stands there once. Empty is this cluster. */
function checkCluster(caller: Caller, { cluster, aliases }: AuthenticateParts): void {
  const stated = caller.header("clusterid");
  const [id] = stated;
  if (stated.length !== 1 || id === undefined || id === "" || id === cluster || aliases.includes(id)) return;
  throw new Refusal("proof-invalid", `the clusterid header does not name this cluster, which is "${cluster}"`);
}

function readToken(caller: Caller): string | undefined {
  const header = caller.header("authorization").find((value) => value.startsWith(bearer));
  const token = header?.slice(bearer.length).trim();
  return token === "" ? undefined : token;
}

async function byToken(token: string, { proof, presence }: AuthenticateParts): Promise<Authenticated> {
  const account = await proof(token);
  await presence?.check(account);
  return { by: "token", token, account };
}

/** TLS has verified it when the connection began; connections outlive certificates. */
function byCertificate(der: Uint8Array | undefined, { now }: AuthenticateParts): Authenticated {
  if (der === undefined) throw new Refusal("proof-missing", "no client certificate");
  const { uris, notAfter } = readCertificate(der);
  if (uris.length !== 1) throw new Refusal("proof-invalid", "the client certificate has not exactly one URI name");
  if (now() > notAfter) throw new Refusal("proof-invalid", "the client certificate has expired");
  return { by: "certificate", certificate: der };
}
