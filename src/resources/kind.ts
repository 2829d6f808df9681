/** The kinds there are, and how any of them is read: from YAML or from the Kubernetes API alike. */
import type { z } from "zod";
import { apiVersion } from "./fields.ts";
import { toFlaws } from "./flaws.ts";
import { type Beside, type MeshCluster, meshClusterSchema, toMeshCluster } from "./mesh-cluster.ts";
import { type MeshTenant, meshTenantSchema, toMeshTenant } from "./mesh-tenant.ts";
import type { Flaw, Report } from "./problem.ts";
import { type TrustRoot, toTrustRoot, trustRootSchema } from "./trust-root.ts";

export type Kind = "TrustRoot" | "MeshTenant" | "MeshCluster";

export const schemas = {
  TrustRoot: trustRootSchema,
  MeshTenant: meshTenantSchema,
  MeshCluster: meshClusterSchema,
} as const satisfies Record<Kind, z.ZodType>;

export type Resource =
  | { readonly kind: "TrustRoot"; readonly value: TrustRoot }
  | { readonly kind: "MeshTenant"; readonly value: MeshTenant }
  | { readonly kind: "MeshCluster"; readonly value: MeshCluster };

export type Reading = { readonly resource: Resource } | { readonly flaws: readonly Flaw[] };

/** Reads one document. What only shows beside other documents is `checkDeclared`'s. */
export function readResource(input: unknown, beside: Beside): Reading {
  const kind = readKind(input);
  return typeof kind === "string" ? readers[kind](input, beside) : { flaws: [kind] };
}

const readers: Readonly<Record<Kind, (input: unknown, beside: Beside) => Reading>> = {
  TrustRoot: (input) =>
    parse(trustRootSchema, input, (document) => ({ kind: "TrustRoot", value: toTrustRoot(document) })),
  MeshTenant: (input) =>
    parse(meshTenantSchema, input, (document) => ({ kind: "MeshTenant", value: toMeshTenant(document) })),
  MeshCluster: (input, beside) =>
    parse(meshClusterSchema, input, (document, report) => ({
      kind: "MeshCluster",
      value: toMeshCluster(document, report, beside),
    })),
};

/** Said before anything else: of another kind's document, nothing the schema says would help. */
function readKind(input: unknown): Kind | Flaw {
  if (typeof input !== "object" || input === null || Array.isArray(input))
    return { path: [], rule: "must be a map with apiVersion, kind, metadata and spec" };
  const version = "apiVersion" in input ? input.apiVersion : undefined;
  if (version !== apiVersion) return { path: ["apiVersion"], rule: `must be "${apiVersion}"${not(version)}` };
  const kind = "kind" in input ? input.kind : undefined;
  if (kind === "TrustRoot" || kind === "MeshTenant" || kind === "MeshCluster") return kind;
  return { path: ["kind"], rule: `must be ${Object.keys(schemas).join(", ")}${not(kind)}` };
}

function not(value: unknown): string {
  return typeof value === "string" ? `, not ${JSON.stringify(value.slice(0, 80))}` : "";
}

function parse<T>(schema: z.ZodType<T>, input: unknown, finish: (document: T, report: Report) => Resource): Reading {
  const parsed = schema.safeParse(input, { reportInput: true });
  if (!parsed.success) return { flaws: toFlaws(parsed.error.issues) };
  const flaws: Flaw[] = [];
  const resource = finish(parsed.data, (path, rule) => flaws.push({ path, rule }));
  return flaws.length > 0 ? { flaws } : { resource };
}
