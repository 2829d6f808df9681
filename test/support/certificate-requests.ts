/** What cert-manager leaves in an API server, as its chart and its webhook make it. */
import { type Guards, readGuard } from "../../src/agent/guard.ts";

export type WebhookOverrides = Readonly<Record<string, unknown>>;

export interface WebhooksOverrides {
  readonly validating?: WebhookOverrides;
  readonly mutating?: WebhookOverrides;
}

/** The two configurations of cert-manager's chart, as objects. */
export function chartWebhooks(overrides: WebhooksOverrides) {
  const rule = { apiVersions: ["v1"], scope: "*" };
  const validating = {
    rules: [
      {
        ...rule,
        apiGroups: ["cert-manager.io", "acme.cert-manager.io"],
        operations: ["CREATE", "UPDATE"],
        resources: ["*/*"],
      },
    ],
    namespaceSelector: {
      matchExpressions: [{ key: "cert-manager.io/disable-validation", operator: "NotIn", values: ["true"] }],
    },
  };
  const mutating = {
    rules: [{ ...rule, apiGroups: ["cert-manager.io"], operations: ["CREATE"], resources: ["certificaterequests"] }],
    namespaceSelector: {},
  };
  const toObject = (webhook: object, more: WebhookOverrides = {}) => ({
    metadata: { name: "cert-manager-webhook", uid: "u", resourceVersion: "1" },
    webhooks: [{ name: "webhook.cert-manager.io", failurePolicy: "Fail", objectSelector: {}, ...webhook, ...more }],
  });
  return {
    validating: toObject(validating, overrides.validating),
    mutating: toObject(mutating, overrides.mutating),
  };
}

export function chartGuards(overrides: WebhooksOverrides): Guards {
  const { validating, mutating } = chartWebhooks(overrides);
  return { validating: [readGuard(validating)], mutating: [readGuard(mutating)] };
}

/** A CertificateRequest of cert-manager's own, approved. */
export function certificateRequest(spec: object = {}, status: object = { conditions: [approved] }) {
  return {
    metadata: { namespace: "shop", name: "till-1", uid: "uid-1", resourceVersion: "1" },
    spec: {
      issuerRef: { group: "espalier.dev", kind: "TenantIssuer", name: "shop" },
      request: "",
      usages: ["digital signature", "server auth"],
      username: "system:serviceaccount:cert-manager:cert-manager",
      groups: ["system:authenticated"],
      ...spec,
    },
    status,
  };
}

export const approved = {
  type: "Approved",
  status: "True",
  reason: "cert-manager.io",
  message: "",
  lastTransitionTime: "2026-11-21T10:11:12Z",
};
