import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { Context } from "../../src/resources/check.ts";
import { toLine } from "../../src/resources/problem.ts";
import { cluster, join, jwks, problemsOf, read, root, tenant } from "./build.ts";

const east = cluster("east");
const main = root();
const before = read(join(main, tenant("shop"), east));

const inUse = new Map([["shop", { trustDomain: "shop.example", until: new Date("2027-01-01T00:00:00Z") }]]);

const authorities = (dnsNames = "[]"): string =>
  `requests: { authorities: { namespaces: [shop], dnsNames: ${dnsNames} } }`;

const refused: readonly (readonly [string, string, Context, readonly string[]])[] = [
  [
    "a root that is not there",
    join(tenant("shop"), east),
    {},
    ['all.yaml:7:3 spec.root: there is no TrustRoot "main"'],
  ],
  [
    "a cluster that is not there",
    join(main, tenant("shop")),
    {},
    ['all.yaml:13:35 spec.rules[0].clusters[0]: there is no MeshCluster "east"'],
  ],
  [
    "deleting a root that is named",
    join(tenant("shop"), east),
    { inForce: before },
    ['all.yaml:7:3 spec.root: TrustRoot "main" is named here and cannot be deleted'],
  ],
  [
    "deleting a cluster that is named",
    join(main, tenant("shop")),
    { inForce: before },
    ['all.yaml:13:35 spec.rules[0].clusters[0]: MeshCluster "east" is named here and cannot be deleted'],
  ],
  [
    "one kind and name twice",
    join(main, main),
    {},
    ['all.yaml:8:13 metadata.name: TrustRoot "main" is also declared at all.yaml:3'],
  ],
  [
    "another trust domain for a tenant",
    join(main, tenant("shop", { trustDomain: "new.example" }), east),
    { inForce: before },
    ['all.yaml:11:3 spec.trustDomain: cannot be changed: it is "shop.example" and would become "new.example"'],
  ],
  [
    "another trust domain than that of a tenant's certificates, which was deleted meanwhile",
    join(main, tenant("shop", { trustDomain: "new.example" }), east),
    { inUse },
    [
      'all.yaml:11:3 spec.trustDomain: cannot be changed to "new.example": certificates of "shop.example" are out until 2027-01-01T00:00:00.000Z; declare another tenant, or this one after that',
    ],
  ],
  [
    "another root for a tenant",
    join(main, root("other"), tenant("shop", { root: "other" }), east),
    { inForce: before },
    ['all.yaml:17:3 spec.root: cannot be changed: it is "main" and would become "other"'],
  ],
  [
    "the hub's name as trust domain",
    join(main, tenant("shop", { trustDomain: "hub.example" }), east),
    { hub: "hub.example" },
    [
      'all.yaml:11:3 spec.trustDomain: "hub.example" is the hub\'s name: its trust domain is for agents and operators alone',
    ],
  ],
  [
    "an authority that outlives its root",
    join(root("main", "{ validityDays: 100 }"), tenant("shop"), east),
    {},
    ['all.yaml:10:1 spec.authority.validityDays: is more than the validityDays of TrustRoot "main", 100'],
  ],
  [
    "two tenants that overlap",
    join(
      main,
      tenant("a", { rules: "[{ name: r, clusters: [east], namespaces: [x] }]" }),
      tenant("b", { rules: "[{ name: s, clusters: [east], namespaces: [x] }]" }),
      east,
    ),
    {},
    [
      'all.yaml:22:11 spec.rules[0]: overlaps rule "r" of MeshTenant "a" (cluster "east", namespace "x", account "*") and neither matches a strict subset of the other',
    ],
  ],
  [
    "two tenants of one trust domain in one namespace",
    join(
      main,
      tenant("a", { trustDomain: "t", rules: "[{ name: r, clusters: [east], namespaces: [x] }]" }),
      tenant("b", { trustDomain: "t", rules: "[{ name: s, clusters: [west], namespaces: [x] }]" }),
      east,
      cluster("west"),
    ),
    {},
    [
      'all.yaml:13:11 spec.rules[0]: namespace "x" is also in rule "s" of MeshTenant "b", and tenants that share a trust domain ("t") have namespaces disjoint over all clusters',
    ],
  ],
  [
    "CA certificates of a tenant that shares its root",
    join(main, tenant("shop", { more: authorities() }), tenant("pay"), east),
    {},
    [
      'all.yaml:14:15 spec.requests.authorities: the root "main" is not this tenant\'s alone: MeshTenant "pay" could be forged',
    ],
  ],
  [
    "CA certificates of a tenant that shares its trust domain",
    join(
      main,
      root("other"),
      tenant("shop", { more: authorities() }),
      tenant("pay", { root: "other", trustDomain: "eu.shop.example" }),
      east,
    ),
    {},
    [
      'all.yaml:19:15 spec.requests.authorities: the trust domain "shop.example" is not this tenant\'s alone: MeshTenant "pay" could be forged',
    ],
  ],
  [
    "CA certificates under an offline root",
    join(root("main", "{ source: offline }"), tenant("shop", { more: authorities() }), east),
    {},
    [
      'all.yaml:14:15 spec.requests.authorities: the key of TrustRoot "main" is offline, and what signs these has to follow by itself',
    ],
  ],
  [
    "CA certificates for what an agent serves with",
    join(main, tenant("shop", { more: authorities("[shop.example, east.example]") }), east),
    {},
    [
      'all.yaml:14:75 spec.requests.authorities.dnsNames[1]: "ca.east.example" is what a cluster\'s agent and istiod serve with, and nobody else is given it',
    ],
  ],
  [
    "two clusters with one name to serve under",
    join(east, cluster("west", { servingNames: "[ca.east.example]" })),
    {},
    [
      'all.yaml:19:18 spec.servingNames[0]: serving name "ca.east.example" also belongs to MeshCluster "east", and can to one only',
    ],
  ],
  [
    "two clusters with one URL",
    join(cluster("a", { keys: "{ url: https://x.example/ }" }), cluster("b", { keys: "{ url: https://X.example }" })),
    {},
    ['all.yaml:18:13 spec.tokens.keys.url: this URL also belongs to MeshCluster "a", and can to one only'],
  ],
];

