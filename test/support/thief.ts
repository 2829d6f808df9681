/** Who has an agent's key, by theft or by joining: it speaks to the issuer itself. */
import assert from "node:assert/strict";
import { toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import { type ClientTls, call, type IssuerClient, openIssuer } from "../../src/rpc/client.ts";
import type { JoinReply__Output } from "../../src/rpc/gen/espalier/v1/JoinReply.ts";
import type { JoinRequest } from "../../src/rpc/gen/espalier/v1/JoinRequest.ts";
import type { SignItem } from "../../src/rpc/gen/espalier/v1/SignItem.ts";
import type { SignReplies__Output } from "../../src/rpc/gen/espalier/v1/SignReplies.ts";
import type { SignReply__Output } from "../../src/rpc/gen/espalier/v1/SignReply.ts";
import { agentToken, hubName } from "./documents.ts";
import { callMs } from "./patience.ts";
import type { Site } from "./site.ts";
import { csrFor, type Identity, newKey } from "./workload.ts";

export interface Thief extends Disposable {
  readonly client: IssuerClient;
  readonly identity: Identity;
  /** One item by `SignOnce`. @throws Refusal where the whole call is refused. */
  sign(item: Partial<SignItem>): Promise<SignReply__Output>;
  signAll(items: readonly SignItem[]): Promise<SignReplies__Output>;
}

export function issuerTls(site: Site, identity?: Identity): ClientTls {
  const tls = { rootsPem: site.hubRootPem, serverName: `issuer.${hubName}` };
  return identity === undefined ? tls : { ...tls, identity };
}

export async function joinHub(site: Site, address: string, request: JoinRequest): Promise<JoinReply__Output> {
  const client = openIssuer(address, issuerTls(site));
  try {
    return await call<JoinRequest, JoinReply__Output>(client.join.bind(client), request, callMs);
  } finally {
    client.close();
  }
}

/** With the token of the cluster's agent, unless another is shown. */
export async function openThief(
  site: Site,
  address: string,
  cluster: string,
  shown: Pick<JoinRequest, "token" | "joinToken" | "jwks"> = {},
): Promise<Thief> {
  const key = newKey();
  const csr = toCsr({ privateKey: key.privateKey });
  const { certificate } = await joinHub(site, address, { cluster, csr, token: agentToken(cluster), ...shown });
  return openThiefWith(site, address, { chainPem: toPem("CERTIFICATE", certificate), keyPem: key.keyPem });
}

export function openThiefWith(site: Site, address: string, identity: Identity): Thief {
  const client = openIssuer(address, issuerTls(site, identity));
  const signAll = async (items: readonly SignItem[]): Promise<SignReplies__Output> =>
    await call<object, SignReplies__Output>(client.signOnce.bind(client), { items }, callMs);
  return {
    client,
    identity,
    signAll,
    sign: async (item) => {
      const { replies } = await signAll([{ id: 1, csr: csrFor(), deadlineMs: callMs, ...item }]);
      const [reply] = replies;
      assert.ok(reply);
      return reply;
    },
    [Symbol.dispose]: () => client.close(),
  };
}
