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
import { refused } from "./refused.ts";

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
      requesters: [],
      aliases: [],
      servingNames: ["ca.east.example", "istiod.istio-system.svc"],
      suspended: false,
    },
  );
});

test("a requester's namespace is its account's own, where no other is said", () => {
  const more = "requesters: [{ account: a/b.c }, { account: a/b, namespace: d, servingNames: [e.example] }]";
  assert.deepEqual(read(cluster("east", { more })).clusters.get("east")?.requesters, [
    { account: "a/b.c", namespace: "a", servingNames: [] },
    { account: "a/b", namespace: "d", servingNames: ["e.example"] },
  ]);
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

for (const { what, text, line } of refused)
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
  await assert.rejects(loadDirectory(joinPath(directory, "none")), /none:1:1: there is no such directory/);
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
