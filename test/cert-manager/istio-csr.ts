/**
 * What istio-csr asks of cert-manager, made as it makes it (its pkg/certmanager, pkg/tls and the Certificate of its chart), by its own account;
 * and what becomes of the same in other hands.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { recordAt, someTextAt, textAt } from "../../src/kube/json.ts";
import { createObject, deleteObject, getObject, mergeObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { csrOf, istioServingCsr, toRequest } from "../support/named-csr.ts";
import { eventually } from "../support/patience.ts";
import { csrFor } from "../support/workload.ts";
import { becomes, type IssuerRef, makeCertificate, makeIssuer, type Place, ready, verdict } from "./objects.ts";
import type { CertManagerStage } from "./stage.ts";

/** As its chart names it, beside cert-manager. */
export const istioCsr = "cert-manager/cert-manager-istio-csr";
export const istioCsrService = "cert-manager-istio-csr.cert-manager.svc";
const user = "system:serviceaccount:cert-manager:cert-manager-istio-csr";
const mesh: IssuerRef = { group: "espalier.dev", kind: "TenantClusterIssuer", name: "mesh" };

export async function testIstioCsr(t: TestContext, stage: CertManagerStage): Promise<void> {
  const { names, site } = stage;
  const { client } = site.cluster;
  const { istio } = site;
  stage.kubectl(["apply", "-f", "-"], rights([istio, names.shop]));
  using own = openClient({
    credentials: fixedCredentials(await site.cluster.accessOf("cert-manager", "cert-manager-istio-csr")),
  });
  using other = openClient({ credentials: fixedCredentials(await site.cluster.accessOf(istio, "default")) });
  await makeIssuer(client, mesh, { tenant: "shop", namespaces: [istio, names.shop] });
  await makeIssuer(client, { ...mesh, name: "mesh-media" }, { tenant: "media", namespaces: [istio] });
  const web = `spiffe://shop.example/ns/${names.shop}/sa/web`;

  await t.test("a workload's certificate, as its own token would get it", async () => {
    const place = await ask(own, istio, csrFor(web), { duration: "1h0m0s" });
    const { leaf, pem, ca } = await signed(own, place);
    assert.equal(leaf.subjectAltName, `URI:${web}`);
    assert.equal(leaf.subject, undefined);
    assert.equal(+leaf.validToDate - +leaf.validFromDate, 3_600_000);
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    // Leaf and authority, and the root apart.
    assert.equal(pem.match(/BEGIN CERTIFICATE/g)?.length, 2);
    assert.ok(ca.verify(ca.publicKey));
    const { proof, rule, door, profile, request } = site.site.newest("shop");
    assert.deepEqual(
      { proof, rule, door, profile },
      { proof: `requester:${istioCsr}`, rule: "shop/all", door: "certificate-request", profile: "workload" },
    );
    const { username, groups, object } = recordAt({ request }, "request");
    assert.deepEqual([username, object], [user, `${place.namespace}/${place.name}`]);
    assert.deepEqual(groups, ["system:serviceaccounts", "system:serviceaccounts:cert-manager", "system:authenticated"]);
    // As it does when it has it.
    await deleteObject(own, resources.certificateRequests, place);
  });

  await t.test("a workload that states no duration, or too long a one, has the tenant's", async () => {
    for (const duration of ["0s", "8760h0m0s"]) {
      const { leaf } = await signed(own, await ask(own, istio, csrFor(web), { duration }));
      assert.equal(+leaf.validToDate - +leaf.validFromDate, 86_400_000);
    }
  });

  await t.test("what it serves with", async () => {
    const place = await ask(own, istio, istioServingCsr(istioCsrService), { usages: ["server auth"] });
    const { leaf } = await signed(own, place);
    assert.deepEqual([leaf.subjectAltName, leaf.subject], [`DNS:${istioCsrService}`, undefined]);
  });

  await t.test("istiod's Certificate, as its chart makes it", async () => {
    const place = { namespace: istio, name: "istiod" };
    const name = `istiod.${istio}.svc`;
    const uri = `spiffe://shop.example/ns/${istio}/sa/istiod-service-account`;
    await makeCertificate(client, place, {
      commonName: name,
      dnsNames: [name],
      uris: [uri],
      secretName: "istiod-tls",
      duration: "1h",
      renewBefore: "30m",
      privateKey: { rotationPolicy: "Always", algorithm: "RSA", size: 2048 },
      revisionHistoryLimit: 1,
      issuerRef: mesh,
    });
    const { leaf } = await ready(client, place, "istiod-tls");
    assert.equal(leaf.subjectAltName, `DNS:${name}, URI:${uri}`);
  });

  const intents = site.site.intents();
  const hostile: readonly (readonly [what: string, made: () => Promise<Place>, says: RegExp])[] = [
    [
      "its annotation, by the namespace's own user",
      async () => await ask(client, names.shop, csrFor(`spiffe://shop.example/ns/${names.till}/sa/web`)),
      /identity-denied/,
    ],
    [
      "its annotation, by another account beside it",
      async () => await ask(other, istio, csrFor(web)),
      /identity-denied/,
    ],
    [
      "its name, written into the request by somebody else",
      async () => await ask(client, istio, csrFor(web), { username: user, groups: ["system:masters"] }),
      /identity-denied/,
    ],
    [
      "its own request, where it is not declared to make any",
      async () => await ask(own, names.shop, csrFor(`spiffe://shop.example/ns/${names.till}/sa/web`)),
      /identity-denied/,
    ],
    [
      "an annotation that says something else than the CSR",
      async () =>
        await ask(own, istio, csrFor(`spiffe://media.example/ns/${names.media}/sa/web`), {}, `${web}, everything`),
      /signer-denied/,
    ],
    [
      "another tenant's workload, through that tenant's issuer",
      async () => await ask(own, istio, csrFor(web), { issuerRef: { ...mesh, name: "mesh-media" } }),
      /signer-denied/,
    ],
    [
      "another tenant's namespace under this tenant's trust domain",
      async () => await ask(own, istio, csrFor(`spiffe://shop.example/ns/${names.media}/sa/web`)),
      /identity-denied/,
    ],
    [
      "a namespace of nobody",
      async () => await ask(own, istio, csrFor(`spiffe://shop.example/ns/${names.nobody}/sa/web`)),
      /no-rule/,
    ],
    [
      "an account of istio-csr's own namespace, which the rule gives by request",
      async () => await ask(own, istio, csrFor(`spiffe://shop.example/ns/${istio}/sa/default`)),
      /proof-not-accepted/,
    ],
    ["two workloads in one", async () => await ask(own, istio, csrOf(`URI:${web},URI:${web}2`)), /request-denied/],
    [
      "a workload that serves as istiod beside",
      async () => await ask(own, istio, csrOf(`URI:${web},DNS:istiod.${istio}.svc`)),
      /request-denied/,
    ],
  ];
  for (const [what, made, says] of hostile)
    await t.test(`refused: ${what}`, async () => {
      const { message, hasCertificate, failureTime } = await becomes(client, await made(), "Failed");
      assert.match(message, says);
      assert.ok(!hasCertificate && failureTime !== undefined);
    });
  await t.test("none of them left anything in the ledger", () => assert.equal(site.site.intents(), intents));

  await t.test("until it is approved nothing is signed, and what is denied is told so", async () => {
    stage.controller.pause();
    try {
      const place = await ask(own, istio, csrFor(web));
      await delay(500);
      assert.deepEqual(await verdict(client, place).then(({ reason, hasCertificate }) => [reason, hasCertificate]), [
        "",
        false,
      ]);
      const denied = { type: "Denied", status: "True", reason: "test", message: "not today" };
      // Its own account may not: approving takes a right that its chart does not give.
      const one = { ...place, subresource: "status" } as const;
      await assert.rejects(mergeObject(own, resources.certificateRequests, one, { status: { conditions: [denied] } }));
      await mergeObject(client, resources.certificateRequests, one, { status: { conditions: [denied] } });
      await becomes(client, place, "Denied");
    } finally {
      stage.controller.resume();
    }
    assert.equal(site.site.intents(), intents);
  });
}

