/**
 * A ztunnel asks for the workloads on its node. Checked as istiod's node authorizer does, and more: the identity is read by
 * SPIFFE's own grammar, and its trust domain is the issuer's to judge.
 */
import { Refusal } from "../errors.ts";
import { readSpiffeId, type SpiffeId, workloadOf } from "../identity.ts";
import type { ServiceAccount } from "../token/account.ts";
import type { Authenticated, Shown } from "./authenticate.ts";
import type { Presence } from "./presence.ts";
import type { IstioRequest } from "./request.ts";

export interface ImpersonateParts {
  readonly presence: Presence;
  /** `namespace/account` of the cluster's ztunnels. */
  readonly ztunnelAccounts: readonly string[];
}

/** What the issuer is shown for a request: the caller's own proof, or that it may ask for another. @throws Refusal. */
export async function show(
  by: Authenticated,
  asked: IstioRequest,
  parts: ImpersonateParts | undefined,
): Promise<Shown> {
  if (asked.impersonated === "") return by.by === "token" ? { token: by.token } : { certificate: by.certificate };
  if (parts === undefined) throw refused("this agent has no Kubernetes API to check the caller's node with");
  if (by.by !== "token") throw refused("only a ztunnel's own token can ask for others");
  const identity = await impersonate(by.account, asked.impersonated, parts);
  if (identity !== asked.identity) throw refused("the CSR names another identity");
  return { impersonated: { token: by.token, identity } };
}

/** The identity a ztunnel may ask for now. @throws Refusal `impersonation-refused`, `proof-invalid` or `unavailable`. */
async function impersonate(caller: ServiceAccount, identity: string, parts: ImpersonateParts): Promise<SpiffeId> {
  const { presence, ztunnelAccounts } = parts;
  if (!ztunnelAccounts.includes(`${caller.namespace}/${caller.name}`)) {
    throw refused(`account ${caller.namespace}/${caller.name} is not one of this cluster's ztunnel accounts`);
  }
  const id = readIdentity(identity);
  const name = workloadOf(id);
  if (name === undefined) throw refused("the identity is not spiffe://<trust domain>/ns/<namespace>/sa/<account>");
  const { node } = await presence.podOf(caller);
  if (node === "") throw refused("the caller's pod is on no node");
  if (!(await presence.runsOn(node, name.namespace, name.serviceAccount))) {
    throw refused(`no pod of ${name.namespace}/${name.serviceAccount} runs on the caller's node`);
  }
  return id;
}

function readIdentity(text: string): SpiffeId {
  try {
    return readSpiffeId(Buffer.from(text, "utf8"));
  } catch (cause) {
    throw new Refusal("impersonation-refused", "impersonation is refused: the identity is not a SPIFFE ID", { cause });
  }
}

function refused(why: string): Refusal {
  return new Refusal("impersonation-refused", `impersonation is refused: ${why}`);
}
