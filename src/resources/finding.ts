/** A rule broken in one resource, and where that is in the documents. */
import type { PolicyProblem } from "../policy/overlap.ts";
import type { Locate, Resources } from "./declared.ts";
import type { Kind } from "./kind.ts";
import type { Flaw, Problem } from "./problem.ts";

export interface Finding extends Flaw {
  readonly kind: Kind;
  readonly name: string;
}

/** Where the rule of a policy problem stands in its tenant's document. */
export function toFinding({ tenants }: Resources, { tenant, rule, message }: PolicyProblem): Finding {
  const at = tenants.get(tenant)?.rules.findIndex(({ name }) => name === rule) ?? -1;
  return { kind: "MeshTenant", name: tenant, path: at < 0 ? ["spec"] : ["spec", "rules", at], rule: message };
}

/** Resources that came from no file are placed by their kind and name. */
export function toProblem({ kind, name, path, rule }: Finding, locate: Locate): Problem {
  const position = locate(kind, name, path) ?? { file: `${kind}/${name}`, line: 1, column: 1 };
  return { ...position, path, rule };
}