for (const [what, text, context, lines] of refused)
  test(`${what} is refused, with its place`, () => assert.deepEqual(problemsOf(text, context), lines));

test("two clusters with one key are refused, however they come by it", () => {
  const key = jwks();
  const text = join(cluster("a", { keys: `{ jwks: ${key} }` }), cluster("b", { keys: "{ jwksFile: b.json }" }));
  const [line = "", ...rest] = problemsOf(text, {}, { "b.json": key.replace('"kid":"1"', '"kid":"2"') });
  assert.match(
    line,
    /^all.yaml:18:5 spec.tokens.keys: the key with thumbprint "[\w-]{43}" also belongs to MeshCluster "a", and can to one only$/,
  );
  assert.deepEqual(rest, []);
});

test("clusters have names below .svc in common: each trusts its own serving root alone", () => {
  const names = "[istiod.istio-system.svc, istiod.istio-system.svc.cluster.local]";
  assert.equal(
    read(join(cluster("a", { servingNames: names }), cluster("b", { servingNames: names }))).clusters.size,
    2,
  );
  const deceptive = "[istiod.istio-system.svc.evil.example]";
  assert.equal(
    problemsOf(join(cluster("a", { servingNames: deceptive }), cluster("b", { servingNames: deceptive }))).length,
    1,
  );
});

test("a tenant or cluster that nothing names may be deleted, and a trust domain kept", () => {
  assert.deepEqual(problemsOf(join(main, east), { inForce: before }), []);
  assert.deepEqual(problemsOf(join(main, tenant("shop"), east), { inForce: before, hub: "hub.example" }), []);
});

function warningsOf(...documents: readonly string[]): readonly string[] {
  return read(join(main, ...documents, east)).warnings.map(toLine);
}

test("nothing is warned of where there is nothing", () =>
  assert.deepEqual(warningsOf(tenant("shop"), tenant("pay")), []));

