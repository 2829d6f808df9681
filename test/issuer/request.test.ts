import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { readCertificate } from "../../src/pki/certificate.ts";
import { namesOf } from "../../src/pki/named-leaf.ts";
import type { ObjectRequest } from "../../src/rpc/gen/espalier/v1/ObjectRequest.ts";
import type { SignItem } from "../../src/rpc/gen/espalier/v1/SignItem.ts";
import { clusterDocument, document } from "../support/documents.ts";
import { csrOf, namedCsr } from "../support/named-csr.ts";
import { startStack } from "../support/stack.ts";
import { askFor, assertItemRefused, issued } from "./ask.ts";

const documents = [
  document("TrustRoot", "main", {}),
  document("MeshTenant", "shop", {
    trustDomain: "shop.example",
    root: "main",
    rules: [{ name: "all", clusters: ["east"], namespaces: ["shop-*"], proofs: ["token", "request"] }],
    requests: {
      dnsNames: ["*.shop.example", "*.{namespace}.svc"],
      identities: true,
      subject: { organizations: ["*"] },
      maximumSeconds: 86_400,
    },
  }),
  document("MeshTenant", "media", {
    trustDomain: "media.example",
    root: "main",
    rules: [{ name: "all", clusters: ["*"], namespaces: ["media"], proofs: ["request"] }],
    requests: { dnsNames: ["media.example"] },
  }),
  clusterDocument("east"),
  clusterDocument("west"),
];

const base: ObjectRequest = {
  door: "certificate-request",
  namespace: "shop-web",
  name: "till-1",
  issuer: "TenantIssuer/shop",
  profile: "request",
  username: "system:serviceaccount:cert-manager:cert-manager",
  groups: ["system:authenticated"],
  usages: ["digital signature", "server auth"],
};

const ask = askFor(base);

test("requests of objects", async (t) => {
  await using stack = await startStack({ clusters: ["east", "west"], documents });
  const [east, west] = [await stack.thief("east"), await stack.thief("west")];

  await t.test(
    "names, subject, usages and the duration are those that were asked for, and the ledger has who asked",
    async () => {
      const csr = csrOf("DNS:a.shop.example,DNS:till.shop-web.svc", { subject: "/O=Shop" });
      const der = issued(await east.sign(ask(csr)));
      const leaf = readCertificate(der);
      assert.deepEqual(
        namesOf(leaf).map(({ value }) => value),
        ["a.shop.example", "till.shop-web.svc"],
      );
      assert.equal(new X509Certificate(der).subject, "O=Shop");
      assert.deepEqual(leaf.keyUsage, ["digitalSignature"]);
      assert.deepEqual(leaf.usages, ["serverAuth"]);
      assert.equal(leaf.notAfter.getTime() - leaf.notBefore.getTime(), 3_600_000);
      const entry = stack.site.newest("shop");
      assert.deepEqual(entry["request"], {
        groups: base.groups,
        issuer: base.issuer,
        object: "shop-web/till-1",
        username: base.username,
      });
      assert.equal(entry["proof"], "request");
      assert.equal(entry["rule"], "shop/all");
      assert.equal(entry["identity"], "dns:a.shop.example,dns:till.shop-web.svc");
    },
  );

  await t.test("a UID is one certificate, and nothing else may come under it", async (under) => {
    const csr = csrOf("DNS:b.shop.example");
    const item = ask(csr);
    const first = issued(await east.sign(item));
    const intents = stack.site.intents();
    assert.deepEqual(issued(await east.sign(item)), first);
    assert.equal(stack.site.intents(), intents);
    for (const [what, change] of [
      ["another CSR", { csr: csrOf("DNS:b.shop.example") }],
      ["another duration", { validitySeconds: 3601 }],
      ["another namespace", { request: { ...item.request, namespace: "shop-till" } }],
      ["another user", { request: { ...item.request, username: "ada" } }],
      ["other usages", { request: { ...item.request, usages: ["digital signature"] } }],
      ["another issuer", { request: { ...item.request, issuer: "TenantClusterIssuer/shop" } }],
    ] satisfies readonly (readonly [string, Partial<SignItem>])[])
      await under.test(
        what,
        async () =>
          await assertItemRefused(stack, async () => await east.sign({ ...item, ...change }), "replay-differs"),
      );
  });

  const names = csrOf("DNS:c.shop.example");
  for (const [what, item, code] of [
    ["another tenant's issuer", { ...ask(names), signer: "media" }, "no-rule"],
    ["a cluster that the tenant does not name", { ...ask(names), via: "west" }, "no-rule"],
    [
      "a CA in the CSR's extensions",
      ask(csrOf("DNS:c.shop.example", { extensions: ["basicConstraints=critical,CA:TRUE"] })),
      "request-denied",
    ],
    ["a CA by the object", ask(names, { isCa: true }), "request-denied"],
    ["a name that is not given", ask(csrOf("DNS:pay.example")), "request-denied"],
    ["a subject that is not given", ask(namedCsr({ subject: "/CN=root" })), "request-denied"],
    [
      "another namespace's SPIFFE ID",
      ask(csrOf("URI:spiffe://shop.example/ns/shop-till/sa/x"), { usages: ["digital signature"] }),
      "identity-denied",
    ],
    [
      "a CSR that asks for other usages",
      ask(csrOf("DNS:c.shop.example", { extensions: ["extendedKeyUsage=clientAuth"] })),
      "malformed",
    ],
    ["what is no CSR", { ...ask(names), csr: new Uint8Array(20_000) }, "malformed"],
    ["no UID", { ...ask(names), idempotencyKey: "" }, "malformed"],
    ["no namespace", ask(names, { namespace: "" }), "malformed"],
    ["a path for a namespace", ask(names, { namespace: "a/b" }), "malformed"],
    ["no user", ask(names, { username: "" }), "malformed"],
    ["a user with a line break", ask(names, { username: "ada\nissued" }), "malformed"],
    ["another profile", ask(names, { profile: "agent" }), "malformed"],
    ["a usage of 513 characters", ask(names, { usages: ["u".repeat(513)] }), "malformed"],
    ["a usage with a line break", ask(names, { usages: ["server auth\n"] }), "malformed"],
    ["a tenant of 254 characters", { ...ask(names), signer: "t".repeat(254) }, "malformed"],
    ["another door", ask(names, { door: "istio" }), "malformed"],
    ["a CSR that no ServiceAccount has made", ask(names, { door: "csr", username: "ada" }), "malformed"],
    [
      "a CSR of another namespace's ServiceAccount",
      ask(names, { door: "csr", username: "system:serviceaccount:shop:web" }),
      "malformed",
    ],
    ["an issuer of another kind", ask(names, { issuer: "ClusterIssuer/shop" }), "malformed"],
  ] as const)
    await t.test(`refused: ${what}`, async () => {
      const { via, ...rest } = { via: "east", ...item };
      await assertItemRefused(stack, async () => await (via === "east" ? east : west).sign(rest), code);
    });

  await t.test("a suspended tenant gives nothing, and nothing a second time", async () => {
    const item = ask(csrOf("DNS:d.shop.example"));
    issued(await east.sign(item));
    await stack.issuer.suspend("tenant", "shop");
    await assertItemRefused(stack, async () => await east.sign(item), "suspended");
    await stack.issuer.suspend("tenant", "shop", false);
    issued(await east.sign(item));
  });
});
