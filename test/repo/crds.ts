/** Makes the templates of both charts of resource definitions from the schemas in src/resources. `npm run crds` writes them; a test compares them with what is checked in. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { type DefinedKind, namings, toCrd } from "../../src/resources/crd.ts";
import type { IssuerKind } from "../../src/resources/issuers.ts";
import type { Kind } from "../../src/resources/kind.ts";
import { root } from "./sources.ts";

export const kinds = ["TrustRoot", "MeshTenant", "MeshCluster"] as const satisfies readonly Kind[];
const issuerKinds = ["TenantIssuer", "TenantClusterIssuer"] as const satisfies readonly IssuerKind[];

/** What is installed beside the hub, and in agents' clusters. */
export const crdCharts: Readonly<Record<string, readonly DefinedKind[]>> = {
  "charts/espalier-crds/templates": kinds,
  "charts/espalier-agent-crds/templates": issuerKinds,
};

/** Path from the root of the repository, and text, of each file; by default of all charts. */
export function crdFiles(charts = Object.keys(crdCharts)): ReadonlyMap<string, string> {
  return new Map(
    charts.flatMap((directory) =>
      (crdCharts[directory] ?? []).map((kind) => [`${directory}/${namings[kind].plural}.yaml`, toText(kind)] as const),
    ),
  );
}

function toText(kind: DefinedKind): string {
  return `# Made by npm run crds from src/resources.\n${stringify(toCrd(kind), { lineWidth: 120, aliasDuplicateObjects: false })}`;
}

if (import.meta.main) {
  for (const directory of Object.keys(crdCharts)) {
    rmSync(root + directory, { recursive: true, force: true });
    mkdirSync(root + directory, { recursive: true });
  }
  for (const [path, text] of crdFiles()) writeFileSync(root + path, text);
}
