/**
 * CRLs on a real API server: `KUBECONFIG=… node --test test/kube/crl.ts`, with the rights of an administrator. From an operator's verb to
 * what a pod has mounted, and what OpenSSL makes of that.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import { isNotFound } from "../../src/kube/api-error.ts";
import { readConfigMap } from "../../src/kube/meta.ts";
import { getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { espalier } from "../ctl/stage.ts";
import { type KubeShop, openKubeShop } from "../support/kube-shop.ts";
import { eventually } from "../support/patience.ts";
import { openssl } from "../support/pki-openssl.ts";
import type { AgentStack } from "../support/stack.ts";
import { assertIssued } from "../support/workload.ts";

let shop: KubeShop;
let agent: AgentStack;
/** No tenant's. */
let other: string;

before(async () => {
  shop = await openKubeShop(["token"], { crl: {} });
  other = await shop.site.namespace("other");
  agent = await shop.site.startAgent("crls");
});
after(async () => await shop[Symbol.asyncDispose]());

/** What Istio's sidecars mount, if there is something. */
async function crlsIn(namespace: string): Promise<string | undefined> {
  const one = { namespace, name: "istio-ca-crl" };
  try {
    return readConfigMap(await getObject(shop.site.cluster.client, resources.configMaps, one)).data.get("ca-crl.pem");
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function getCertificate(): Promise<readonly string[]> {
  const token = await shop.site.cluster.token(shop.namespace, "cart", { pod: "cart-1" });
  return assertIssued(await shop.ask(agent, { token }));
}

/** The serial numbers that OpenSSL finds in each of the CRLs. */
function revokedIn(crls: string): readonly (readonly string[])[] {
  return (crls.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----\n/g) ?? []).map((crl) => {
    const text = openssl(["crl", "-in", "{crl}", "-noout", "-text"], { crl });
    return [...text.matchAll(/Serial Number: ([0-9A-F]+)/g)].map(([, serial = ""]) => serial);
  });
}

/** Whether OpenSSL takes it where every CA of its chain needs a CRL. */
function verify([leaf = "", authority = "", root = ""]: readonly string[], crls: string): string {
  const files = { root, crls, authority, leaf };
  const how = ["verify", "-crl_check_all", "-CAfile", "{root}", "-CRLfile", "{crls}", "-untrusted", "{authority}"];
  try {
    return openssl([...how, "{leaf}"], files);
  } catch (error) {
    return String(error);
  }
}

test("before anybody is revoked every CA has a CRL in the tenant's namespaces", async () => {
  const crls = await eventually(async () => {
    const found = await crlsIn(shop.namespace);
    assert.deepEqual(revokedIn(found ?? ""), [[], []], "the root's and the authority's");
    return found ?? "";
  });
  assert.match(verify(await getCertificate(), crls), /: OK$/m);
});

test("a certificate that `espalier revoke serial` takes back is in the ConfigMap's CRL, and OpenSSL refuses it", async () => {
  const [bad, good] = [await getCertificate(), await getCertificate()];
  const serial = new X509Certificate(bad[0] ?? "").serialNumber;
  const verb = ["revoke", "serial", serial, "--crl-reason", "keyCompromise", "--reason", "lost"];
  const { code, stderr } = await espalier(verb, shop.site.site.config.adminSocket);
  assert.equal(code, 0, stderr);
  const crls = await eventually(async () => {
    const found = (await crlsIn(shop.namespace)) ?? "";
    assert.deepEqual(revokedIn(found).flat(), [serial]);
    return found;
  });
  assert.equal(revokedIn(crls).length, 2);
  assert.match(verify(bad, crls), /certificate revoked/);
  assert.match(verify(good, crls), /: OK$/m);
  assert.equal(await crlsIn(other), undefined);
});
