import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import type { z } from "zod";
import { refusals } from "../../src/errors.ts";
import { agentSchema, issuerSchema } from "../../src/ops/config.ts";
import { issuerSchemas } from "../../src/resources/issuers.ts";
import { meshClusterSchema } from "../../src/resources/mesh-cluster.ts";
import { meshTenantSchema } from "../../src/resources/mesh-tenant.ts";
import { readDocuments } from "../../src/resources/read.ts";
import { trustRootSchema } from "../../src/resources/trust-root.ts";
import { cases } from "../cert-manager/conformance.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { layers } from "./layers.ts";
import { metricsOf } from "./metrics.ts";
import { toRows } from "./schema-rows.ts";
import { documents, type Manifest, manifestsOf, read, root, sources, tableBelow } from "./sources.ts";

const described: readonly (readonly [document: string, heading: string, schema: z.ZodType])[] = [
  ["docs/configuration.md", "issuer.yaml", issuerSchema],
  ["docs/configuration.md", "agent.yaml", agentSchema],
  ["docs/resources.md", "TrustRoot", trustRootSchema],
  ["docs/resources.md", "MeshTenant", meshTenantSchema],
  ["docs/resources.md", "MeshCluster", meshClusterSchema],
  ["docs/cert-manager.md", "TenantIssuer", issuerSchemas.TenantIssuer],
  ["docs/cert-manager.md", "TenantClusterIssuer", issuerSchemas.TenantClusterIssuer],
];

for (const [document, heading, schema] of described) {
  test(`${document} says of every key of ${heading} what the schema says`, () => {
    const rows = toRows(schema);
    for (const [key, , words] of rows) assert.notEqual(words, "", `${key} has no description`);
    assert.deepEqual(tableBelow(read(document), heading), rows);
  });
}

test("docs/cert-manager.md has every case that is tried with cert-manager, and what it comes to", () => {
  const rows = cases.map(({ name, says }) => [`\`${name}\``, says]);
  assert.deepEqual(tableBelow(read("docs/cert-manager.md"), "cert-manager's cases for issuers"), rows);
});

test("docs/security.md has every code, its status and whether to ask again", () => {
  const rows = tableBelow(read("docs/security.md"), "What is refused, and as what").map((cells) => cells.slice(0, 3));
  const table = Object.entries(refusals).map(([code, { status, retry }]) => [
    `\`${code}\``,
    status,
    retry ? "yes" : "no",
  ]);
  assert.deepEqual(rows, table);
});

test("docs/architecture.md has the table of who imports what", () => {
  const rows = tableBelow(read("docs/architecture.md"), "Folders").map(([name, , ...rest]) => [name, ...rest]);
  const table = Object.entries(layers).map(([name, { imports, types = [], packages = [] }]) => [
    `\`${name}\``,
    ...[imports, types, packages].map((list) => list.join(", ")),
  ]);
  assert.deepEqual(rows, table);
});

test("docs/operating.md has every metric", () => {
  const rows = tableBelow(read("docs/operating.md"), "Metrics");
  const sorted = (table: readonly (readonly string[])[]) => table.map((cells) => cells.join(" | ")).sort();
  assert.deepEqual(sorted(rows), sorted([...metricsOf("issuer"), ...metricsOf("agent")]));
});

