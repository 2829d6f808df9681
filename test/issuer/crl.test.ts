import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { CertificateRevocationList } from "pkijs";
import { call, openAdmin, openWatchStream, readStream } from "../../src/rpc/client.ts";
import type { Tenants__Output } from "../../src/rpc/gen/espalier/v1/Tenants.ts";
import type { Trust__Output } from "../../src/rpc/gen/espalier/v1/Trust.ts";
import { clusterDocument, document, podToken } from "../support/documents.ts";
import { eventually } from "../support/patience.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";
import { makeSite } from "../support/site.ts";
import { type Stack, startIssuerOn, startStack } from "../support/stack.ts";
import { assertIssued } from "../support/workload.ts";

function tenantDocument(name: string, more: object = {}): ReturnType<typeof document> {
  return document("MeshTenant", name, {
    trustDomain: `${name}.example`,
    root: "main",
    rules: [{ name: "pods", clusters: ["east"], namespaces: [name === "payments" ? "pay-*" : name] }],
    ...more,
  });
}

const documents = (crl: object | undefined) => [
  document("TrustRoot", "main", {}),
  tenantDocument("payments", crl === undefined ? {} : { crl }),
  tenantDocument("media"),
  clusterDocument("east"),
  clusterDocument("west"),
];

async function watch({ thief, use }: Stack): Promise<readonly Trust__Output[]> {
  const { client } = await thief("east");
  const stream = openWatchStream(client);
  const got: Trust__Output[] = [];
  stream.onMessage((message) => void got.push(message));
  stream.write({ version: "", inForceSince: "", agent: "agent-1" });
  use({ [Symbol.dispose]: () => stream.end() });
  await eventually(() => assert.ok(got.length > 0));
  return got;
}

async function revoke(stack: Stack, leafPem: string): Promise<void> {
  const admin = openAdmin(stack.site.config.adminSocket);
  const serials = { serials: [new X509Certificate(leafPem).serialNumber] };
  const request = { act: { operator: "test", reason: "" }, target: "serials", serials } as const;
  for await (const { limits } of readStream(admin.revoke(request)))
    assert.match(limits.join("\n"), /do not reach gateways, waypoints, or pods that started before/);
  admin.close();
}

async function crlPemOf(stack: Stack): Promise<string> {
  const admin = openAdmin(stack.site.config.adminSocket);
  const { tenants } = await call<object, Tenants__Output>(admin.listTenants.bind(admin), {}, 5_000);
  admin.close();
  return tenants.find(({ name }) => name === "payments")?.crlPem ?? "";
}

test("a tenant's agents are told the CRLs of every CA under its root before anybody has a certificate", async () => {
  await using stack = await startStack({ documents: documents({}), serving: ["east"] });
  const [first] = await watch(stack);
  assert.ok(first);
  assert.deepEqual(first.crlNamespaces, ["pay-*"]);
  assert.equal(first.crls.length, 3, "the root's, payments' and media's: a peer may have any of them above it");
  assert.equal((await crlPemOf(stack)).match(/BEGIN X509 CRL/g)?.length, 3);
});

test("a tenant without CRLs has none sent, and other clusters hear of none", async () => {
  await using stack = await startStack({ documents: documents(undefined) });
  const [first] = await watch(stack);
  assert.deepEqual([first?.crls, first?.crlNamespaces], [[], []]);
  assert.equal(await crlPemOf(stack), "");
});

test("what is revoked is in the CRL that every agent is sent at once, and OpenSSL refuses it", async () => {
  await using stack = await startStack({ documents: documents({ nextUpdateDays: 7 }) });
  const got = await watch(stack);
  const workload = await stack.workload("east");
  const [bad, other] = [assertIssued(await workload.ask()), assertIssued(await workload.ask({ token: podToken() }))];
  const before = await crlPemOf(stack);
  await revoke(stack, bad[0] ?? "");
  await eventually(() => assert.ok(got.length > 1));
  const serials = got
    .at(-1)
    ?.crls.flatMap((crl) => CertificateRevocationList.fromBER(Uint8Array.from(crl)).revokedCertificates ?? [])
    .map(({ userCertificate }) => Buffer.from(userCertificate.valueBlock.valueHexView).toString("hex"));
  assert.deepEqual(serials, [new X509Certificate(bad[0] ?? "").serialNumber.toLowerCase()]);
  if (!hasOpenssl) return;
  const judge = (chain: readonly string[], crls: string): string => {
    const [leaf = "", authority = ""] = chain;
    const files = { "leaf.pem": leaf, "ca.pem": authority, "root.pem": chain.at(-1) ?? "", "crls.pem": crls };
    const verify = ["verify", "-x509_strict", "-crl_check_all", "-CRLfile", "{crls.pem}"];
    try {
      return openssl([...verify, "-CAfile", "{root.pem}", "-untrusted", "{ca.pem}", "{leaf.pem}"], files);
    } catch (error) {
      return error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    }
  };
  const after = await crlPemOf(stack);
  assert.match(judge(bad, before), /OK/);
  assert.match(judge(bad, after), /certificate revoked/);
  assert.match(judge(other, after), /OK/);
});

test("a CRL is renewed by the issuer that leads, and how long it has is a metric", async () => {
  using site = await makeSite({ documents: documents({ nextUpdateDays: 10 }), bornDaysAgo: 1 });
  const day = 86_400;
  await using issuer = await startIssuerOn(site, { renewalMs: 30 });
  const left = async (): Promise<readonly string[]> => {
    const found = await issuer.metrics.registry.getSingleMetric("espalier_issuer_crl_expiry_seconds")?.get();
    return (found?.values ?? []).map(
      ({ labels, value }) => `${String(labels["kind"])} ${String(labels["owner"])} ${Math.round(value / day)}`,
    );
  };
  const all = (days: number) => ["root main", "tenant media", "tenant payments"].map((one) => `${one} ${days}`);
  assert.deepEqual([...(await left())].sort(), all(10));
  issuer.clock.offsetSeconds = 4 * day;
  await eventually(async () => assert.deepEqual([...(await left())].sort(), all(6)));
  issuer.clock.offsetSeconds = 6 * day;
  await eventually(async () => assert.deepEqual([...(await left())].sort(), all(10)));
  assert.equal(issuer.log.of("CRL made").length, 6);
});
