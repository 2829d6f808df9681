/** The resource definitions on a real API server: `KUBECONFIG=… node --test test/kube/crds.ts`, with the rights of an administrator. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { get } from "node:https";
import { after, before, test } from "node:test";
import * as fc from "fast-check";
import { parse } from "yaml";
import { ApiError } from "../../src/kube/api-error.ts";
import { type Client, openClient } from "../../src/kube/client.ts";
import { readBody } from "../../src/kube/exchange.ts";
import { isRecord, listAt, recordAt } from "../../src/kube/json.ts";
import { kubeconfigCredentials } from "../../src/kube/kubeconfig.ts";
import { createObject, deleteObject, mergeObject } from "../../src/kube/objects.ts";
import { type Resource, resources, toPath } from "../../src/kube/resource.ts";
import { toApiResource } from "../../src/resources/crd.ts";
import { readResource } from "../../src/resources/kind.ts";
import { kinds } from "../repo/crds.ts";
import { cluster, join, problemsOf, read, root, tenant } from "../resources/build.ts";
import { refusedDocuments } from "../resources/refused.ts";
import { kubeconfigOf } from "../support/kube-cluster.ts";
import { applyCrds } from "../support/kube-crds.ts";

const path = kubeconfigOf(process.env);
const credentials = await kubeconfigCredentials(path);
const client: Client = openClient({ credentials });

before(async () => {
  for (const chart of ["hub", "agent"] as const) await applyCrds(client, chart);
});
after(() => client[Symbol.dispose]());

/** As `kubectl` asks: unknown fields are refused, and not dropped. */
const strict = { fieldValidation: "Strict" };
const dryRun = { dryRun: "All" };

async function create(text: string, query: Readonly<Record<string, string>>): Promise<unknown> {
  const body: unknown = parse(text);
  return await client.call({ verb: "POST", path: toPath(resourceOf(text)), query, body });
}

/** A document of no kind of ours is sent where one of them is expected. */
function resourceOf(text: string): Resource {
  return toApiResource(kinds.find((kind) => new RegExp(`kind"?: ?"?${kind}["\n]`).test(text)) ?? "TrustRoot");
}

/** @throws unless the API server finds the document itself wrong, and not the request or our right to make it. */
async function assertRefused(creating: Promise<unknown>, rule?: RegExp): Promise<void> {
  await assert.rejects(creating, (error) => {
    assert.ok(error instanceof ApiError, String(error));
    assert.ok(error.status === 400 || error.status === 422, error.message);
    if (rule !== undefined) assert.match(error.message, rule);
    return true;
  });
}

test("what the issuer takes, the API server takes", async () => {
  const accepted = [
    root(),
    "apiVersion: espalier.dev/v1alpha1\nkind: TrustRoot\nmetadata: { name: main }\n",
    tenant("shop"),
    tenant("shop", {
      rules: '[{ name: a, clusters: ["*"], namespaces: ["a-*", "*"], proofs: [token, request, "requester:a/b"] }]',
      more: "authority: { validityDays: 400 }\n  profiles: { workload: { maximumSeconds: 7776000 } }",
    }),
    cluster("east"),
    cluster("east", { keys: "{ url: 'https://a.example:8443/keys?a=b' }", more: "suspended: true" }),
    cluster("east", { keys: "{ joined: true }" }),
    cluster("east", { keys: "{ proposed: approved }", more: "ztunnelAccounts: [istio-system/ztunnel]" }),
    cluster("east", { more: "requesters: [{ account: a/b.c, namespace: d, servingNames: [e.f] }, { account: a/b }]" }),
  ];
  for (const text of accepted) {
    assert.deepEqual(
      problemsOf(text).filter((line) => !line.includes("there is no")),
      [],
    );
    await create(text, { ...strict, ...dryRun });
  }
});

for (const { what, text } of refusedDocuments)
  test(`${what} is refused by the API server too`, async () => {
    await assertRefused(create(text, { ...strict, ...dryRun }));
  });

/** Mostly what may stand, so that what may not is seldom hidden behind another mistake. */
function mostly<T>(good: readonly T[], bad: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...good) },
    { weight: 1, arbitrary: fc.constantFrom(...bad) },
  );
}

