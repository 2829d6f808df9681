/** approver-policy decides in the place of cert-manager's own approver. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readConditions } from "../../src/kube/condition.ts";
import { recordAt } from "../../src/kube/json.ts";
import { readMeta } from "../../src/kube/meta.ts";
import { deleteObject, getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { eventually } from "../support/patience.ts";
import { becomes, certificates, firstRequestBecomes, makeCertificate, ready, requestsOf } from "./objects.ts";
import type { CertManagerStage } from "./stage.ts";

/** The requester of a Certificate's requests is cert-manager, so that it is the one who may use the policy. */
const policy = `
apiVersion: policy.cert-manager.io/v1alpha1
kind: CertificateRequestPolicy
metadata: { name: shop }
spec:
  allowed:
    dnsNames: { values: ["allowed.shop.example"], required: true }
    usages: [digital signature, key encipherment]
  selector:
    issuerRef: { group: espalier.dev, kind: TenantClusterIssuer, name: "*" }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: use-policy-shop }
rules:
  - { apiGroups: [policy.cert-manager.io], resources: [certificaterequestpolicies], resourceNames: [shop], verbs: [use] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: use-policy-shop }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: use-policy-shop }
subjects: [{ kind: ServiceAccount, name: cert-manager, namespace: cert-manager }]
`;

export function approverTests(stageOf: () => CertManagerStage): void {
  test("where approver-policy approves, its policy decides, and cert-manager's own approver does not", async () => {
    const stage = stageOf();
    const { cluster, site } = stage.site;
    const { client } = cluster;
    const [allowed, denied] = ["allowed", "denied"].map((name) => ({ namespace: stage.names.shop, name }));
    assert.ok(allowed !== undefined && denied !== undefined);
    await using _ = await stage.startApproverPolicy();
    const intents = site.intents();
    for (const { name } of [allowed, denied])
      await makeCertificate(client, { namespace: stage.names.shop, name }, { dnsNames: [`${name}.shop.example`] });
    // It tries, and may not.
    await stage.controller.await(() =>
      assert.match(stage.controller.log(), /does not have permissions to set approved/),
    );
    const first = { ...allowed, name: `${allowed.name}-1` };
    const conditions = async () =>
      readConditions(recordAt(await getObject(client, resources.certificateRequests, first), "status"));
    await eventually(async () => assert.equal((await conditions()).size, 0));
    assert.equal(site.intents(), intents);

    stage.kubectl(["apply", "-f", "-"], policy);
    await ready(client, allowed);
    assert.equal((await conditions()).get("Approved")?.reason, "policy.cert-manager.io");
    const refused = await firstRequestBecomes(client, denied, "Denied");
    assert.match(refused.message, /denied: .*No policy approved this request/);
    assert.ok(refused.failureTime !== undefined && !refused.hasCertificate);
    assert.equal(site.intents(), intents + 1, "more than what is allowed was signed");
    await becomes(client, first, "Issued");
    // cert-manager tries again and again, and its own approver would let it through.
    await deleteObject(client, certificates, denied);
    await eventually(async () => {
      for (const request of await requestsOf(client, denied.namespace)) {
        const { reason } = readConditions(recordAt(request, "status")).get("Ready") ?? {};
        if (readMeta(request).name.startsWith(`${denied.name}-`)) assert.equal(reason, "Denied");
      }
    });
  });
}
