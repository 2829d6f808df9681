import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { isRecord } from "../../src/kube/json.ts";
import { crdCharts, crdFiles } from "./crds.ts";
import { read, root } from "./sources.ts";

const files = crdFiles();

test("the resource definitions of the charts are those of src/resources", () => {
  const there = Object.keys(crdCharts).flatMap((directory) =>
    readdirSync(root + directory).map((name) => [`${directory}/${name}`, read(`${directory}/${name}`)] as const),
  );
  assert.deepEqual(new Map(there), files, "run `npm run crds` and commit what it writes");
});

/** Every part of a schema, with its path. */
function* nodesOf(
  node: unknown,
  path: string,
): Generator<readonly [path: string, node: Readonly<Record<string, unknown>>]> {
  if (!isRecord(node)) return;
  yield [path, node];
  yield* nodesOf(node["items"], `${path}[]`);
  const { properties } = node;
  if (isRecord(properties))
    for (const [name, child] of Object.entries(properties)) yield* nodesOf(child, `${path}.${name}`);
}

for (const [path, text] of files) {
  test(`${path} is a structural schema`, () => {
    const schema: unknown = parse(text).spec.versions[0].schema.openAPIV3Schema;
    for (const [at, node] of nodesOf(schema, "")) {
      for (const word of ["anyOf", "oneOf", "allOf", "not", "$ref", "additionalProperties", "const", "absent"])
        assert.equal(Object.hasOwn(node, word), false, `${at} has ${word}`);
      const { type, items, maxItems } = node;
      assert.ok(typeof type === "string", `${at} has no type`);
      // What has no end costs a rule without end, and the API server refuses the whole definition.
      if (items !== undefined) assert.equal(typeof maxItems, "number", `${at} has no most`);
    }
  });
}

test("a chart's template language finds nothing in them", () => {
  for (const [path, text] of files) assert.doesNotMatch(text, /\{\{/, path);
});

test("jwksFile is for files alone", () => {
  for (const [, text] of files) assert.doesNotMatch(text, /jwksFile:/);
});
