/** What an object's status should say, as a pure function of what is in force. status.ts writes it. */
import type { Declared } from "../resources/declared.ts";
import type { Kind } from "../resources/kind.ts";
import { type ResourceObject, toPlace } from "../resources/objects.ts";
import { type Problem, toKeyPath } from "../resources/problem.ts";
import { clusterProblem, rootProblem, tenantProblem } from "./describe.ts";
import type { KubeObject } from "./kube-objects.ts";
import type { World } from "./world.ts";

export interface Standing {
  /** By place: as it was when it came into force. */
  readonly inForce: ReadonlyMap<string, Pick<ResourceObject, "uid" | "generation">>;
  /** Why what is there now is not in force; empty when it is. */
  readonly problems: readonly Problem[];
  /** Missing until there is one. */
  readonly world: World | undefined;
}

/** Without times: those are status.ts's. */
export interface Condition {
  readonly type: "Accepted" | "Ready";
  readonly status: "True" | "False";
  readonly reason: string;
  /** What to do, where something is to be done. */
  readonly message: string;
}

/** The definitions take more; nobody reads more. */
const messageMax = 4_096;

/** Undefined while it has not been judged yet: nothing is said that would not last. */
export function decideStatus(object: KubeObject, standing: Standing): readonly Condition[] | undefined {
  const accepted = decideAccepted(object, standing);
  return accepted && [accepted, decideReady(object, standing)];
}

function decideAccepted(object: KubeObject, { inForce, problems, world }: Standing): Condition | undefined {
  const no = (reason: string, message: string): Condition => {
    return { type: "Accepted", status: "False", reason, message: message.slice(0, messageMax) };
  };
  const before = inForce.get(toPlace(object));
  const kept =
    before?.uid === object.uid ? `generation ${before.generation} stays in force` : "nothing of it is in force";
  const own = problems.filter(({ file }) => file === toPlace(object));
  if (own.length > 0) return no("Refused", `${kept}; ${own.map(toText).join("; ")}`);
  const isCurrent = before?.uid === object.uid && before.generation === object.generation;
  if (!isCurrent && problems.length === 0) return undefined;
  if (!isCurrent) {
    const others = [...new Set(problems.map(({ file }) => file))].slice(0, 5).join(", ");
    return no("Waiting", `${kept}; all is taken together, and others are refused: ${others}`);
  }
  const users = usersOf(object, world?.declared);
  if (object.deleting && users.length > 0) {
    const message = `stays until no MeshTenant names it; these do: ${users.slice(0, 5).join(", ")}`;
    return { type: "Accepted", status: "True", reason: "InUse", message };
  }
  const warnings = (world?.declared.warnings ?? []).filter(({ file }) => file === toPlace(object));
  const message = ["in force as it stands here", ...warnings.map((warning) => `warning: ${toText(warning)}`)].join(
    "; ",
  );
  return { type: "Accepted", status: "True", reason: "InForce", message: message.slice(0, messageMax) };
}

function toText({ path, rule }: Problem): string {
  return path.length === 0 ? rule : `${toKeyPath(path)}: ${rule}`;
}

function decideReady(object: KubeObject, { world }: Standing): Condition {
  const { kind, name } = object;
  const no = (reason: string, message: string): Condition => ({ type: "Ready", status: "False", reason, message });
  const problem = world === undefined ? undefined : problemOf[kind](name, world);
  if (world === undefined || problem === undefined) return no("NotInForce", "see Accepted");
  if (problem !== "") return no("NotMade", problem);
  const suspendable = kind === "MeshTenant" ? "tenant" : "cluster";
  if (kind !== "TrustRoot" && world.isSuspended(suspendable, name)) {
    const verb = `espalier ${suspendable} resume ${name}`;
    return no(
      "Suspended",
      `nothing is issued: set spec.suspended to false, or, where an operator's verb did it, run \`${verb}\``,
    );
  }
  return { type: "Ready", status: "True", reason: "Ready", message: "certificates can be had" };
}

/** What stands in the way, empty when nothing does; undefined when it is not in force at all. */
const problemOf: Readonly<Record<Kind, (name: string, world: World) => string | undefined>> = {
  TrustRoot: (name, world) => {
    const root = world.declared.roots.get(name);
    return root && rootProblem(root, world);
  },
  MeshTenant: (name, world) => {
    const tenant = world.declared.tenants.get(name);
    return tenant && tenantProblem(tenant, world);
  },
  MeshCluster: (name, world) => {
    const cluster = world.declared.clusters.get(name);
    return cluster && (world.isSuspended("cluster", name) ? "" : clusterProblem(cluster, world));
  },
};

/** The MeshTenants in force that name it, and fall with it. */
export function usersOf(
  { kind, name }: Pick<ResourceObject, "kind" | "name">,
  declared: Declared | undefined,
): readonly string[] {
  const tenants = [...(declared?.tenants.values() ?? [])];
  const users = tenants.filter(({ root, rules }) => {
    if (kind === "TrustRoot") return root === name;
    return kind === "MeshCluster" && rules.some(({ clusters }) => clusters.includes(name));
  });
  return users.map((tenant) => tenant.name);
}
