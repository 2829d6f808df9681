/** What comes next for a CertificateRequest, as a pure function of what is known. request-door.ts does it. */
import { Refusal } from "../errors.ts";
import type { Namespace } from "../kube/meta.ts";
import { type CertificateRequest, isFinal, type RequestAsk } from "./certificate-request.ts";
import { type Guards, unguarded } from "./guard.ts";
import { failed, invalid, type KnownIssuer, orEnd, type Step, toSign, wait } from "./request-step.ts";

export interface Known extends KnownIssuer {
  /** Undefined while the namespace is not in the list yet. */
  readonly namespace: Namespace | undefined;
  readonly guards: Guards;
}

/** cert-manager's own, where a request states none. */
const defaultUsages = ["digital signature", "key encipherment"];

export function decideRequest({ ask, namespace }: CertificateRequest, known: Known): Step {
  if (ask === undefined) return { kind: "none" };
  if (isFinal(ask.conditions)) return { kind: "none" };
  // Before its approval, too: what is made here is worth nothing, also when a guard stands here later.
  const open = known.namespace && unguarded(known.namespace, known.guards);
  if (open !== undefined) return failed("NamespaceNotGuarded", open);
  if (isTrue(ask, "Denied")) {
    const message = ask.conditions.get("Denied")?.message ?? "";
    return {
      kind: "end",
      reason: "Denied",
      invalid: false,
      event: "Denied",
      message: `the request was denied: ${message}`,
    };
  }
  if (isTrue(ask, "InvalidRequest"))
    return invalid(ask.conditions.get("InvalidRequest")?.message ?? "somebody has found the request invalid");
  if (!isTrue(ask, "Approved")) return { kind: "none" };
  if (known.namespace === undefined) return wait("NamespaceNotFound", `namespace "${namespace}" is not known yet`);
  const { request, usages, issuer, username, groups, isCa } = ask;
  return orEnd(() => {
    const asker = { namespace, issuer, username, groups, isCa };
    const validitySeconds = readDuration(ask.duration);
    return toSign({ request, usages: usages.length > 0 ? usages : defaultUsages, validitySeconds, asker }, known);
  });
}

/**
 * Go's time.Duration as JSON has it; fractions of a second are dropped. 0 where none is asked for: istio-csr writes 0s for a workload that
 * has stated none. @throws Refusal `malformed`.
 */
export function readDuration(text: string): number {
  if (text === "" || text === "0s") return 0;
  const [, hours, minutes, seconds] = /^(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,10})(?:\.\d+)?s)?$/.exec(text) ?? [];
  const total = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0);
  if (total < 1 || total > 0x7fffffff) throw new Refusal("malformed", "the duration is not one from 1 s to 68 years");
  return total;
}

function isTrue({ conditions }: RequestAsk, type: string): boolean {
  return conditions.get(type)?.status === "True";
}
