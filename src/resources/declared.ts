/** The declared state: all documents together, each checked, and checked against one another. */
import type { Kind, Resource } from "./kind.ts";
import type { MeshCluster } from "./mesh-cluster.ts";
import type { MeshTenant } from "./mesh-tenant.ts";
import type { Path, Position, Problem } from "./problem.ts";
import type { TrustRoot } from "./trust-root.ts";

/** What is declared, by name. */
export interface Resources {
  readonly roots: ReadonlyMap<string, TrustRoot>;
  readonly tenants: ReadonlyMap<string, MeshTenant>;
  readonly clusters: ReadonlyMap<string, MeshCluster>;
}

export interface Declared extends Resources {
  /** What may stand and may not be meant. */
  readonly warnings: readonly Problem[];
  /** SHA-256 of what it was read from, hex: equal when nothing was changed. */
  readonly digest: string;
}

/** Where a field of a resource stands; `undefined` for one that is not among the documents. */
export type Locate = (kind: Kind, name: string, path: Path) => Position | undefined;

/** A resource and where it was found. */
export interface Placed {
  readonly resource: Resource;
  locate(path: Path): Position;
}

/** Puts resources together; of two with one kind and name the later is reported and left out. */
export function collect(placed: readonly Placed[]): {
  resources: Resources;
  locate: Locate;
  problems: readonly Problem[];
} {
  const roots = new Map<string, TrustRoot>();
  const tenants = new Map<string, MeshTenant>();
  const clusters = new Map<string, MeshCluster>();
  const places = new Map<string, Placed>();
  const problems: Problem[] = [];
  for (const one of placed) {
    const { resource } = one;
    const { name } = resource.value;
    const before = places.get(`${resource.kind}/${name}`);
    if (before !== undefined) {
      const path = ["metadata", "name"];
      const { file, line } = before.locate(path);
      problems.push({
        ...one.locate(path),
        path,
        rule: `${resource.kind} "${name}" is also declared at ${file}:${line}`,
      });
      continue;
    }
    places.set(`${resource.kind}/${name}`, one);
    if (resource.kind === "TrustRoot") roots.set(name, resource.value);
    else if (resource.kind === "MeshTenant") tenants.set(name, resource.value);
    else clusters.set(name, resource.value);
  }
  const locate: Locate = (kind, name, path) => places.get(`${kind}/${name}`)?.locate(path);
  return { resources: { roots, tenants, clusters }, locate, problems };
}
