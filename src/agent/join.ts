/** The agent's certificate at the hub: asked for with the agent's own token, which is read again each time. */
import { readFile } from "node:fs/promises";
import { Refusal } from "../errors.ts";
import { agentId } from "../identity.ts";
import { openVerifier } from "../pki/chain.ts";
import { readCsr } from "../pki/csr.ts";
import { certificateLabel, toPem } from "../pki/pem.ts";
import { toCsr } from "../pki/request.ts";
import { type ClientTls, call, openIssuer } from "../rpc/client.ts";
import type { JoinReply__Output } from "../rpc/gen/espalier/v1/JoinReply.ts";
import type { JoinRequest } from "../rpc/gen/espalier/v1/JoinRequest.ts";
import { type KeyPair, newKey, toKeyPair } from "./key-pair.ts";

export interface JoinConfig {
  readonly hub: string;
  readonly cluster: string;
  readonly issuers: readonly string[];
  readonly tokenFile: string;
  readonly joinTokenFile?: string | undefined;
}

export interface JoinParts {
  readonly tls: ClientTls;
  /** DER. */
  readonly hubRoots: readonly Uint8Array[];
  /** Sent with a join token: the cluster's token keys as a JWKS; empty while they are not had. */
  readonly jwks: () => string;
  readonly now: () => Date;
}

const deadlineMs = 5_000;

/** Asks one issuer after the other. @throws Refusal of the last one. */
export async function join(config: JoinConfig, parts: JoinParts): Promise<KeyPair> {
  const { privateKey, keyPem } = newKey();
  const csr = toCsr({ privateKey });
  const token = (await readFile(config.tokenFile, "utf8")).trim();
  let last: unknown = new Refusal("unavailable", "no issuer is configured");
  for (const address of config.issuers) {
    const client = openIssuer(address, parts.tls);
    try {
      const reply = await askWithAndWithout(
        config,
        parts.jwks(),
        async (extra) =>
          await call<JoinRequest, JoinReply__Output>(
            (q, options, done) => client.join(q, options, done),
            { cluster: config.cluster, csr, token, ...extra },
            deadlineMs,
          ),
      );
      return accept(reply, csr, keyPem, config, parts);
    } catch (error) {
      last = error;
    } finally {
      client.close();
    }
  }
  throw last;
}

interface Extra {
  readonly joinToken?: string;
  readonly jwks?: string;
}

/** A join token is for the first time only: once the cluster's key is registered, the agent's own token is enough. */
async function askWithAndWithout(
  config: JoinConfig,
  jwks: string,
  ask: (extra: Extra) => Promise<JoinReply__Output>,
): Promise<JoinReply__Output> {
  try {
    return await ask({});
  } catch (error) {
    const joinToken = config.joinTokenFile === undefined ? undefined : await readIfThere(config.joinTokenFile);
    if (joinToken === undefined || jwks === "") throw error;
    if (!(error instanceof Refusal) || error.code !== "proof-invalid") throw error;
    return await ask({ joinToken, jwks });
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").then(
    (text) => text.trim(),
    () => undefined,
  );
}

/** What the hub gave is what was asked, under the hub root this agent was told. */
function accept(
  reply: JoinReply__Output,
  csr: Uint8Array,
  keyPem: string,
  { hub, cluster }: JoinConfig,
  { hubRoots, now }: JoinParts,
): KeyPair {
  const { certificate } = reply;
  const expected = { key: readCsr(csr).spki, names: { uri: agentId(hub, cluster), dns: [] } };
  openVerifier()({ leaf: certificate, intermediates: [], roots: hubRoots, at: now(), ...expected });
  return toKeyPair(toPem(certificateLabel, certificate), keyPem);
}
