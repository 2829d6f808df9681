/** Makes charts/espalier-crds/templates from the schemas in src/resources. `npm run crds` writes it; a test compares it with what is checked in. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { namings, toCrd } from "../../src/resources/crd.ts";
import type { Kind } from "../../src/resources/kind.ts";
import { root } from "./sources.ts";

export const crdDirectory = "charts/espalier-crds/templates";

export const kinds = ["TrustRoot", "MeshTenant", "MeshCluster"] as const satisfies readonly Kind[];

/** Path from the root of the repository, and text, of each file. */
export function crdFiles(): ReadonlyMap<string, string> {
  return new Map(kinds.map((kind) => [`${crdDirectory}/${namings[kind].plural}.yaml`, toText(kind)]));
}

function toText(kind: Kind): string {
  return `# Made by npm run crds from src/resources.\n${stringify(toCrd(kind), { lineWidth: 120, aliasDuplicateObjects: false })}`;
}

if (import.meta.main) {
  rmSync(root + crdDirectory, { recursive: true, force: true });
  mkdirSync(root + crdDirectory, { recursive: true });
  for (const [path, text] of crdFiles()) writeFileSync(root + path, text);
}