const meshTenant = fc.record({
  trustDomain: mostly(["a.example"], ["A", "", "a b"]),
  root: mostly(["main"], ["-main", "main-", "m".repeat(64)]),
  authority: fc.record({ validityDays: mostly([180, 365], [1, 2, 1826]) }),
  rules: fc.array(
    fc.record({
      name: fc.constantFrom("a", "b", "c", "d"),
      clusters: mostly([["east"], ["*"], ["east", "west"]], [["*", "east"], []]),
      namespaces: mostly([["a"], ["a-*", "*"]], [["a*a"]]),
      serviceAccounts: mostly([["*"], ["*", "web"]], [["web"], ["web.*"]]),
      proofs: mostly([["token"], ["token", "request"], ["requester:a/b"]], [["requester:a"]]),
    }),
    { minLength: 1, maxLength: 2 },
  ),
  profiles: fc.record({
    workload: fc.record(
      {
        defaultSeconds: mostly([3600, 86_400], [299, 300, 599, 86_401]),
        minimumSeconds: mostly([300, 600, 3600], [86_401]),
        maximumSeconds: mostly([86_400, 7_776_000], [3599, 7_776_001]),
      },
      { requiredKeys: [] },
    ),
  }),
});

const pieces = ["a", ".example", "/", "@", ":", "#", "?", "[", "]", "\\", " ", "%", "443", "70000", "é"];
const url = fc.array(fc.constantFrom(...pieces), { maxLength: 5 }).map((some) => `https://a${some.join("")}`);
const meshCluster = fc.record({
  tokens: fc.record({
    issuer: fc.constant("x"),
    keys: fc.oneof(
      { weight: 9, arbitrary: fc.record({ url }) },
      fc.record({ url, joined: fc.constant(true) }),
      fc.constant({}),
    ),
  }),
  servingNames: mostly([["a.example"], ["a.example", "b.example"]], [["a.example", "a.example"], ["*.example"], []]),
});

for (const [kind, spec] of [
  ["MeshTenant", meshTenant],
  ["MeshCluster", meshCluster],
] as const) {
  test(`whatever the issuer refuses of a ${kind}'s fields, the API server refuses`, async () => {
    const seen = { refused: 0, taken: 0 };
    const property = fc.asyncProperty(spec, async (spec) => {
      const document = { apiVersion: "espalier.dev/v1alpha1", kind, metadata: { name: "any" }, spec };
      const text = JSON.stringify(document);
      if ("flaws" in readResource(document, () => undefined)) {
        seen.refused += 1;
        await assertRefused(create(text, { ...strict, ...dryRun }));
      } else {
        seen.taken += 1;
        // Not for URLs: what browsers mend, the API server may well refuse.
        if (kind === "MeshTenant") await create(text, { ...strict, ...dryRun });
      }
    });
    await fc.assert(property, { numRuns: 300 });
    assert.ok(seen.refused > 20 && seen.taken > 20, JSON.stringify(seen));
  });
}

test("a rule's own words are what the API server answers", async () => {
  const text = tenant("shop", { rules: '[{ name: a, clusters: ["*", east], namespaces: [a] }]' });
  await assertRefused(create(text, dryRun), /spec\.rules\[0\]\.clusters.*\* stands alone: it is every cluster/);
  const short = tenant("shop", { more: "authority: { validityDays: 1 }" });
  await assertRefused(create(short, dryRun), /spec\.authority\.validityDays.*is less than twice/);
});

test("a private key is refused whatever the client asks for", async () => {
  await assertRefused(
    create(cluster("east", { keys: "{ jwks: { keys: [{ kty: EC, d: c2VjcmV0 }] } }" }), dryRun),
    /public keys/,
  );
});

test("defaults are filled in as zod fills them in", async () => {
  const made = await create(tenant("shop"), { ...strict, ...dryRun });
  const spec = recordAt(made, "spec");
  const { name: _, ...expected } = read(join(root(), tenant("shop"), cluster("east"))).tenants.get("shop") ?? {};
  assert.deepEqual(spec, expected);
});

test("trust domain and root cannot be changed, and everything else can", async (t) => {
  const name = `shop-${randomUUID().slice(0, 6)}`;
  const meshTenants = toApiResource("MeshTenant");
  await create(tenant(name), strict);
  t.after(async () => await deleteObject(client, meshTenants, { name }));
  const change = async (spec: object): Promise<unknown> => await mergeObject(client, meshTenants, { name }, { spec });
  for (const spec of [{ trustDomain: "other.example" }, { root: "other" }])
    await assertRefused(change(spec), /cannot be changed/);
  await change({ suspended: true });
});

