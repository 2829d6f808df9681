/**
 * What `Explain` says is what signing says: each row is asked both ways, and the two must agree to the word. To be read by whoever
 * answers for the rules.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call } from "../../src/rpc/client.ts";
import type { ExplainRequest } from "../../src/rpc/gen/espalier/v1/ExplainRequest.ts";
import type { Explanation__Output } from "../../src/rpc/gen/espalier/v1/Explanation.ts";
import type { ObjectRequest } from "../../src/rpc/gen/espalier/v1/ObjectRequest.ts";
import type { SignItem } from "../../src/rpc/gen/espalier/v1/SignItem.ts";
import { clusterDocument, clusterTokens, type Document, document } from "../support/documents.ts";
import { csrOf, namedCsr } from "../support/named-csr.ts";
import { type AdminClient, openSocket } from "../support/operators.ts";
import { eventually } from "../support/patience.ts";
import { type Stack, startStack } from "../support/stack.ts";
import type { Thief } from "../support/thief.ts";
import { refusedCounts } from "../support/traces.ts";
import { csrFor } from "../support/workload.ts";

const requests = { dnsNames: ["*.shop.example"], identities: true, maximumSeconds: 86_400 };

function tenant(name: string, rules: readonly object[], more: object = {}): Document {
  return document("MeshTenant", name, { trustDomain: `${name}.example`, root: "main", rules, ...more });
}

/**
 * shop: its own namespaces in east, and one account apart. till: one of those namespaces. web: closed to requests. gone and cut: to be
 * suspended. full: one certificate a day.
 */
const documents = [
  document("TrustRoot", "main", {}),
  tenant(
    "shop",
    [
      {
        name: "all",
        clusters: ["east"],
        namespaces: ["shop-*"],
        proofs: ["token", "impersonated", "request", "requester:mesh/istio-csr"],
      },
      { name: "admin", clusters: ["east"], namespaces: ["shop-web"], serviceAccounts: ["admin"], proofs: ["token"] },
    ],
    { requests },
  ),
  tenant("till", [{ name: "till", clusters: ["east"], namespaces: ["shop-till"] }]),
  tenant("gone", [{ name: "all", clusters: ["east"], namespaces: ["gone"], proofs: ["token", "request"] }], {
    requests,
  }),
  tenant("silent", [{ name: "all", clusters: ["east"], namespaces: ["silent"], proofs: ["request"] }]),
  tenant("full", [{ name: "all", clusters: ["east"], namespaces: ["full"] }], { quotas: { liveCertificates: 1 } }),
  tenant("cut", [{ name: "all", clusters: ["south"], namespaces: ["cut"] }]),
  clusterDocument("east", {
    ztunnelAccounts: ["istio-system/ztunnel"],
    requesters: [{ account: "mesh/istio-csr", namespace: "mesh" }],
  }),
  clusterDocument("west"),
  clusterDocument("south"),
];

/** One question and the request that it is about. */
interface Asked {
  readonly question: ExplainRequest;
  /** Missing where nobody can ask it. */
  readonly item?: Partial<SignItem>;
}

interface Workload {
  readonly cluster?: string;
  readonly namespace?: string;
  readonly serviceAccount?: string;
  readonly proof?: "token" | "impersonated";
  readonly signer?: string;
  readonly validitySeconds?: number;
  /** What its CSR names. */
  readonly identity: string;
}

function workload(asks: Workload): Asked {
  const { cluster = "east", namespace = "shop-web", serviceAccount = "web", proof = "token", signer = "" } = asks;
  const { identity, validitySeconds = 0 } = asks;
  const tokens = clusterTokens(cluster);
  const shown =
    proof === "token"
      ? { token: tokens.token({ namespace, serviceAccount }) }
      : {
          impersonated: { token: tokens.token({ namespace: "istio-system", serviceAccount: "ztunnel" }), identity },
        };
  return {
    question: { cluster, signer, validitySeconds, workload: { namespace, serviceAccount, proof, identity } },
    item: { csr: csrFor(identity), signer, validitySeconds, ...shown },
  };
}

const shopWeb = "spiffe://shop.example/ns/shop-web/sa/web";

const asks: ObjectRequest = {
  door: "certificate-request",
  namespace: "shop-web",
  name: "web-1",
  issuer: "TenantIssuer/shop",
  profile: "request",
  username: "system:serviceaccount:cert-manager:cert-manager",
  groups: [],
  usages: ["digital signature", "server auth"],
};

let uid = 0;

