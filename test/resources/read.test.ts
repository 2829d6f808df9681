import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import * as z from "zod";
import { schemas } from "../../src/resources/kind.ts";
import { loadDirectory } from "../../src/resources/load.ts";
import { DocumentsRefused } from "../../src/resources/problem.ts";
import { fileBytesMax, readDocuments, totalBytesMax } from "../../src/resources/read.ts";
import { cluster, join, jwks, problemsOf, read, root, tenant } from "./build.ts";

test("a root needs no more than a name", () => {
  assert.deepEqual(
    read("apiVersion: espalier.dev/v1alpha1\nkind: TrustRoot\nmetadata: { name: main }\n").roots.get("main"),
    {
      name: "main",
      algorithm: "P-256",
      validityDays: 3650,
      source: "espalier",
    },
  );
});

test("a tenant's fields have their defaults", () => {
  const { tenants } = read(join(root(), tenant("shop"), cluster("east")));
  assert.deepEqual(tenants.get("shop"), {
    name: "shop",
    trustDomain: "shop.example",
    root: "main",
    authority: { algorithm: "P-256", validityDays: 365 },
    rules: [{ name: "all", clusters: ["east"], namespaces: ["shop-*"], serviceAccounts: ["*"], proofs: ["token"] }],
    profiles: { workload: { defaultSeconds: 86_400, minimumSeconds: 600, maximumSeconds: 86_400 } },
    renewal: { unboundDays: 30 },
    quotas: { perTokenHour: 600 },
    suspended: false,
  });
});

test("a cluster's fields have their defaults, and its keys are read", () => {
  const east = read(cluster("east")).clusters.get("east");
  assert.ok(east !== undefined && east.tokens.keys.kind === "static");
  assert.equal(east.tokens.keys.keys.length, 1);
  assert.deepEqual(
    { ...east, tokens: { ...east.tokens, keys: [] } },
    {
      name: "east",
      tokens: { issuer: "https://kubernetes.default.svc.cluster.local", keys: [], audiences: ["istio-ca"] },
      agent: { namespace: "espalier-system", serviceAccount: "espalier-agent" },
      ztunnelAccounts: [],
      aliases: [],
      servingNames: ["ca.east.example", "istiod.istio-system.svc"],
      suspended: false,
    },
  );
});

test("keys may stand in a file beside the document, be joined, or be fetched", () => {
  const kindOf = (keys: string, beside = {}) =>
    read(cluster("east", { keys }), {}, beside).clusters.get("east")?.tokens.keys.kind;
  assert.equal(kindOf("{ jwksFile: keys/east.json }", { "keys/east.json": jwks() }), "static");
  assert.equal(kindOf("{ joined: true }"), "joined");
  assert.equal(kindOf("{ url: https://oidc.example/keys }"), "url");
});

test("labels, annotations and a status are let be", () => {
  const text = root().replace("{ name: main }", "{ name: main, labels: { a: b }, annotations: { c: d } }");
  assert.equal(read(`${text}status: { anything: [1] }\n`).roots.size, 1);
});

