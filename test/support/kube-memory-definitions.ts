/** CustomResourceDefinitions of an API server in memory: what goes with one that goes, and what discovery says of those that are there. */
import { isRecord, type JsonRecord, listAt, recordAt, someTextAt } from "../../src/kube/json.ts";
import { Failure, type Store } from "./kube-memory-store.ts";

export interface Definitions {
  /** Collections that were never defined are served all the same. @throws Failure 404 for one whose definition has gone. */
  assertServed(collection: string): void;
  /** What `/apis` and `/apis/<group>/<version>` answer; undefined for any other path. */
  discover(path: string): JsonRecord | undefined;
}

const definitions = "apiextensions.k8s.io/v1/customresourcedefinitions";

export function openDefinitions(store: Store): Definitions {
  const withdrawn = new Set<string>();
  store.watch(definitions, store.version(), ({ before, after }) => {
    for (const collection of toCollections(after)) withdrawn.delete(collection);
    if (after !== undefined) return;
    for (const collection of toCollections(before)) {
      withdrawn.add(collection);
      for (const object of store.list(collection)) store.remove(collection, toKey(object));
    }
  });
  return {
    assertServed: (collection) => {
      // As the real one says it: not as a Status.
      if (withdrawn.has(collection)) throw new Failure(404, "", "404 page not found");
    },
    discover: (path) => {
      const [, root, group, version, ...rest] = path.split("/");
      if (root !== "apis" || rest.length > 0) return undefined;
      const served = store.list(definitions).flatMap(toCollections);
      if (group === undefined) return { kind: "APIGroupList", groups: toGroups(["apps/v1/deployments", ...served]) };
      if (version === undefined) return undefined;
      const prefix = `${group}/${version}/`;
      const names = served.filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length));
      return names.length === 0 ? undefined : { kind: "APIResourceList", resources: names.map((name) => ({ name })) };
    },
  };
}

/** `group/version/plural` of each of its versions. */
function toCollections(definition: JsonRecord | undefined): readonly string[] {
  if (definition === undefined) return [];
  const spec = recordAt(definition, "spec");
  const versions = listAt(spec, "versions").filter(isRecord);
  const plural = someTextAt(recordAt(spec, "names"), "plural");
  return versions.map((one) => `${someTextAt(spec, "group")}/${someTextAt(one, "name")}/${plural}`);
}

function toGroups(collections: readonly string[]): readonly JsonRecord[] {
  const byGroup = Map.groupBy(collections, (one) => one.split("/")[0] ?? "");
  return [...byGroup].map(([name, all]) => ({ name, versions: all.map((one) => ({ version: one.split("/")[1] })) }));
}

function toKey(object: JsonRecord): string {
  const { namespace, name } = recordAt(object, "metadata");
  return typeof namespace === "string" ? `${namespace}/${String(name)}` : String(name);
}