function object(
  names: string,
  more: ObjectRequest & Pick<Partial<SignItem>, "signer" | "validitySeconds"> = {},
): Asked {
  const { signer = "shop", validitySeconds = 3600, ...rest } = more;
  const csr = names === "" ? namedCsr() : csrOf(names);
  const request = { ...asks, ...rest };
  const item = { csr, signer, validitySeconds, idempotencyKey: `uid-${(uid += 1)}`, request };
  return { question: { cluster: "east", signer, validitySeconds, object: { csr, request } }, item };
}

/** By istio-csr, for another. */
function forOther(identity: string, signer = "shop"): Asked {
  const usages = ["server auth", "client auth"];
  const username = "system:serviceaccount:mesh:istio-csr";
  return object(`URI:${identity}`, { namespace: "mesh", username, usages, signer });
}

interface Case {
  readonly says: string;
  readonly asked: () => Asked;
  /** `tenant/rule`, or the code of the refusal. */
  readonly verdict: string;
  /** What would make it work. */
  readonly fix?: RegExp;
}

const cases: readonly Case[] = [
  { says: "a workload gets what its rule says", asked: () => workload({ identity: shopWeb }), verdict: "shop/all" },
  {
    says: "no tenant claims the namespace",
    asked: () => workload({ namespace: "bank", identity: "spiffe://shop.example/ns/bank/sa/web" }),
    verdict: "no-rule",
    fix: /add a rule to spec\.rules of the MeshTenant .* clusters: \[east\], namespaces: \[bank\]/,
  },
  {
    says: "a tenant claims it in another cluster",
    asked: () => workload({ cluster: "west", identity: shopWeb }),
    verdict: "no-rule",
    fix: /rule "all" of MeshTenant "shop" names this namespace; its clusters lacks "west"/,
  },
  {
    says: "the more specific rule wins, of another tenant",
    asked: () => workload({ namespace: "shop-till", identity: "spiffe://till.example/ns/shop-till/sa/web" }),
    verdict: "till/till",
  },
  {
    says: "and then the wider tenant's trust domain is wrong",
    asked: () => workload({ namespace: "shop-till", identity: "spiffe://shop.example/ns/shop-till/sa/web" }),
    verdict: "identity-denied",
    fix: /the CSR has to name spiffe:\/\/till\.example\/ns\/shop-till\/sa\/web: the trust domain is meshConfig\.trustDomain/,
  },
  {
    says: "the mesh has another trust domain",
    asked: () => workload({ identity: "spiffe://cluster.local/ns/shop-web/sa/web" }),
    verdict: "identity-denied",
    fix: /has to name spiffe:\/\/shop\.example/,
  },
  {
    says: "a wrong proof: the narrower rule is final",
    asked: () =>
      workload({
        serviceAccount: "admin",
        proof: "impersonated",
        identity: "spiffe://shop.example/ns/shop-web/sa/admin",
      }),
    verdict: "proof-not-accepted",
    fix: /add "impersonated" to the proofs of rule "admin" of MeshTenant "shop", or prove it by token; rule "all" .* is not asked/,
  },
  {
    says: "a ztunnel's word where the rule takes it",
    asked: () => workload({ proof: "impersonated", identity: shopWeb }),
    verdict: "shop/all",
  },
  {
    says: "a CertSigner that is not theirs",
    asked: () => workload({ signer: "gone", identity: shopWeb }),
    verdict: "signer-denied",
    fix: /leave CertSigner out, or ask for one of shop/,
  },
  {
    says: "a wider tenant that is asked for",
    asked: () =>
      workload({ namespace: "shop-till", signer: "shop", identity: "spiffe://shop.example/ns/shop-till/sa/web" }),
    verdict: "shop/all",
  },
  {
    says: "a suspended tenant",
    asked: () => workload({ namespace: "gone", identity: "spiffe://gone.example/ns/gone/sa/web" }),
    verdict: "suspended",
    fix: /^espalier tenant resume gone --reason …$/,
  },
  {
    says: "a suspended cluster",
    asked: () => workload({ cluster: "south", namespace: "cut", identity: "spiffe://cut.example/ns/cut/sa/web" }),
    verdict: "suspended",
    fix: /^espalier cluster resume south --reason …$/,
  },
  {
    says: "a revoked workload",
    asked: () => workload({ serviceAccount: "thief", identity: "spiffe://shop.example/ns/shop-web/sa/thief" }),
    verdict: "suspended",
    fix: /^espalier allow workload shop shop-web\/thief --reason …$/,
  },
  {
    says: "a tenant that has all it may have",
    asked: () => workload({ namespace: "full", identity: "spiffe://full.example/ns/full/sa/web" }),
    verdict: "quota",
    fix: /wait, or raise that field/,
  },
  {
    says: "a tenant whose root nobody has made",
    asked: () => workload({ namespace: "new", identity: "spiffe://new.example/ns/new/sa/web" }),
    verdict: "unavailable",
    fix: /run `espalier root create later`/,
  },
  {
    says: "a cluster that is not declared",
    asked: () => ({ question: { ...workload({ identity: shopWeb }).question, cluster: "north" } }),
    verdict: "not-this-caller",
    fix: /espalier cluster add north .* declared are east, west/,
  },
  { says: "an object gets the names that are given", asked: () => object("DNS:a.shop.example"), verdict: "shop/all" },
  {
    says: "a name that the tenant does not give",
    asked: () => object("DNS:a.shop.example,DNS:www.bank.example"),
    verdict: "request-denied",
    fix: /let that field of MeshTenant "shop" give it/,
  },
  {
    says: "a duration that is too long",
    asked: () => object("DNS:a.shop.example", { validitySeconds: 86_401 }),
    verdict: "request-denied",
    fix: /that field of MeshTenant "shop"/,
  },
  {
    says: "an object's SPIFFE ID of another trust domain",
    asked: () => object("URI:spiffe://bank.example/ns/shop-web/sa/web", { usages: ["digital signature"] }),
    verdict: "identity-denied",
    fix: /ask for spiffe:\/\/shop\.example\/ns\/shop-web\/sa\/<account>/,
  },
  {
    says: "an object's SPIFFE ID of a revoked workload",
    asked: () => object("URI:spiffe://shop.example/ns/shop-web/sa/thief", { usages: ["digital signature"] }),
    verdict: "suspended",
    fix: /espalier allow workload shop shop-web\/thief/,
  },
  {
    says: "an object of a namespace whose rule takes no requests",
    asked: () => object("DNS:a.shop.example", { namespace: "shop-till", signer: "till" }),
    verdict: "proof-not-accepted",
    fix: /^add "request" to the proofs of rule "till" of MeshTenant "till"$/,
  },
  {
    says: "an object of a namespace that is not the tenant's",
    asked: () => object("DNS:a.shop.example", { namespace: "bank" }),
    verdict: "no-rule",
    fix: /add a rule to spec\.rules of MeshTenant "shop": .* namespaces: \[bank\], proofs: \[request\]/,
  },
  {
    says: "an object that asks for a tenant that is not there",
    asked: () => object("DNS:a.shop.example", { signer: "nobody" }),
    verdict: "no-rule",
    fix: /no MeshTenant "nobody" is declared; there are shop, till/,
  },
  {
    says: "a tenant that gives nothing to requests",
    asked: () => object("DNS:a.shop.example", { namespace: "silent", signer: "silent" }),
    verdict: "request-denied",
  },
  {
    says: "a suspended tenant, by an object",
    asked: () => object("DNS:a.shop.example", { namespace: "gone", signer: "gone" }),
    verdict: "suspended",
    fix: /espalier tenant resume gone/,
  },
  {
    says: "istio-csr's word for a workload, where the rule takes it",
    asked: () => forOther(shopWeb),
    verdict: "shop/all",
  },
  {
    says: "istio-csr's word for an account apart",
    asked: () => forOther("spiffe://shop.example/ns/shop-web/sa/admin"),
    verdict: "proof-not-accepted",
    fix: /add "requester:mesh\/istio-csr" to the proofs of rule "admin" of MeshTenant "shop"; rule "all" .* is not asked/,
  },
  {
    says: "istio-csr's word for what is another tenant's: its rules decide",
    asked: () => forOther("spiffe://shop.example/ns/shop-till/sa/web"),
    verdict: "proof-not-accepted",
    fix: /add "requester:mesh\/istio-csr" to the proofs of rule "till" of MeshTenant "till"/,
  },
  {
    says: "istio-csr's word in another trust domain",
    asked: () => forOther("spiffe://cluster.local/ns/shop-web/sa/web"),
    verdict: "identity-denied",
    fix: /the CSR has to name spiffe:\/\/shop\.example\/ns\/shop-web\/sa\/web/,
  },
  {
    says: "istio-csr by an issuer of another tenant",
    asked: () => forOther(shopWeb, "gone"),
    verdict: "signer-denied",
    fix: /ask through an issuer of MeshTenant "shop", whose rule decides/,
  },
  { says: "an object that names nobody", asked: () => object(""), verdict: "request-denied" },
  {
    says: "what is no CSR",
    asked: () => {
      const { question, item } = object("DNS:a.shop.example");
      const csr = Buffer.from("no CSR");
      return { question: { ...question, object: { ...question.object, csr } }, item: { ...item, csr } };
    },
    verdict: "malformed",
    fix: /make another one/,
  },
];