/** A CertificateRequest as it makes one, unless otherwise stated. */
async function ask(
  client: Client,
  namespace: string,
  csr: Uint8Array,
  spec: object = {},
  identities = "spiffe://shop.example/ns/anything/sa/at-all",
): Promise<Place> {
  const body = {
    apiVersion: "cert-manager.io/v1",
    kind: "CertificateRequest",
    metadata: { generateName: "istio-csr-", annotations: { "istio.cert-manager.io/identities": identities } },
    spec: {
      duration: "1h0m0s",
      isCA: false,
      request: toRequest(csr),
      usages: ["client auth", "server auth"],
      issuerRef: mesh,
      ...spec,
    },
  };
  const made = await createObject(client, resources.certificateRequests, { namespace }, body);
  return { namespace, name: someTextAt(recordAt(made, "metadata"), "name") };
}

interface Signed {
  readonly leaf: X509Certificate;
  readonly pem: string;
  readonly ca: X509Certificate;
}

/** It waits for `status.certificate`, or for a failure, and looks at nothing else. */
async function signed(client: Client, place: Place): Promise<Signed> {
  return await eventually(async () => {
    const status = recordAt(await getObject(client, resources.certificateRequests, place), "status");
    const read = (key: string): string => Buffer.from(textAt(status, key) ?? "", "base64").toString("latin1");
    const pem = read("certificate");
    assert.notEqual(pem, "", JSON.stringify(status["conditions"]));
    return { leaf: new X509Certificate(pem), pem, ca: new X509Certificate(read("ca")) };
  }, 60_000);
}

/** What its chart gives it in the namespace of its requests (templates/role.yaml); and, for the hostile cases, to `default` there. */
function rights(namespaces: readonly string[]): string {
  const [istio = ""] = namespaces;
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "cert-manager-istio-csr" } };
  const subjects = [
    { kind: "ServiceAccount", name: "cert-manager-istio-csr", namespace: "cert-manager" },
    { kind: "ServiceAccount", name: "default", namespace: istio },
  ];
  const metadata = (namespace: string) => ({ name: "cert-manager-istio-csr", namespace });
  const apiVersion = "rbac.authorization.k8s.io/v1";
  const verbs = ["get", "list", "create", "update", "delete", "watch"];
  const rules = [
    { apiGroups: ["cert-manager.io"], resources: ["certificaterequests"], verbs },
    // More than it is given: the right to write the status, not that to approve.
    { apiGroups: ["cert-manager.io"], resources: ["certificaterequests/status"], verbs: ["patch"] },
  ];
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "cert-manager-istio-csr" };
  const all = [
    { ...account, metadata: metadata("cert-manager") },
    ...namespaces.flatMap((namespace) => [
      { apiVersion, kind: "Role", metadata: metadata(namespace), rules },
      { apiVersion, kind: "RoleBinding", metadata: metadata(namespace), roleRef, subjects },
    ]),
  ];
  return all.map((one) => JSON.stringify(one)).join("\n---\n");
}
