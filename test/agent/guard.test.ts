import assert from "node:assert/strict";
import { test } from "node:test";
import { type Guards, readGuard, unguarded } from "../../src/agent/guard.ts";
import type { Namespace } from "../../src/kube/meta.ts";
import { chartGuards, type WebhookOverrides } from "../support/certificate-requests.ts";

function namespace(labels: Readonly<Record<string, string>> = {}): Namespace {
  const all = new Map(Object.entries({ "kubernetes.io/metadata.name": "shop", ...labels }));
  return { namespace: "", name: "shop", uid: "u", resourceVersion: "1", labels: all, deletedAt: undefined };
}

function guards(overrides: { validating?: WebhookOverrides; mutating?: WebhookOverrides } = {}): Guards {
  return chartGuards(overrides);
}

test("a namespace under both webhooks, as cert-manager's chart makes them, is guarded", () => {
  assert.equal(unguarded(namespace(), guards()), undefined);
});

test("a namespace with the label that takes it out is not, and another value of the label is", () => {
  const labelled = (value: string) => unguarded(namespace({ "cert-manager.io/disable-validation": value }), guards());
  assert.match(labelled("true") ?? "", /validating webhook .* "shop"/);
  assert.equal(labelled("false"), undefined);
});

const open: readonly (readonly [what: string, overrides: WebhookOverrides])[] = [
  ["failurePolicy Ignore", { failurePolicy: "Ignore" }],
  ["another webhook's name", { name: "webhook.example.com" }],
  ["an objectSelector", { objectSelector: { matchLabels: { a: "b" } } }],
  ["a match condition", { matchConditions: [{ name: "a", expression: "false" }] }],
  ["a namespaceSelector of labels that it has not", { namespaceSelector: { matchLabels: { guarded: "yes" } } }],
  ["an operator that nobody knows", { namespaceSelector: { matchExpressions: [{ key: "a", operator: "Near" }] } }],
  [
    "rules for another group",
    { rules: [{ apiGroups: ["a"], apiVersions: ["*"], operations: ["*"], resources: ["*/*"] }] },
  ],
  [
    "rules for another version",
    { rules: [{ apiGroups: ["*"], apiVersions: ["v2"], operations: ["*"], resources: ["*/*"] }] },
  ],
  [
    "rules for deletion",
    { rules: [{ apiGroups: ["*"], apiVersions: ["*"], operations: ["DELETE"], resources: ["*/*"] }] },
  ],
  [
    "rules for what is in no namespace",
    { rules: [{ apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["*/*"], scope: "Cluster" }] },
  ],
  ["no rules", { rules: [] }],
];

for (const kind of ["validating", "mutating"] as const)
  for (const [what, overrides] of open)
    test(`${what} leaves it open where the ${kind} webhook has it`, () => {
      assert.match(
        unguarded(namespace(), guards({ [kind]: overrides })) ?? "",
        new RegExp(`^cert-manager's ${kind} webhook`),
      );
    });

test("a validating webhook without the status leaves approvals open", () => {
  const rules = [{ apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["*"] }];
  assert.match(
    unguarded(namespace(), guards({ validating: { rules } })) ?? "",
    /UPDATE of certificaterequests\/status/,
  );
});

test("without any webhook it is not guarded", () => {
  assert.match(unguarded(namespace(), { validating: [], mutating: [] }) ?? "", /mutating/);
  const empty = readGuard({ metadata: { name: "a", uid: "u", resourceVersion: "1" } });
  assert.notEqual(unguarded(namespace(), { validating: [empty], mutating: [empty] }), undefined);
});