/** The constant events of a process's files; those with a name that is made up are listed by hand. */
function eventsOf(process: "issuer" | "agent"): readonly string[] {
  const found = sources(`src/${process}`).flatMap((path) =>
    [...read(path).matchAll(/\blog\.(?:info|warn|error)(?:\.bind\((?:parts\.)?log,|\()\s*"([^"]+)"/g)].map(
      (m) => m[1] ?? "",
    ),
  );
  const suspensions = [
    ...["tenant", "cluster"].flatMap((kind) => [`suspend-${kind}`, `resume-${kind}`]),
    "deny-workload",
    "allow-workload",
  ];
  return [...new Set([...found, ...(process === "issuer" ? suspensions : [])])].sort();
}

for (const process of ["issuer", "agent"] as const) {
  test(`docs/operating.md has every event that an ${process} logs`, () => {
    const rows = tableBelow(read("docs/operating.md"), "Log").filter(([of]) => of === process);
    const events = rows.flatMap(([, cell = ""]) => [...cell.matchAll(/`([^`]+)`/g)].map((m) => m[1] ?? ""));
    assert.deepEqual(events.sort(), eventsOf(process));
  });
}

test("the example of docs/resources.md holds together", () => {
  const [, example = ""] = read("docs/resources.md").split("## An example\n");
  const text = example.replaceAll(/^ {4}/gm, "");
  const { jwks } = createTokenIssuer("https://kubernetes.default.svc.cluster.local");
  const declared = readDocuments([
    { path: "mesh.yaml", text },
    { path: "east.json", text: JSON.stringify(jwks) },
  ]);
  assert.deepEqual([...declared.tenants.keys()], ["payments"]);
  assert.deepEqual(declared.warnings, []);
});

/** What a page leaves out of what it shows. */
const hubs: Readonly<Record<string, object>> = {
  TrustRoot: {},
  MeshTenant: { trustDomain: "shop.example", root: "main" },
  MeshCluster: { tokens: { issuer: "https://east.example", keys: { jwksFile: "east.json" } }, servingNames: ["a.svc"] },
};

function toWhole({ kind, metadata, spec }: Manifest): object {
  const name = kind === "MeshCluster" ? "east" : "shop";
  return {
    apiVersion: "espalier.dev/v1alpha1",
    kind,
    metadata: { name, ...metadata },
    spec: { ...hubs[kind], ...spec },
  };
}

for (const page of ["docs/cert-manager.md", "docs/kubernetes-csr.md"])
  test(`the documents of ${page} hold together, each lot of them`, () => {
    const beside = [{ kind: "MeshCluster" }, { kind: "TrustRoot", metadata: { name: "main" } }];
    const { jwks } = createTokenIssuer("https://east.example");
    const lots = manifestsOf(page).map((all) => all.filter(({ kind }) => Object.hasOwn(hubs, kind)));
    for (const lot of lots.filter(({ length }) => length > 0)) {
      const others = beside.filter(({ kind }) => kind !== "MeshCluster" || !lot.some((one) => one.kind === kind));
      const text = [...lot, ...others].map((one) => JSON.stringify(toWhole(one))).join("\n---\n");
      const files = [
        { path: "mesh.yaml", text },
        { path: "east.json", text: JSON.stringify(jwks) },
      ];
      assert.deepEqual([...readDocuments(files).tenants.keys()], ["shop"]);
    }
    const issuers = manifestsOf(page)
      .flat()
      .filter(({ kind }) => Object.hasOwn(issuerSchemas, kind));
    for (const { metadata, ...one } of issuers) {
      const schema = issuerSchemas[one.kind === "TenantIssuer" ? "TenantIssuer" : "TenantClusterIssuer"];
      schema.parse({ ...one, metadata: { name: metadata?.name } });
    }
    assert.ok(lots.flat().length > 0 && issuers.length > 0);
  });

test("every file that the documents name is there", () => {
  const missing = documents.flatMap((document) => {
    const text = read(document);
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map((m) => normalize(join(dirname(document), m[1] ?? "")));
    const named = [...text.matchAll(/`((?:src|test|proto|docs|charts)\/[^`*\s]+)`/g)].map((m) => m[1] ?? "");
    return [...links, ...named].filter((path) => !existsSync(root + path)).map((path) => `${document}: ${path}`);
  });
  assert.deepEqual(
    missing.filter((line) => !line.endsWith("docs/performance.md")),
    [],
  );
});

test("every script that the documents name is one of package.json", () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));
  const named = [...documents.map(read), read(".ci/run")].flatMap((text) =>
    [...text.matchAll(/npm run ([a-z][a-z0-9:-]*)/g)].map((m) => m[1] ?? ""),
  );
  assert.deepEqual(
    [...new Set(named)].filter((name) => name !== "x" && !Object.hasOwn(scripts, name)),
    [],
  );
});
