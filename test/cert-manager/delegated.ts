/** CA certificates in the hands of cert-manager's own CA issuer: what it signs with one is good within the tenant's names, and nowhere else. */
import assert from "node:assert/strict";
import type { X509Certificate } from "node:crypto";
import type { TestContext } from "node:test";
import { createObject } from "../../src/kube/objects.ts";
import type { Resource } from "../../src/kube/resource.ts";
import { openssl } from "../support/pki-openssl.ts";
import { type IssuerRef, makeCertificate, ownIssuer, ready } from "./objects.ts";
import type { CertManagerStage } from "./stage.ts";

const issuers: Resource = {
  group: "cert-manager.io",
  version: "v1",
  plural: "issuers",
  kind: "Issuer",
  namespaced: true,
};
const team: IssuerRef = { group: "cert-manager.io", kind: "Issuer", name: "team" };

export async function delegatedTests(t: TestContext, { site, names }: CertManagerStage): Promise<void> {
  const { client } = site.cluster;
  const namespace = names.alone;
  const ca = { issuerRef: { ...ownIssuer, name: "alone" }, isCA: true, commonName: "alone-team", duration: "24h" };
  await makeCertificate(client, { namespace, name: "team-ca" }, ca);
  const { ca: root } = await ready(client, { namespace, name: "team-ca" });
  const spec = { ca: { secretName: "team-ca" } };
  const issuer = { apiVersion: "cert-manager.io/v1", kind: "Issuer", metadata: { name: team.name }, spec };
  await createObject(client, issuers, { namespace }, issuer);

  const usages = ["digital signature", "server auth", "client auth"];
  const asked: readonly (readonly [name: string, spec: object, says: RegExp | undefined])[] = [
    ["own-name", { dnsNames: ["alone.example", "www.alone.example"] }, undefined],
    ["own-identity", { uris: [`spiffe://alone.example/ns/${namespace}/sa/web`] }, undefined],
    ["others-name", { dnsNames: ["shop.example"] }, /permitted subtree violation/],
    ["others-identity", { uris: [`spiffe://shop.example/ns/${names.shop}/sa/web`] }, /permitted subtree violation/],
    ["address", { ipAddresses: ["10.0.0.1"] }, /excluded subtree violation/],
    ["another-ca", { isCA: true, commonName: "more" }, undefined],
  ];
  for (const [name, more] of asked)
    await makeCertificate(client, { namespace, name }, { issuerRef: team, duration: "1h", usages, ...more });
  for (const [name, , says] of asked)
    await t.test(`${name}: ${says === undefined ? "good" : "bad"} to OpenSSL`, async () => {
      // With the chain that came with it: cert-manager may have had another CA certificate meanwhile.
      const { chain } = await ready(client, { namespace, name });
      assert.match(chain.at(-1)?.subject ?? "", /^CN=Espalier delegating authority/);
      if (says === undefined) judge(chain, root);
      else assert.throws(() => judge(chain, root), says);
    });

  await t.test("what the further CA signs is bad, whatever its names", async () => {
    const further = { ...team, name: "further" };
    const signing = { ...issuer, metadata: { name: further.name }, spec: { ca: { secretName: "another-ca" } } };
    await createObject(client, issuers, { namespace }, signing);
    const place = { namespace, name: "too-far" };
    await makeCertificate(client, place, { issuerRef: further, duration: "1h", dnsNames: ["alone.example"], usages });
    const { chain } = await ready(client, place);
    assert.throws(() => judge(chain, root), /path length constraint exceeded/);
  });
}

function judge([leaf, ...between]: readonly X509Certificate[], root: X509Certificate): void {
  const pem = (...all: readonly X509Certificate[]): string => all.map(String).join("");
  assert.ok(leaf);
  const files = { leaf: pem(leaf), between: pem(...between), root: pem(root) };
  openssl(["verify", "-x509_strict", "-CAfile", "{root}", "-untrusted", "{between}", "{leaf}"], files);
}
