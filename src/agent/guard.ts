/**
 * Whether cert-manager's webhook stands guard over a namespace: it alone records who made a CertificateRequest, and sees that only
 * those approve one who may. Where it does not, a request is worth nothing, whatever it says.
 */
import { isRecord, type JsonRecord, listAt, recordAt, textAt } from "../kube/json.ts";
import { isOpen, selects } from "../kube/label-selector.ts";
import { type Meta, type Namespace, readMeta } from "../kube/meta.ts";

/** What of a ValidatingWebhookConfiguration or a MutatingWebhookConfiguration is cert-manager's. */
export interface Guard extends Meta {
  readonly webhooks: readonly Webhook[];
}

interface Webhook {
  readonly rules: readonly JsonRecord[];
  /** Whether a request that the webhook does not answer is refused. */
  readonly fails: boolean;
  readonly namespaces: JsonRecord;
  /** Whether it looks at every object there. */
  readonly looksAtAll: boolean;
}

/** As cert-manager's chart names it in both. Who may make a configuration of another webhook under this name is an administrator. */
const webhookName = "webhook.cert-manager.io";

/** @throws Refusal `malformed`. */
export function readGuard(object: unknown): Guard {
  const webhooks = listAt(object, "webhooks").filter(isRecord);
  return { ...readMeta(object), webhooks: webhooks.filter((one) => one["name"] === webhookName).map(readWebhook) };
}

function readWebhook(webhook: JsonRecord): Webhook {
  return {
    rules: listAt(webhook, "rules").filter(isRecord),
    fails: textAt(webhook, "failurePolicy") !== "Ignore",
    namespaces: recordAt(webhook, "namespaceSelector"),
    looksAtAll: isOpen(recordAt(webhook, "objectSelector")) && listAt(webhook, "matchConditions").length === 0,
  };
}

/** What must be seen, and by which of the two. */
const needed = {
  mutating: [["CREATE", "certificaterequests"]],
  validating: [
    ["CREATE", "certificaterequests"],
    ["UPDATE", "certificaterequests"],
    ["UPDATE", "certificaterequests/status"],
  ],
} as const;

export type Guards = Readonly<Record<keyof typeof needed, readonly Guard[]>>;

/** Why a namespace is not guarded, and what to do; undefined when it is. */
export function unguarded(namespace: Namespace, guards: Guards): string | undefined {
  for (const kind of ["mutating", "validating"] as const) {
    const webhooks = guards[kind].flatMap((guard) => guard.webhooks);
    for (const [operation, resource] of needed[kind]) {
      if (webhooks.some((webhook) => sees(webhook, operation, resource, namespace))) continue;
      return `cert-manager's ${kind} webhook does not guard ${operation} of ${resource} in namespace "${namespace.name}": it needs failurePolicy Fail and a namespaceSelector that takes the namespace (without the label cert-manager.io/disable-validation)`;
    }
  }
  return undefined;
}

function sees(webhook: Webhook, operation: string, resource: string, { labels }: Namespace): boolean {
  return (
    webhook.fails &&
    webhook.looksAtAll &&
    selects(webhook.namespaces, labels) &&
    webhook.rules.some(
      (rule) =>
        names(rule, "apiGroups", "cert-manager.io") &&
        names(rule, "apiVersions", "v1") &&
        names(rule, "operations", operation) &&
        coversResource(rule, resource) &&
        textAt(rule, "scope") !== "Cluster",
    )
  );
}

function names(rule: JsonRecord, list: string, what: string): boolean {
  const all = listAt(rule, list);
  return all.includes(what) || all.includes("*");
}

/** `*` is every resource and no subresource; `x/*` is x's subresources (admissionregistration RuleWithOperations). */
function coversResource(rule: JsonRecord, resource: string): boolean {
  const all = listAt(rule, "resources");
  const [plural = "", subresource] = resource.split("/");
  if (all.includes("*/*") || all.includes(resource)) return true;
  return subresource === undefined
    ? all.includes("*")
    : all.includes(`${plural}/*`) || all.includes(`*/${subresource}`);
}
