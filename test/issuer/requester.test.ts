import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { readCertificate } from "../../src/pki/certificate.ts";
import { openWatchStream } from "../../src/rpc/client.ts";
import type { ObjectRequest } from "../../src/rpc/gen/espalier/v1/ObjectRequest.ts";
import { clusterDocument, document } from "../support/documents.ts";
import { csrOf, istioServingCsr } from "../support/named-csr.ts";
import { startStack } from "../support/stack.ts";
import type { Thief } from "../support/thief.ts";
import { csrFor } from "../support/workload.ts";
import { askFor, assertItemRefused, issued } from "./ask.ts";

const istioCsr = "cert-manager/cert-manager-istio-csr";
const rule = { clusters: ["east", "west"], proofs: ["token", `requester:${istioCsr}`] };

const documents = [
  document("TrustRoot", "main", {}),
  document("MeshTenant", "shop", {
    trustDomain: "shop.example",
    root: "main",
    rules: [
      { name: "all", namespaces: ["shop-*"], ...rule },
      { name: "admin", clusters: ["east", "west"], namespaces: ["shop-*"], serviceAccounts: ["admin"] },
      { name: "istio", clusters: ["east"], namespaces: ["istio-system"], proofs: ["request"] },
    ],
    requests: { dnsNames: ["*.istio-system.svc", "cert-manager-istio-csr.cert-manager.svc"], identities: true },
  }),
  document("MeshTenant", "media", {
    trustDomain: "media.example",
    root: "main",
    rules: [{ name: "all", namespaces: ["media"], ...rule }],
  }),
  clusterDocument("east", {
    requesters: [
      {
        account: istioCsr,
        namespace: "istio-system",
        servingNames: ["istiod.istio-system.svc", "cert-manager-istio-csr.cert-manager.svc"],
      },
    ],
    servingNames: ["agent.east.example", "cert-manager-istio-csr.cert-manager.svc", "istiod-canary.istio-system.svc"],
  }),
  clusterDocument("west"),
];

const base: ObjectRequest = {
  door: "certificate-request",
  namespace: "istio-system",
  name: "istio-csr-4xk7p",
  issuer: "TenantIssuer/mesh",
  profile: "request",
  username: "system:serviceaccount:cert-manager:cert-manager-istio-csr",
  groups: ["system:serviceaccounts", "system:serviceaccounts:cert-manager", "system:authenticated"],
  usages: ["client auth", "server auth"],
};

const web = "spiffe://shop.example/ns/shop-web/sa/web";

const ask = askFor(base);