const head = "apiVersion: espalier.dev/v1alpha1\nkind: TrustRoot\nmetadata: { name: main }\n";
const privateKey = `{ jwks: { keys: [{ kty: EC, crv: P-256, x: a, y: b, d: c }] } }`;
const refused: readonly (readonly [string, string, string])[] = [
  ["an unknown field", `${head}spec:\n  source: espalier\n  sauce: hot\n`, "all.yaml:6:3 spec.sauce: unknown field"],
  [
    "an unknown field of metadata",
    head.replace("name: main", "name: main, namespace: x"),
    "all.yaml:3:25 metadata.namespace: unknown field",
  ],
  [
    "a wrong type",
    `${head}spec:\n  validityDays: long\n`,
    'all.yaml:5:3 spec.validityDays: must be a number, not "long"',
  ],
  [
    "a broken number",
    `${head}spec:\n  validityDays: 30.5\n`,
    "all.yaml:5:3 spec.validityDays: must be a whole number, not 30.5",
  ],
  [
    "a number out of range",
    `${head}spec:\n  validityDays: 7301\n`,
    "all.yaml:5:3 spec.validityDays: must be at most 7300, not 7301",
  ],
  [
    "a value that is none of the choices",
    `${head}spec: { source: vault }\n`,
    'all.yaml:4:9 spec.source: must be "espalier", not "vault"',
  ],
  [
    "a name that is no DNS label",
    head.replace("main", "Main"),
    'all.yaml:3:13 metadata.name: must be a DNS label: 1 to 63 of a-z, 0-9 and -, with - not at an end, not "Main"',
  ],
  [
    "another kind",
    head.replace("TrustRoot", "Secret"),
    'all.yaml:2:1 kind: must be TrustRoot, MeshTenant, MeshCluster, not "Secret"',
  ],
  [
    "a kind that is only an object's own",
    head.replace("TrustRoot", "toString"),
    'all.yaml:2:1 kind: must be TrustRoot, MeshTenant, MeshCluster, not "toString"',
  ],
  [
    "another version",
    head.replace("v1alpha1", "v2"),
    'all.yaml:1:1 apiVersion: must be "espalier.dev/v1alpha1", not "espalier.dev/v2"',
  ],
  ["no map at all", "- a\n", "all.yaml:1:1: must be a map with apiVersion, kind, metadata and spec"],
  [
    "a missing field, where it should be",
    tenant("shop").replace(/ {2}root.*\n/, ""),
    "all.yaml:5:1 spec.root: required",
  ],
  ["a key twice", `${head}kind: TrustRoot\n`, "all.yaml:4:1: map keys must be unique"],
  ["a tag", `${head}spec: !!js {}\n`, "all.yaml:4:7: unresolved tag: tag:yaml.org,2002:js"],
  ["YAML 1.1", `%YAML 1.1\n---\n${head}`, "all.yaml:3:1: must be YAML 1.2"],
  ["a merge", `${head}spec:\n  <<: { source: espalier }\n`, 'all.yaml:5:3 spec."<<": unknown field'],
  ["no rules", tenant("shop", { rules: "[]" }), "all.yaml:8:3 spec.rules: must be at least 1 long"],
  [
    "a pattern within a name",
    tenant("shop", { rules: '[{ name: a, clusters: [east], namespaces: ["a*b"] }]' }),
    'all.yaml:8:53 spec.rules[0].namespaces[0]: must be a namespace, a prefix and *, or *, not "a*b"',
  ],
  [
    "a prefix of clusters",
    tenant("shop", { rules: '[{ name: a, clusters: ["e*"], namespaces: [a] }]' }),
    'all.yaml:8:33 spec.rules[0].clusters[0]: must be the name of a MeshCluster, or *, not "e*"',
  ],
  [
    "* beside other clusters",
    tenant("shop", { rules: '[{ name: a, clusters: ["*", east], namespaces: [a] }]' }),
    "all.yaml:8:22 spec.rules[0].clusters: * stands alone: it is every cluster",
  ],
  [
    "a proof there is not",
    tenant("shop", { rules: "[{ name: a, clusters: [east], namespaces: [a], proofs: [word] }]" }),
    'all.yaml:8:66 spec.rules[0].proofs[0]: must be token, impersonated, certificate, request or requester:<namespace>/<service account>, not "word"',
  ],
  [
    "request for one account",
    tenant("shop", {
      rules: "[{ name: a, clusters: [east], namespaces: [a], serviceAccounts: [b], proofs: [token, request] }]",
    }),
    'all.yaml:8:95 spec.rules[0].proofs[1]: the proof "request" proves no account, so its rule must be for all (serviceAccounts: ["*"])',
  ],
  [
    "two rules of one name",
    tenant("shop", {
      rules: "[{ name: a, clusters: [east], namespaces: [a] }, { name: a, clusters: [east], namespaces: [b] }]",
    }),
    'all.yaml:8:61 spec.rules[1].name: another rule of this tenant is also called "a"',
  ],
  [
    "a minimum above the maximum",
    tenant("shop", { more: "profiles: { workload: { minimumSeconds: 90000 } }" }),
    "all.yaml:9:27 spec.profiles.workload.minimumSeconds: is more than maximumSeconds, 86400",
  ],
  [
    "a default above the maximum",
    tenant("shop", { more: "profiles: { workload: { maximumSeconds: 3600 } }" }),
    "all.yaml:9:15 spec.profiles.workload.defaultSeconds: is more than maximumSeconds, 3600",
  ],
  [
    "a maximum above the profile's cap",
    tenant("shop", { more: "profiles: { workload: { maximumSeconds: 7776001 } }" }),
    "all.yaml:9:27 spec.profiles.workload.maximumSeconds: must be at most 7776000, not 7776001",
  ],
  [
    "a burst below what comes in a second",
    tenant("shop", { more: "quotas: { rate: { perSecond: 10, burst: 9 } }" }),
    "all.yaml:9:36 spec.quotas.rate.burst: is less than perSecond, 10",
  ],
  [
    "an authority too short for its leaves",
    tenant("shop", { more: "authority: { validityDays: 1 }" }),
    "all.yaml:9:16 spec.authority.validityDays: is less than twice profiles.workload.maximumSeconds, 86400 s",
  ],
  [
    "a private key",
    cluster("east", { keys: privateKey }),
    'all.yaml:8:13 spec.tokens.keys.jwks: not a JWKS of public keys: a key has the private member "d": only public keys belong here, and this one must be replaced where it is used',
  ],
  [
    "no keys",
    cluster("east", { keys: "{}" }),
    "all.yaml:8:5 spec.tokens.keys: must have exactly one of jwks, jwksFile, joined, proposed and url",
  ],
  [
    "keys from two places",
    cluster("east", { keys: "{ joined: true, url: https://a.example }" }),
    "all.yaml:8:5 spec.tokens.keys: must have exactly one of jwks, jwksFile, joined, proposed and url",
  ],
  [
    "keys not joined",
    cluster("east", { keys: "{ joined: false }" }),
    "all.yaml:8:13 spec.tokens.keys.joined: must be true, not false",
  ],
  [
    "keys without TLS",
    cluster("east", { keys: "{ url: http://a.example }" }),
    'all.yaml:8:13 spec.tokens.keys.url: must be an https:// URL, not "http://a.example"',
  ],
  [
    "a password in a URL",
    cluster("east", { keys: "{ url: https://a:b@c.example }" }),
    "all.yaml:8:13 spec.tokens.keys.url: must not hold a user or a password",
  ],
  [
    "a file that is not there",
    cluster("east", { keys: "{ jwksFile: a.json }" }),
    'all.yaml:8:13 spec.tokens.keys.jwksFile: there is no file "a.json"',
  ],
  [
    "a file elsewhere",
    cluster("east", { keys: "{ jwksFile: ../a.json }" }),
    'all.yaml:8:13 spec.tokens.keys.jwksFile: must be the path of a .json file below this document\'s directory, not "../a.json"',
  ],
  [
    "a wildcard to serve under",
    cluster("east", { servingNames: '["*.example"]' }),
    'all.yaml:9:18 spec.servingNames[0]: must be a DNS name in lower case, without a wildcard, not "*.example"',
  ],
  [
    "no name to serve under",
    cluster("east", { servingNames: "[]" }),
    "all.yaml:9:3 spec.servingNames: must be at least 1 long",
  ],
];

