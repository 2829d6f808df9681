/** CustomResourceDefinitions, from the same schemas that the issuer reads documents with: `npm run crds` writes them to the charts. */
import * as z from "zod";
import { apiVersion } from "./fields.ts";
import { type IssuerKind, issuerSchemas } from "./issuers.ts";
import { type Kind, schemas } from "./kind.ts";
import { type Keywords, keywords } from "./rule.ts";

const [group = "", version = ""] = apiVersion.split("/");

interface Naming {
  readonly plural: string;
  readonly shortName: string;
  /** Default: in no namespace. */
  readonly namespaced?: true;
  /** The types of its conditions. */
  readonly conditions: readonly ("Accepted" | "Ready")[];
  /** What `kubectl get` shows between name and conditions: heading and path. */
  readonly columns: readonly (readonly [name: string, type: "string" | "boolean", jsonPath: string])[];
}

/** The hub's kinds, and those of agents' clusters. */
export type DefinedKind = Kind | IssuerKind;

const judged = ["Accepted", "Ready"] as const;

export const namings: Readonly<Record<DefinedKind, Naming>> = {
  TrustRoot: {
    plural: "trustroots",
    shortName: "troot",
    conditions: judged,
    columns: [["Algorithm", "string", ".spec.algorithm"]],
  },
  MeshTenant: {
    plural: "meshtenants",
    shortName: "mtenant",
    conditions: judged,
    columns: [
      ["Trust Domain", "string", ".spec.trustDomain"],
      ["Root", "string", ".spec.root"],
      ["Suspended", "boolean", ".spec.suspended"],
    ],
  },
  MeshCluster: {
    plural: "meshclusters",
    shortName: "mcluster",
    conditions: judged,
    columns: [
      ["Token Issuer", "string", ".spec.tokens.issuer"],
      ["Suspended", "boolean", ".spec.suspended"],
    ],
  },
  TenantIssuer: {
    plural: "tenantissuers",
    shortName: "tissuer",
    namespaced: true,
    conditions: ["Ready"],
    columns: [["Tenant", "string", ".spec.tenant"]],
  },
  TenantClusterIssuer: {
    plural: "tenantclusterissuers",
    shortName: "tcissuer",
    conditions: ["Ready"],
    columns: [["Tenant", "string", ".spec.tenant"]],
  },
};

/** Where an API server has the objects of a kind: as src/kube/ names it. */
export function toApiResource(kind: Kind) {
  return { group, version, plural: namings[kind].plural, kind, namespaced: false } as const;
}

export function toCrd(kind: DefinedKind): Readonly<Record<string, unknown>> {
  const { plural, shortName, columns, conditions, namespaced } = namings[kind];
  const names = {
    kind,
    listKind: `${kind}List`,
    plural,
    singular: kind.toLowerCase(),
    shortNames: [shortName],
    categories: ["espalier"],
  };
  const served = {
    name: version,
    served: true,
    storage: true,
    subresources: { status: {} },
    additionalPrinterColumns: [
      ...columns.map(([name, type, jsonPath]) => ({ name, type, jsonPath })),
      ...conditions.map((type) => ({ name: type, type: "string", jsonPath: conditionPath(type, "status") })),
      { name: "Reason", type: "string", jsonPath: conditionPath("Ready", "reason") },
      { name: "Message", type: "string", jsonPath: conditionPath("Ready", "message"), priority: 1 },
      { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
    ],
    schema: { openAPIV3Schema: toDocumentSchema(kind) },
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${plural}.${group}`,
      // Uninstalling a chart must not delete every tenant.
      annotations: { "helm.sh/resource-policy": "keep" },
    },
    spec: { group, names, scope: namespaced ? "Namespaced" : "Cluster", versions: [served] },
  };
}

function conditionPath(type: string, field: "status" | "reason" | "message"): string {
  return `.status.conditions[?(@.type=="${type}")].${field}`;
}

/** What zod says of a value, as far as a structural schema has it; and the keywords that rule.ts adds. */
interface Node extends Keywords {
  readonly description?: string;
  readonly default?: unknown;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly additionalProperties?: unknown;
}

const allSchemas = { ...schemas, ...issuerSchemas };

function toDocumentSchema(kind: DefinedKind): object {
  const { description, required = [], properties = {} } = toNode(allSchemas[kind]);
  const { apiVersion, kind: kindNode, metadata, spec } = properties;
  const name = metadata?.properties?.["name"];
  return {
    type: "object",
    ...(description === undefined ? {} : { description }),
    required: required.filter((key) => key === "spec"),
    properties: {
      // What the API server itself judges of these is not said again.
      apiVersion: toText(apiVersion),
      kind: toText(kindNode),
      metadata: { type: "object", properties: { name: { ...name } } },
      spec: toStructural({ ...spec }),
      status,
    },
  };
}

function toNode(schema: z.ZodType): Node {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what it has of JSON Schema is what ours use
  return z.toJSONSchema(schema, {
    target: "openapi-3.0",
    io: "input",
    override: ({ zodSchema, jsonSchema }) => Object.assign(jsonSchema, keywords.get(zodSchema)),
  }) as Node;
}

function toText({ description }: Node = {}): object {
  return { type: "string", description };
}

/** Closed already: an API server prunes what a structural schema does not name, or refuses it where the client asks for that. */
function toStructural({ additionalProperties, properties, items, default: byDefault, ...rest }: Node): Node {
  const open = isOpen(additionalProperties);
  const fields = Object.entries(properties ?? {}).filter(([, field]) => field.absent !== true);
  const kept: Node = {
    ...rest,
    ...(open ? { "x-kubernetes-preserve-unknown-fields": true } : {}),
    ...(items === undefined ? {} : { items: toStructural(items) }),
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(fields.map(([name, field]) => [name, toStructural(field)])) }),
  };
  return byDefault === undefined ? kept : { ...kept, default: toDefault(byDefault, kept) };
}

function isOpen(additionalProperties: unknown): boolean {
  return typeof additionalProperties === "object" && additionalProperties !== null;
}

/** A default is judged by the rules as it is, without the defaults of what is in it: they are written into it. */
function toDefault(byDefault: unknown, { properties }: Node): unknown {
  if (properties === undefined) return byDefault;
  const fields = Object.entries(properties).filter(([, field]) => field.default !== undefined);
  return Object.fromEntries(fields.map(([name, field]) => [name, field.default]));
}

const status = {
  type: "object",
  description: "What Espalier reports.",
  properties: {
    observedGeneration: {
      type: "integer",
      format: "int64",
      description: "The metadata.generation that was judged last.",
    },
    conditions: {
      type: "array",
      maxItems: 16,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["type"],
      description: "Accepted: it is in force as it stands here. Ready: certificates can be had.",
      items: {
        type: "object",
        required: ["type", "status", "reason", "message", "lastTransitionTime"],
        properties: {
          type: { type: "string", maxLength: 316 },
          status: { type: "string", enum: ["True", "False", "Unknown"] },
          reason: { type: "string", minLength: 1, maxLength: 1024, description: "One word for machines." },
          message: { type: "string", maxLength: 32_768, description: "What to do." },
          observedGeneration: { type: "integer", format: "int64", minimum: 0 },
          lastTransitionTime: { type: "string", format: "date-time" },
        },
      },
    },
  },
};