test("requests for others", async (t) => {
  await using stack = await startStack({ clusters: ["east", "west"], documents });
  const [east, west] = [await stack.thief("east"), await stack.thief("west")];

  await t.test("it is the workload's own certificate, and the ledger has whose word it was", async () => {
    const leaf = readCertificate(issued(await east.sign(ask(csrFor(web)))));
    const { keyUsage, usages, notAfter, notBefore, subject } = leaf;
    assert.deepEqual(keyUsage, ["digitalSignature", "keyEncipherment"]);
    assert.deepEqual(usages, ["serverAuth", "clientAuth"]);
    assert.equal(subject.length, 2);
    assert.equal(+notAfter - +notBefore, 3_600_000);
    const { profile, door, proof, rule: decided, identity, request } = stack.site.newest("shop");
    assert.deepEqual(
      { profile, door, proof, decided, identity },
      {
        profile: "workload",
        door: "certificate-request",
        proof: `requester:${istioCsr}`,
        decided: "shop/all",
        identity: web,
      },
    );
    assert.deepEqual(request, {
      groups: base.groups,
      issuer: base.issuer,
      object: "istio-system/istio-csr-4xk7p",
      username: base.username,
    });
  });

  await t.test("a name that is not critical, and an empty subject, are as good", async () => {
    const csr = csrOf(`URI:${web}`, { subject: "/" });
    const certificate = new X509Certificate(issued(await east.sign(ask(csr))));
    assert.equal(certificate.subjectAltName, `URI:${web}`);
  });

  await t.test("by a CertificateSigningRequest too, of the account's own namespace", async () => {
    issued(await east.sign(ask(csrFor(web), { door: "csr", namespace: "cert-manager" })));
  });

  await t.test("a UID is one certificate, and nothing else may come under it", async () => {
    const item = ask(csrFor(web));
    const first = issued(await east.sign(item));
    const intents = stack.site.intents();
    assert.deepEqual(issued(await east.sign(item)), first);
    assert.equal(stack.site.intents(), intents);
    for (const change of [
      { csr: csrFor(web) },
      { validitySeconds: 3601 },
      { request: { ...item.request, groups: [] } },
      { request: { ...item.request, name: "istio-csr-other" } },
    ])
      await assertItemRefused(stack, async () => await east.sign({ ...item, ...change }), "replay-differs");
  });

  const asUser = (name: string): ObjectRequest => ({ username: `system:serviceaccount:${name}` });
  for (const [what, item, code] of [
    ["another account there", ask(csrFor(web), asUser("istio-system:default")), "identity-denied"],
    ["cert-manager itself", ask(csrFor(web), asUser("cert-manager:cert-manager")), "identity-denied"],
    ["its account in another namespace", ask(csrFor(web), { namespace: "shop-web" }), "proof-not-accepted"],
    ["a cluster that does not declare it", { ...ask(csrFor(web)), via: "west" }, "no-rule"],
    [
      "an account that a rule of its own singles out",
      ask(csrFor("spiffe://shop.example/ns/shop-web/sa/admin")),
      "proof-not-accepted",
    ],
    [
      "what of its own namespace anybody there might have",
      ask(csrFor("spiffe://shop.example/ns/istio-system/sa/default"), {
        usages: ["digital signature", "client auth", "server auth"],
      }),
      "proof-not-accepted",
    ],
    ["another tenant's", ask(csrFor("spiffe://media.example/ns/media/sa/web")), "signer-denied"],
    ["another tenant's issuer", { ...ask(csrFor(web)), signer: "media" }, "signer-denied"],
    [
      "another tenant's namespace in this trust domain",
      ask(csrFor("spiffe://shop.example/ns/media/sa/web")),
      "identity-denied",
    ],
    ["nobody's namespace", ask(csrFor("spiffe://shop.example/ns/else/sa/web")), "no-rule"],
    ["a name beside", ask(csrOf(`URI:${web},DNS:istiod.istio-system.svc`)), "request-denied"],
    ["a CA", ask(csrFor(web), { isCa: true }), "request-denied"],
    ["other usages in the CSR", ask(csrOf(`URI:${web}`, { extensions: ["extendedKeyUsage=clientAuth"] })), "malformed"],
  ] as const)
    await t.test(`refused: ${what}`, async () => {
      const { via, ...rest } = { via: "east", ...item };
      await assertItemRefused(stack, async () => await (via === "east" ? east : west).sign(rest), code);
    });

  await t.test(
    "an agent is told that a tenant takes requests where its own cluster declares the requester",
    async () => {
      const told = async ({ client }: Thief): Promise<object> =>
        await new Promise((resolve) => {
          const stream = openWatchStream(client);
          stream.onEnd(() => undefined);
          stream.onMessage(({ tenants }) => {
            resolve(Object.fromEntries(tenants.map(({ tenant, requests }) => [tenant, requests])));
            stream.end();
          });
          stream.write({ version: "", inForceSince: "", agent: "agent-1" });
        });
      assert.deepEqual(await told(east), { media: true, shop: true });
      assert.deepEqual(await told(west), { media: false, shop: false });
    },
  );

  await t.test("a workload that an operator denied gets nothing, whoever asks", async () => {
    await stack.issuer.suspend("workload", "shop/shop-web/web");
    await assertItemRefused(stack, async () => await east.sign(ask(csrFor(web))), "suspended");
    await stack.issuer.suspend("workload", "shop/shop-web/web", false);
  });

  const serving = { usages: ["server auth"] };
  const mine = "cert-manager-istio-csr.cert-manager.svc";
  await t.test(
    "what it serves with it gets by the rule for its namespace's requests, Istio's empty subject and all",
    async () => {
      const certificate = new X509Certificate(issued(await east.sign(ask(istioServingCsr(mine), serving))));
      assert.equal(certificate.subjectAltName, `DNS:${mine}`);
    },
  );

  await t.test(
    "so does istiod, by a Certificate there: what others serve with, where the MeshCluster says so",
    async () => {
      const istiod = "DNS:istiod.istio-system.svc,URI:spiffe://shop.example/ns/istio-system/sa/istiod-service-account";
      const made = { ...asUser("cert-manager:cert-manager"), usages: ["digital signature", "key encipherment"] };
      issued(await east.sign(ask(csrOf(istiod), made)));
    },
  );

  for (const [what, item] of [
    ["a name that some cluster serves with", ask(csrOf("DNS:istiod-canary.istio-system.svc"), serving)],
    ["a wildcard over one", ask(csrOf("DNS:*.istio-system.svc"), serving)],
  ] as const)
    await t.test(`refused: ${what}`, async () => {
      await assertItemRefused(stack, async () => await east.sign(item), "request-denied", /serve with/);
    });
});