for (const [what, text, line] of refused)
  test(`${what} is refused, with its place`, () => assert.deepEqual(problemsOf(text), [line]));

test("all that is wrong is told at once, in order", () => {
  const text = join(root("main", "{ a: 1, b: 2 }"), root("Main"), tenant("shop", { rules: "7" }));
  assert.deepEqual(
    problemsOf(text).map((line) => line.slice(0, line.indexOf(": "))),
    ["all.yaml:4:9 spec.a", "all.yaml:4:15 spec.b", "all.yaml:8:13 metadata.name", "all.yaml:18:3 spec.rules"],
  );
});

test("an alias stands for what it names; many are refused", () => {
  const text = tenant("shop", {
    rules: "[{ name: a, clusters: &c [east], namespaces: [a] }, { name: b, clusters: *c, namespaces: [b] }]",
  });
  assert.equal(read(join(root(), text, cluster("east"))).tenants.get("shop")?.rules[1]?.clusters[0], "east");
  const nine = (alias: string) => `[${Array.from({ length: 9 }, () => alias).join()}]`;
  const bomb = `a: &a [x,x]\nb: &b ${nine("*a")}\nc: &c ${nine("*b")}\nd: ${nine("*c")}\n`;
  assert.match(problemsOf(bomb)[0] ?? "", /excessive alias count/);
});

test("files have limits", () => {
  const long = { path: "long.yaml", text: `# ${"x".repeat(fileBytesMax)}` };
  assert.throws(() => readDocuments([long]), /long.yaml:1:1: is 1048578 bytes, more than 1048576/);
  const many = Array.from({ length: totalBytesMax / 1_000_000 + 2 }, (_, i) => ({
    path: `${i}.json`,
    text: "x".repeat(1_000_000),
  }));
  assert.throws(() => readDocuments(many), /67.json:1:1: with this file all are more than 67108864 bytes/);
});

