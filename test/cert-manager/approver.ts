/** approver-policy decides in the place of cert-manager's own approver. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { parse } from "yaml";
import { readConditions } from "../../src/kube/condition.ts";
import { recordAt } from "../../src/kube/json.ts";
import { readMeta } from "../../src/kube/meta.ts";
import { deleteObject, getObject, mergeObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { espalier } from "../ctl/stage.ts";
import { blocksOf, manifestsOf } from "../repo/sources.ts";
import { eventually } from "../support/patience.ts";
import {
  becomes,
  certificates,
  firstRequestBecomes,
  type IssuerRef,
  makeCertificate,
  type Place,
  ready,
  requestsOf,
} from "./objects.ts";
import type { CertManagerStage } from "./stage.ts";

const page = "docs/cert-manager.md";
/** The namespace's own CA, as it is before it moves over. */
const before = `
{ apiVersion: cert-manager.io/v1, kind: Issuer, metadata: { name: self }, spec: { selfSigned: {} } }
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: { name: old-ca }
spec: { isCA: true, commonName: old, secretName: old-ca, issuerRef: { name: self }, privateKey: { algorithm: ECDSA } }
---
{ apiVersion: cert-manager.io/v1, kind: Issuer, metadata: { name: old }, spec: { ca: { secretName: old-ca } } }
`;
const old: IssuerRef = { group: "cert-manager.io", kind: "Issuer", name: "old" };

/** What the page has as its policy, for cert-manager's account: it is the one who requests for a Certificate. */
function policy(): string {
  const lot = manifestsOf(page).find((all) => all.some(({ kind }) => kind === "CertificateRequestPolicy"));
  return (lot ?? []).map((one) => JSON.stringify(one)).join("\n---\n");
}

export function approverTests(stageOf: () => CertManagerStage): void {
  test("where approver-policy approves, its policy decides, and cert-manager's own approver does not", async () => {
    const stage = stageOf();
    const { cluster, site } = stage.site;
    const { client } = cluster;
    const namespace = stage.names.shop;
    const [allowed, denied, moved] = ["allowed", "denied", "moved"].map((name) => ({ namespace, name }));
    assert.ok(allowed !== undefined && denied !== undefined && moved !== undefined);
    stage.kubectl(["apply", "-n", namespace, "-f", "-"], before);
    await makeCertificate(client, moved, { issuerRef: old, dnsNames: ["moved.shop.example"] });
    const first = await ready(client, moved);
    await using _ = await stage.startApproverPolicy();
    const intents = site.intents();
    await makeCertificate(client, allowed, { dnsNames: ["allowed.shop.example"] });
    // The tenant would give it.
    await makeCertificate(client, denied, { dnsNames: [`web.${namespace}.svc`] });
    const [move = ""] = blocksOf(page).filter((block) => block.startsWith("spec:"));
    await mergeObject(client, certificates, moved, parse(move));
    // It tries, and may not.
    await stage.controller.await(() =>
      assert.match(stage.controller.log(), /does not have permissions to set approved/),
    );
    takes(stage);
    const conditions = async ({ name }: Place) => {
      const object = await getObject(client, resources.certificateRequests, { namespace, name });
      return readConditions(recordAt(object, "status"));
    };
    const [request, next] = [
      { ...allowed, name: "allowed-1" },
      { ...moved, name: "moved-2" },
    ];
    for (const one of [request, next]) await eventually(async () => assert.deepEqual([...(await conditions(one))], []));
    assert.equal(site.intents(), intents);
    const kept = await getObject(client, resources.secrets, moved);
    assert.deepEqual(recordAt(kept, "data"), first.secret, "the old certificate does not stand");

    stage.kubectl(["apply", "-f", "-"], policy());
    await ready(client, allowed);
    const refused = await firstRequestBecomes(client, denied, "Denied");
    assert.match(refused.message, /denied: .*No policy approved this request/);
    assert.ok(refused.failureTime !== undefined && !refused.hasCertificate);
    await becomes(client, request, "Issued");
    await becomes(client, next, "Issued");
    for (const one of [request, next])
      assert.equal((await conditions(one)).get("Approved")?.reason, "policy.cert-manager.io");
    assert.equal(site.intents(), intents + 2, "more than what is allowed was signed");
    const { leaf, ca } = await eventually(async () => {
      const then = await ready(client, moved);
      assert.notEqual(then.leaf.serialNumber, first.leaf.serialNumber);
      return then;
    });
    assert.equal(leaf.subjectAltName, first.leaf.subjectAltName);
    // What verifiers have to trust beforehand is what the page has printed.
    const shown = await espalier(["tenant", "show", "shop", "-o", "json"], site.config.adminSocket);
    const { bundlePem }: { readonly bundlePem: string } = JSON.parse(shown.stdout);
    assert.deepEqual([new X509Certificate(bundlePem).raw], [ca.raw]);
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

/** All that the page would have applied in a cluster, taken by the API server and the webhooks in front of it, and not kept. */
function takes({ kubectl, names }: CertManagerStage): void {
  const all = manifestsOf(page)
    .flat()
    .filter(({ kind }) => !["TrustRoot", "MeshTenant"].includes(kind));
  const namespace = { namespace: names.shop };
  const moved = all.map((one) => ({
    ...one,
    metadata: { ...one.metadata, ...(one.metadata?.namespace && namespace) },
  }));
  const text = moved.map((one) => JSON.stringify(one)).join("\n---\n");
  const said = kubectl(["apply", "--dry-run=server", "-f", "-"], text);
  assert.equal(said.match(/\(server dry run\)/g)?.length, all.length);
}