let stack: Stack;
let thieves: Readonly<Record<string, Thief>>;
let admin: AdminClient;

before(async () => {
  stack = await startStack({ clusters: ["east", "west", "south"], documents });
  thieves = { east: await stack.thief("east"), west: await stack.thief("west"), south: await stack.thief("south") };
  admin = stack.use(openSocket(stack.issuer)).admin;
  const { issuer, site } = stack;
  await issuer.suspend("tenant", "gone");
  await issuer.suspend("cluster", "south");
  await issuer.suspend("workload", "shop/shop-web/thief");
  site.declare([
    ...documents,
    document("TrustRoot", "later", {}),
    tenant("new", [{ name: "all", clusters: ["east"], namespaces: ["new"] }], { root: "later" }),
  ]);
  await eventually(() => assert.ok(issuer.log.of("resources in force").length > 0));
  // All that it may have.
  const { item } = workload({ namespace: "full", identity: "spiffe://full.example/ns/full/sa/web" });
  assert.ok((await sign("east", item)).issued);
});
after(async () => await stack[Symbol.asyncDispose]());

const explain = async (request: ExplainRequest): Promise<Explanation__Output> =>
  await call<object, Explanation__Output>(admin.explain.bind(admin), request, 30_000);

async function sign(cluster: string, item: Partial<SignItem> = {}) {
  const thief = thieves[cluster];
  assert.ok(thief);
  return await thief.sign(item);
}

