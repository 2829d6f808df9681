/** What comes next for a CertificateSigningRequest, as a pure function of what is known. request-door.ts does it. */
import { failed, invalid, type KnownIssuer, type Step, toSign } from "./request-step.ts";
import type { SigningAsk, SigningRequest } from "./signing-request.ts";

/** Whoever may approve has looked at it by then; the API server lets nobody change what was approved. */
export function decideSigningRequest({ ask }: SigningRequest, known: KnownIssuer): Step {
  if (ask === undefined || ask.ended || ask.denied || !ask.approved) return { kind: "none" };
  const namespace = namespaceOf(ask);
  if (namespace === undefined)
    return failed(
      "NoServiceAccount",
      `"${ask.username}" is no ServiceAccount: a CertificateSigningRequest is in no namespace, and counts as one of the namespace whose ServiceAccount made it`,
    );
  const { request, usages, validitySeconds, username, groups, issuer } = ask;
  // Before it is looked for: nobody learns which there are elsewhere.
  if (issuer.kind === "TenantIssuer" && issuer.namespace !== namespace)
    return failed(
      "IssuerNotForNamespace",
      `TenantIssuers of namespace "${issuer.namespace}" are for that namespace alone, and a ServiceAccount of "${namespace}" asks`,
    );
  if (issuer.name === "")
    return invalid("the signer names no issuer: it is tenantissuers.espalier.dev/<namespace>.<name>");
  const asker = { namespace, issuer, username, groups, isCa: false };
  return toSign({ request, usages, validitySeconds, asker }, known);
}

/** As the API server names a ServiceAccount, and the groups that it puts every one of them in; others may have found a way to the name alone. */
function namespaceOf({ username, groups }: SigningAsk): string | undefined {
  const [system, kind, namespace = "", name = "", ...rest] = username.split(":");
  const isAccount = system === "system" && kind === "serviceaccount" && name !== "" && rest.length === 0;
  const inGroups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`].every((one) =>
    groups.includes(one),
  );
  return isAccount && namespace !== "" && inGroups ? namespace : undefined;
}