test("any text is read or refused, never anything else", () => {
  const pieces = fc.constantFrom(
    "kind: ",
    "TrustRoot\n",
    "apiVersion: espalier.dev/v1alpha1\n",
    "- ",
    "[",
    "{",
    "}",
    "]",
    ": ",
    "&a ",
    "*a ",
    "? ",
    "|\n",
    "---\n",
    "__proto__: ",
    "metadata: {name: a}\n",
    '"',
    "\t",
    "#",
    "!!set ",
    "\u0000",
    "spec:\n",
    "  ",
    "0x1_0",
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (text) => {
      try {
        readDocuments([{ path: "any.yaml", text }]);
      } catch (error) {
        assert.ok(error instanceof DocumentsRefused, String(error));
        assert.ok(error.problems.length > 0 && error.problems.every(({ line, column }) => line >= 1 && column >= 1));
      }
    }),
    { numRuns: 1_000 },
  );
});

test("deep nesting is refused", () => assert.ok(problemsOf("[".repeat(50_000)).length > 0));

test("every schema becomes OpenAPI, and every field says what it is", () => {
  for (const schema of Object.values(schemas))
    describeAll(z.toJSONSchema(schema, { target: "openapi-3.0", io: "input" }), "");
});

function describeAll(schema: unknown, path: string): void {
  assert.ok(typeof schema === "object" && schema !== null);
  const properties = "properties" in schema ? schema.properties : {};
  assert.ok(typeof properties === "object" && properties !== null);
  for (const [name, property] of Object.entries(properties)) {
    assert.ok(
      typeof property === "object" && property !== null && "description" in property,
      `${path}.${name} has no description`,
    );
    assert.doesNotMatch(JSON.stringify(property), /"(anyOf|oneOf|allOf)"/, `${path}.${name} has no structural schema`);
    describeAll("items" in property ? property.items : property, `${path}.${name}`);
  }
}

async function scratch(t: { after(fn: () => Promise<void>): void }): Promise<string> {
  const directory = await mkdtemp(joinPath(tmpdir(), "documents-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test("a directory is read with those below it, and others' files let be", async (t) => {
  const directory = await scratch(t);
  await mkdir(joinPath(directory, "clusters"));
  await writeFile(joinPath(directory, "a.yaml"), join(root(), tenant("shop")));
  await writeFile(joinPath(directory, "clusters", "b.yml"), cluster("east", { keys: "{ jwksFile: east.json }" }));
  await writeFile(joinPath(directory, "clusters", "east.json"), jwks());
  await writeFile(joinPath(directory, "README.md"), "{{{");
  await writeFile(joinPath(directory, ".a.yaml.swp"), "{{{");
  const { roots, tenants, clusters } = await loadDirectory(directory);
  assert.deepEqual([[...roots.keys()], [...tenants.keys()], [...clusters.keys()]], [["main"], ["shop"], ["east"]]);
});

test("a mounted ConfigMap is read once, through its links", async (t) => {
  const directory = await scratch(t);
  await mkdir(joinPath(directory, "..2026_01"));
  await writeFile(joinPath(directory, "..2026_01", "root.yaml"), root());
  await symlink("..2026_01", joinPath(directory, "..data"));
  await symlink(joinPath("..data", "root.yaml"), joinPath(directory, "root.yaml"));
  assert.equal((await loadDirectory(directory)).roots.size, 1);
});

test("what cannot be read is refused: no directory, no text, a link to nowhere", async (t) => {
  const directory = await scratch(t);
  await assert.rejects(loadDirectory(joinPath(directory, "none")), /none:1:1: cannot be read \(ENOENT\)/);
  await writeFile(joinPath(directory, "a.yaml"), Buffer.from([0xff, 0xfe, 0x00]));
  await assert.rejects(loadDirectory(directory), /a.yaml:1:1: is not UTF-8/);
  await rm(joinPath(directory, "a.yaml"));
  await symlink("nowhere", joinPath(directory, "b.yaml"));
  await assert.rejects(loadDirectory(directory), /b.yaml:1:1: cannot be read \(ENOENT\)/);
});

test("a directory that is a circle ends", async (t) => {
  const directory = await scratch(t);
  await symlink(".", joinPath(directory, "again"));
  assert.equal((await loadDirectory(directory)).roots.size, 0);
});