for (const { says, asked, verdict, fix } of cases)
  test(`${says}: ${verdict}`, async () => {
    const { site, issuer } = stack;
    const { question, item } = asked();
    const left = async () => [
      site.intents(),
      issuer.log.of("refused").length,
      issuer.log.of("issued").length,
      await refusedCounts(issuer.metrics),
    ];
    const before = await left();
    const explained = await explain(question);
    assert.equal(explained.granted ? explained.rule : explained.code, verdict, explained.message);
    assert.deepEqual(await left(), before, "a question leaves something behind");
    if (fix === undefined) assert.ok(explained.granted || explained.fixes.length > 0, "nobody is told what to do");
    else assert.match(explained.fixes.join("; "), fix);
    if (item === undefined) return;
    const { refused } = await sign(question.cluster ?? "", item);
    assert.deepEqual([explained.code, explained.message], [refused?.code ?? "", refused?.message ?? ""]);
  });

test("a question uses up nothing of a quota", async () => {
  const { question } = workload({ identity: shopWeb });
  for (let n = 0; n < 20; n++) assert.ok((await explain(question)).granted);
});

test("without a word on its CSR, a workload is taken to ask for what it should", async () => {
  const asks = { namespace: "shop-web", serviceAccount: "web" };
  const explained = await explain({ cluster: "east", validitySeconds: 60, workload: asks });
  const { granted, identity, validitySeconds, authority, tenant: of } = explained;
  assert.deepEqual([granted, identity, of], [true, shopWeb, "shop"]);
  assert.ok(validitySeconds > 590 && validitySeconds <= 600, `the tenant's least, not ${validitySeconds}`);
  assert.match(authority, /^tenant-shop-/);
});

for (const [what, question, code] of [
  ["nobody asks", { cluster: "east" }, "malformed"],
  ["no cluster of two", { workload: { namespace: "a", serviceAccount: "b" } }, "not-found"],
  ["a name that is none", { cluster: "east", workload: { namespace: "a/b", serviceAccount: "c" } }, "malformed"],
  ["no account", { cluster: "east", workload: { namespace: "a" } }, "malformed"],
  [
    "a proof of another door",
    { cluster: "east", workload: { namespace: "a", serviceAccount: "b", proof: "request" } },
    "malformed",
  ],
  ["an object of no door", { cluster: "east", object: { csr: Buffer.of(1), request: {} } }, "malformed"],
] satisfies readonly (readonly [string, ExplainRequest, string])[])
  test(`a question that is none: ${what}`, async () => {
    await assert.rejects(explain(question), { code });
  });
