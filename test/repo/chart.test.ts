import assert from "node:assert/strict";
import { test } from "node:test";
import { isMap, isScalar, parseDocument, type YAMLMap } from "yaml";
import { z } from "zod";
import { rightsOf } from "../../src/agent/rights.ts";
import { agentSchema, issuerSchema } from "../../src/ops/config.ts";
import { type Node, rowsOf } from "./schema-rows.ts";
import { read, tableBelow } from "./sources.ts";

interface Chart {
  readonly path: string;
  /** Of docs/kubernetes.md. */
  readonly heading: string;
  /** Of the process whose keys its values are. */
  readonly schema: z.ZodType;
  /** Where a pod in a cluster begins with something else than a process anywhere. */
  readonly otherDefaults: readonly string[];
  /** What is called like a key and is something else. */
  readonly otherThings: readonly string[];
}

const charts: readonly Chart[] = [
  {
    path: "charts/espalier-agent",
    heading: "Values",
    schema: agentSchema,
    otherDefaults: ["`tokens.issuer`", "`kubernetes.ztunnelAccounts`"],
    otherThings: ["`kubernetes`"],
  },
  {
    path: "charts/espalier-issuer",
    heading: "The hub's values",
    schema: issuerSchema,
    // A group that is taken as it stands.
    otherDefaults: ["`custody`"],
    // CPU and memory; a directory of documents has another name here.
    otherThings: ["`resources`"],
  },
];

interface Value {
  readonly words: string;
  readonly value: unknown;
}

/** Every key of values.yaml, the comment above it, and what it is. */
function valuesOf(schema: Node, map: YAMLMap, prefix = "", first = ""): ReadonlyMap<string, Value> {
  const found = new Map<string, Value>();
  map.items.forEach(({ key, value }, at) => {
    assert.ok(isScalar<string>(key));
    const words = (key.commentBefore ?? (at === 0 ? first : "")).split("\n").at(-1)?.trim() ?? "";
    const path = prefix + key.value;
    // A group that the schema knows keys of; other mappings are the user's own.
    const isGroup = isMap(value) && rowsOf(schema, "").some(([row]) => row.startsWith(`\`${path}.`));
    found.set(`\`${path}\``, { words, value: isGroup ? undefined : toPlain(value) });
    if (isGroup)
      for (const entry of valuesOf(schema, value, `${path}.`, value.commentBefore ?? "")) found.set(...entry);
  });
  return found;
}

function toPlain(node: unknown): unknown {
  return isScalar(node) ? node.value : isMap(node) || hasItems(node) ? node.toJSON() : undefined;
}

function hasItems(node: unknown): node is { toJSON(): unknown } {
  return typeof node === "object" && node !== null && "items" in node && "toJSON" in node;
}

const unescape = (text: string): string => text.replaceAll(/\\([<*|])/g, "$1");

for (const { path, heading, schema: config, otherDefaults, otherThings } of charts) {
  const schema: Node = JSON.parse(read(`${path}/values.schema.json`));
  const rows = new Map(rowsOf(schema, "").map(([key, byDefault, words]) => [key, { byDefault, words }]));
  const document = parseDocument(read(`${path}/values.yaml`));
  assert.ok(isMap(document.contents));
  const values = valuesOf(schema, document.contents, "", document.contents.commentBefore ?? "");

  test(`${path}: values.yaml says of every value what values.schema.json says, and has its default`, () => {
    // What a list's items have is in no values.yaml.
    assert.deepEqual(
      [...values.keys()],
      [...rows.keys()].filter((key) => !key.includes("[]")),
    );
    for (const [key, { words, value }] of values) {
      const { byDefault = "", words: said = "" } = rows.get(key) ?? {};
      assert.notEqual(words, "", key);
      assert.equal(words, unescape(said), key);
      if (byDefault !== "required" && value !== undefined) assert.equal(`\`${JSON.stringify(value)}\``, byDefault, key);
    }
  });

  test(`${path}: no value beside those of the schema is taken`, () => {
    const open = (node: Node, at: string): readonly string[] => [
      ...(node.properties !== undefined && node.additionalProperties !== false ? [at] : []),
      ...Object.entries(node.properties ?? {}).flatMap(([key, child]) => open(child, `${at}.${key}`)),
    ];
    assert.deepEqual(open(schema, ""), []);
  });

  test(`${path}: a value that is a key of the process's file is described as that, with its default`, () => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what it has of JSON Schema is what ours use
    const keys = new Map(rowsOf(z.toJSONSchema(config, { io: "input" }) as Node, "").map((row) => [row[0], row]));
    const shared = [...rows].filter(([key]) => keys.has(key) && !otherThings.includes(key));
    assert.ok(shared.length > 12);
    for (const [key, { byDefault, words }] of shared) {
      const [, ownDefault, ownWords] = keys.get(key) ?? [];
      assert.equal(words, ownWords, key);
      if (otherDefaults.includes(key)) continue;
      // Absent is empty in values, and a group is as its keys are.
      const own = keys.has(`${key.slice(0, -1)}.issuer\``) ? "required" : byDefault.replace(/^`""`$/, "");
      assert.equal(own, ownDefault, key);
    }
  });

  test(`docs/kubernetes.md has every value of ${path}`, () => {
    const table = [...rows].map(([key, { byDefault, words }]) => [key, byDefault, words]);
    assert.deepEqual(tableBelow(read("docs/kubernetes.md"), heading), table);
  });
}