test("kubectl finds them by short name and category", async () => {
  const found = await client.call({ verb: "GET", path: "/apis/espalier.dev/v1alpha1" });
  const listed = listAt(found, "resources").filter(isRecord);
  assert.deepEqual(listed.map(({ name, shortNames, categories }) => [name, shortNames, categories]).toSorted(), [
    ["meshclusters", ["mcluster"], ["espalier"]],
    ["meshclusters/status", undefined, undefined],
    ["meshtenants", ["mtenant"], ["espalier"]],
    ["meshtenants/status", undefined, undefined],
    ["tenantclusterissuers", ["tcissuer"], ["espalier"]],
    ["tenantclusterissuers/status", undefined, undefined],
    ["tenantissuers", ["tissuer"], ["espalier"]],
    ["tenantissuers/status", undefined, undefined],
    ["trustroots", ["troot"], ["espalier"]],
    ["trustroots/status", undefined, undefined],
  ]);
});

const conditions = [
  { type: "Accepted", status: "True", reason: "InForce", message: "generation 1" },
  { type: "Ready", status: "False", reason: "NotMade", message: "type a verb" },
].map((one) => ({ ...one, lastTransitionTime: "2026-01-02T03:04:05Z" }));

const judged = { Accepted: "True", Ready: "False", Reason: "NotMade", Message: "type a verb" };
const { Accepted: _, ...ready } = judged;
const issuer = { Tenant: "shop", ...ready };
const tokens = { issuer: "https://east.example", keys: { joined: true } };
const rules = [{ name: "all", clusters: ["east"], namespaces: ["shop"] }];

/** What `kubectl get -o wide` shows of an object of each kind, between its name and its age. */
const shown: readonly (readonly [resource: Resource, spec: object, cells: Readonly<Record<string, unknown>>])[] = [
  [toApiResource("TrustRoot"), { algorithm: "P-384" }, { Algorithm: "P-384", ...judged }],
  [
    toApiResource("MeshTenant"),
    { trustDomain: "shop.example", root: "main", rules, suspended: true },
    { "Trust Domain": "shop.example", Root: "main", Suspended: true, ...judged },
  ],
  [
    toApiResource("MeshCluster"),
    { tokens, servingNames: ["ca.east.example"] },
    { "Token Issuer": "https://east.example", Suspended: false, ...judged },
  ],
  [resources.tenantIssuers, { tenant: "shop" }, issuer],
  [resources.tenantClusterIssuers, { tenant: "shop", namespaces: ["shop"] }, issuer],
];

for (const [resource, spec, cells] of shown)
  test(`kubectl shows what matters of a ${resource.kind}`, async (t) => {
    const name = `shown-${randomUUID().slice(0, 6)}`;
    const place = resource.namespaced ? { namespace: "default" } : {};
    const one = { ...place, name };
    const body = { apiVersion: "espalier.dev/v1alpha1", kind: resource.kind, metadata: { name }, spec };
    await createObject(client, resource, place, body);
    t.after(async () => await deleteObject(client, resource, one));
    await mergeObject(client, resource, { ...one, subresource: "status" }, { status: { conditions } });
    const { wide, Age, ...rest } = await tableOf(toPath(resource, one));
    assert.deepEqual(rest, { Name: name, ...cells });
    assert.match(String(Age), /^\d+[smh]/);
    assert.deepEqual(wide, ["Message"]);
  });

/** The one row that `kubectl get` prints, by column, and which columns it prints with `-o wide` only. */
async function tableOf(path: string): Promise<Readonly<Record<string, unknown>>> {
  const { server, tls, token } = await credentials.current();
  const accept = "application/json;as=Table;g=meta.k8s.io;v=v1";
  const headers = { accept, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const asked = get(new URL(path, server), { ...tls, headers });
  const [response] = await once(asked, "response");
  const table: unknown = JSON.parse((await readBody(response, 1024 * 1024)).toString("utf8"));
  const columns = listAt(table, "columnDefinitions").filter(isRecord);
  const [row, ...others] = listAt(table, "rows");
  assert.deepEqual(others, []);
  const cells = listAt(row, "cells");
  assert.equal(cells.length, columns.length);
  const wide = columns.filter(({ priority }) => priority !== 0).map(({ name }) => name);
  return { ...Object.fromEntries(columns.map(({ name }, at) => [name, cells[at]])), wide };
}
