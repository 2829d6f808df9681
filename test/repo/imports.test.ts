import assert from "node:assert/strict";
import { dirname, posix } from "node:path";
import { test } from "node:test";
import { fileLinesMax, type Layer, layers } from "./layers.ts";
import { read, sources } from "./sources.ts";

interface Import {
  readonly from: string;
  readonly what: string;
  readonly typeOnly: boolean;
}

const statement = /^\s*(?:import|export)\s(type\s)?(?:[^"';]*?\sfrom\s)?\s*"([^"]+)"/gm;
const dynamic = /\bimport\("([^"]+)"\)/g;

function importsOf(path: string): readonly Import[] {
  const text = read(path);
  return [
    ...[...text.matchAll(statement)].map((m) => ({ from: path, what: m[2] ?? "", typeOnly: m[1] !== undefined })),
    ...[...text.matchAll(dynamic)].map((m) => ({ from: path, what: m[1] ?? "", typeOnly: false })),
  ];
}

/** `src/pki/der.ts` is of `pki`, `src/errors.ts` of `errors`. */
function layerOf(path: string): string {
  return path.split("/")[1]?.replace(/\.ts$/, "") ?? "";
}

function find(name: string): Layer {
  const found = Object.hasOwn(layers, name) ? layers[name] : undefined;
  assert.ok(found, `src/${name} is not in test/repo/layers.ts: say what it may import`);
  return found;
}

function wrong({ from, what, typeOnly }: Import): string | undefined {
  const name = layerOf(from);
  const layer = find(name);
  if (what.startsWith("node:")) {
    return layer.node?.includes(what.slice("node:".length)) ? undefined : `${from}: ${name} may not use ${what}`;
  }
  if (!what.startsWith(".")) return layer.packages?.includes(what) ? undefined : `${from}: ${what} is not ${name}'s`;
  const path = posix.join(dirname(from), what);
  if (layer.outside?.includes(path)) return undefined;
  const target = layerOf(path);
  if (target === name || layer.imports.includes(target)) return undefined;
  if (typeOnly && layer.types?.includes(target)) return undefined;
  return `${from}: ${name} may not import ${target}${layer.types?.includes(target) ? " but for its types" : ""}`;
}

const files = sources("src");

test("every import is one that the table allows", () => {
  assert.deepEqual(
    files
      .flatMap(importsOf)
      .map(wrong)
      .filter((text) => text !== undefined),
    [],
  );
});

test("the table allows nothing that nobody uses", () => {
  const used = new Set(
    files.flatMap(importsOf).map(({ from, what }) => {
      const target = what.startsWith(".") ? layerOf(posix.join(dirname(from), what)) : what.replace(/^node:/, "");
      return `${layerOf(from)} ${target}`;
    }),
  );
  // A folder that is planned and not there yet has its row already.
  const planned = (name: string): boolean =>
    Object.hasOwn(layers, name) && !files.some((path) => layerOf(path) === name);
  const idle = Object.entries(layers).flatMap(([name, { imports, types = [], packages = [] }]) =>
    [...imports, ...types, ...packages]
      .filter((what) => !planned(name) && !planned(what))
      .map((what) => `${name} ${what}`)
      .filter((pair) => !used.has(pair)),
  );
  assert.deepEqual(idle, []);
});

test("imports point inward: the folders stand in an order, and each knows only what stands before it", () => {
  const before = new Set<string>();
  for (const [name, { imports }] of Object.entries(layers)) {
    for (const target of imports) assert.ok(before.has(target), `${name} imports ${target}, which stands after it`);
    before.add(name);
  }
});

test("what is installed has its dependencies in it: it brings none, and those that it is built with are locked", () => {
  const { dependencies, devDependencies }: Readonly<Record<string, object>> = JSON.parse(read("package.json"));
  assert.equal(dependencies, undefined);
  const owned = Object.values(layers).flatMap(({ packages = [] }) => packages);
  assert.deepEqual(
    owned.filter((name) => !Object.hasOwn(devDependencies ?? {}, name)),
    [],
  );
});

test("versions are exact", () => {
  const { devDependencies }: Record<string, Record<string, string>> = JSON.parse(read("package.json"));
  for (const [name, version] of Object.entries(devDependencies ?? {})) {
    assert.match(version, /^\d+\.\d+\.\d+(-beta\.\d+)?$/, name);
  }
  assert.doesNotMatch(read("package-lock.json"), /"resolved"/);
});

test("only main.ts reads arguments, environment and streams", () => {
  const readers = files.filter((path) =>
    /\bprocess\.(env|argv|stdin|stdout|stderr|on\b|exit\b)|"node:process"/.test(read(path)),
  );
  // It is main to a process of its own, and is given what it needs by message.
  assert.deepEqual(readers, ["src/custody/pkcs11-process.ts", "src/main.ts"]);
});

test(`no file is longer than ${fileLinesMax} lines`, () => {
  const long = files.filter((path) => read(path).split("\n").length > fileLinesMax + 1);
  assert.deepEqual(long, []);
});