test("docs/kubernetes.md has every right of the issuer, as its chart gives them", () => {
  const text = read("charts/espalier-issuer/templates/rbac.yaml");
  const rights = [...text.matchAll(/resources: \[([^\]]+)\]\n +verbs: \[([^\]]+)\]/g)].map(([, resources, verbs]) => [
    `\`${resources}\``,
    verbs,
  ]);
  const told = tableBelow(read("docs/kubernetes.md"), "The hub's documents as objects");
  assert.deepEqual(
    told.map(([what, verbs]) => [what, verbs]),
    rights,
  );
});

const agentRights = "charts/espalier-agent/templates/rbac.yaml";

const eitherDoor = "if or .Values.kubernetes.certManager .Values.kubernetes.signingRequests";

/** Rules that only a value brings, and what must be set for each that names these resources. */
const conditional: readonly (readonly [resources: string, ...conditions: readonly string[]])[] = [
  ["tokenreviews", 'if eq .Values.kubernetes.tokens "review"'],
  ["clustertrustbundles", "with .Values.kubernetes.clusterTrustBundle"],
  ["signers", "with .Values.kubernetes.clusterTrustBundle", "if .Values.kubernetes.signingRequests"],
  ["certificaterequests", "if .Values.kubernetes.certManager"],
  ["validatingwebhookconfigurations, mutatingwebhookconfigurations", "if .Values.kubernetes.certManager"],
  ["certificaterequests/status", "if .Values.kubernetes.certManager"],
  ["certificatesigningrequests", "if .Values.kubernetes.signingRequests"],
  ["certificatesigningrequests/status", "if .Values.kubernetes.signingRequests"],
  ["tenantissuers, tenantclusterissuers", eitherDoor],
  ["tenantissuers/status, tenantclusterissuers/status", eitherDoor],
];

test("a right that only some need is given to them alone", () => {
  const text = read(agentRights);
  for (const [resources, ...conditions] of conditional) {
    const parts = text.split(`resources: [${resources}]`);
    const found = parts.slice(1).map((_, at) => openCondition(parts.slice(0, at + 1).join("")));
    assert.deepEqual(found, conditions, resources);
  }
});

/** The innermost condition that is open where the text ends. */
function openCondition(text: string): string | undefined {
  const open: string[] = [];
  for (const [, word = ""] of text.matchAll(/\{\{-? ((?:if|with|range|end)[^}]*?) -?\}\}/g))
    if (word.startsWith("end")) open.pop();
    else open.push(word);
  return open.at(-1);
}

test("docs/kubernetes.md has every right, as the chart gives them", () => {
  const text = read(agentRights);
  const given = [...text.matchAll(/resources: \[([^\]]+)\]\n(?: +resourceNames: [^\n]+\n)? +verbs: \[([^\]]+)\]/g)];
  const rights = given.map(([, resources = "", verbs = ""]) => [`\`${resources}\``, verbs]);
  const urls = [...text.matchAll(/nonResourceURLs: \[([^\]]+)\]\n +verbs: \[([^\]]+)\]/g)];
  rights.splice(4, 0, ...urls.map(([, url = "", verbs = ""]) => [`\`${url}\``, verbs]));
  const told = tableBelow(read("docs/kubernetes.md"), "What the agent may do").map(([what = "", , verbs = ""]) => [
    what,
    verbs,
  ]);
  assert.deepEqual(told, rights);
});

test("the chart gives what the agent asks for, and `agent check` looks for the same", () => {
  const text = read(agentRights);
  const given = [
    ...text.matchAll(
      /(?:resources|nonResourceURLs): \[([^\]]+)\]\n(?: +resourceNames: [^\n]+\n)? +verbs: \[([^\]]+)\]/g,
    ),
  ];
  const pairs = given.flatMap(([, things = "", verbs = ""]) =>
    things.split(", ").flatMap((thing) => verbs.split(", ").map((verb) => `${verb} ${thing}`)),
  );
  const kubernetes = agentSchema.shape.kubernetes.parse({
    namespace: "espalier-system",
    tokens: "review",
    clusterTrustBundle: "istio.io:istiod-ca:root-cert",
    certManager: true,
    signingRequests: true,
  });
  assert.ok(kubernetes);
  const asked = rightsOf(kubernetes).map(({ verb, resource, url }) => `${verb} ${url ?? resource}`);
  assert.deepEqual([...new Set(asked)].sort(), [...new Set(pairs)].sort());
});