const warned: readonly (readonly [string, readonly string[], readonly RegExp[]])[] = [
  [
    "every cluster",
    [tenant("a", { rules: '[{ name: r, clusters: ["*"], namespaces: [x] }]' })],
    [/^all.yaml:13:33 spec.rules\[0\].clusters\[0\]: \* is every cluster, also those declared later$/],
  ],
  [
    "every namespace",
    [tenant("a", { rules: '[{ name: r, clusters: [east], namespaces: ["*"] }]' })],
    [/namespaces\[0\]: \* is every namespace/],
  ],
  [
    "a rule that never decides",
    [
      tenant("a", {
        rules: "[{ name: r, clusters: [east], namespaces: [x] }, { name: s, clusters: [east], namespaces: [x] }]",
      }),
    ],
    [/^all.yaml:13:59 spec.rules\[1\]: never decides anything: it matches what rule "r" matches/],
  ],
  [
    "a shared trust domain",
    [tenant("a", { trustDomain: "t" }), tenant("b", { trustDomain: "t" })],
    [
      /MeshTenant "b" shares .*: they are separated at issuance only \(own authority, rules, quota, revocation, ledger\)/,
      /MeshTenant "a" shares/,
    ],
  ],
  [
    "another's trust domain under another root",
    [root("other"), tenant("a", { trustDomain: "t" }), tenant("b", { trustDomain: "t", root: "other" })],
    [
      /MeshTenant "b" has trust domain "t" too, under another root: .* tells them apart by namespace only/,
      /MeshTenant "a" has trust domain "t" too/,
    ],
  ],
  [
    "a trust domain of three, two of them under one root",
    [
      root("other"),
      tenant("a", { trustDomain: "t" }),
      tenant("b", { trustDomain: "t", root: "other" }),
      tenant("c", { trustDomain: "t" }),
    ],
    [
      /MeshTenant "c" shares trust domain "t" and root "main"/,
      /MeshTenant "b" has trust domain "t" too/,
      /MeshTenant "a", "c" has trust domain "t" too/,
      /MeshTenant "a" shares/,
      /MeshTenant "b" has trust domain "t" too/,
    ],
  ],
  [
    "a trust domain below another",
    [tenant("a", { trustDomain: "x.y.example" }), tenant("b", { trustDomain: "y.example" })],
    [/spec.trustDomain: is a sub-domain of "y.example", the trust domain of MeshTenant "b"/],
  ],
  [
    "a ztunnel's word where no ztunnel is named",
    [tenant("a", { rules: "[{ name: r, clusters: [east], namespaces: [x], proofs: [token, impersonated] }]" })],
    [/proofs\[1\]: MeshCluster "east" names no ztunnelAccounts/],
  ],
  [
    "an account's word where it is not declared",
    [tenant("a", { rules: '[{ name: r, clusters: [east], namespaces: [x], proofs: [token, "requester:b/c"] }]' })],
    [/proofs\[1\]: MeshCluster "east" does not declare b\/c \(spec\.requesters\)/],
  ],
  [
    "a requester that asks for everybody",
    [cluster("west", { more: "requesters: [{ account: a/b }, { account: c/cert-manager, namespace: d }]" })],
    [/spec.requesters\[1\].account: is cert-manager's own account: .* whoever may make a Certificate in namespace "d"/],
  ],
  [
    "requests that are taken and get nothing",
    [tenant("a", { rules: "[{ name: r, clusters: [east], namespaces: [x], proofs: [request] }]" })],
    [/spec.rules\[0\].proofs: takes requests, and without spec.requests they get nothing/],
  ],
  [
    "what requests would get, where none is taken",
    [tenant("a", { more: "requests: { dnsNames: [a.example] }" })],
    [/spec.requests: no rule takes the proof request/],
  ],
  [
    "CA certificates for others",
    [
      tenant("a", {
        rules: "[{ name: r, clusters: [east], namespaces: [x], proofs: [request] }]",
        more: "requests: { authorities: { namespaces: [x] } }",
      }),
    ],
    [/spec.requests.authorities: whoever has one of these .* is every workload of the tenant "a"/],
  ],
];

for (const [what, documents, lines] of warned) {
  test(`warned of: ${what}`, () => {
    const told = warningsOf(...documents);
    assert.equal(told.length, lines.length, told.join("\n"));
    for (const [at, line] of lines.entries()) assert.match(told[at] ?? "", line);
  });
}

test("the order of documents makes no difference", () => {
  const documents = [
    main,
    east,
    tenant("a"),
    tenant("b", { trustDomain: "a.example" }),
    tenant("c", { rules: '[{ name: r, clusters: [east], namespaces: ["a-x*"] }]' }),
  ];
  const key = (text: string) => {
    const { roots, tenants, clusters } = read(text);
    return [roots, clusters, tenants].map((map) => [...map.keys()].sort());
  };
  fc.assert(
    fc.property(fc.shuffledSubarray(documents, { minLength: documents.length }), (shuffled) => {
      assert.deepEqual(key(join(...shuffled)), key(join(...documents)));
    }),
    { numRuns: 30 },
  );
});
