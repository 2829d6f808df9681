/** Measures the rotations that are under way and takes the steps that are due, one durable write each. */
import { type Act, hubLog } from "../ledger/ledger.ts";
import { type AuthorityRecord, isUnder, type RotationMark, type State } from "../ledger/state.ts";
import type { Resources } from "../resources/declared.ts";
import type { BlindDoors } from "./blind-doors.ts";
import { lookAtOwn } from "./own-doors.ts";
import {
  againstOf,
  type ClusterSeen,
  decideRotation,
  type RootName,
  type Rotation,
  type RotationStep,
  rotationOf,
  subjectOf,
} from "./rotation.ts";

export interface RotationParts {
  readonly state: State;
  readonly doors: BlindDoors;
  readonly now: () => Date;
  /** How long a gate stays shut after the last that it waited for has ended. */
  readonly settleMs: number;
}

/** Of every root that is being rotated. */
export async function lookAtRotations(declared: Resources, parts: RotationParts): Promise<readonly Rotation[]> {
  const records = await parts.state.authorities();
  const rotations: Rotation[] = [];
  for (const name of rotating(records)) {
    const rotation = await lookAtRotation(name, declared, records, parts);
    if (rotation !== undefined) rotations.push(rotation);
  }
  return rotations;
}

/** @throws Refusal `unavailable`; `not-ready` where another replica was first, or a certificate stands against it by now. */
export async function takeStep(
  { kind, root, turn }: RotationStep,
  { state }: Pick<RotationParts, "state">,
): Promise<void> {
  const act: Act = {
    log: hubLog,
    verb: `${kind}-root`,
    operator: "espalier",
    reason: kind === "activate" ? "everybody trusts it" : "nothing is under it any more",
    details: { id: root.id, owner: root.owner },
  };
  // If we stop before this, the next look finds the same due. After activation the old root is trusted as before and no intent
  // lacks the new one; after retirement the old one leaves the bundles, and nothing under it can be intended.
  await state.turnRoot(turn, act);
}

function rotating(records: readonly AuthorityRecord[]): readonly RootName[] {
  const names = records.flatMap(({ kind, owner }) => (isUnder(kind) ? [] : [{ kind, owner }]));
  const once = new Map(names.map((name) => [`${name.kind}/${name.owner}`, name]));
  return [...once.values()].filter(({ kind, owner }) => rotationOf(kind, owner, records) !== undefined);
}

async function lookAtRotation(
  { kind, owner }: RootName,
  declared: Resources,
  records: readonly AuthorityRecord[],
  { state, doors, now, settleMs }: RotationParts,
): Promise<Rotation | undefined> {
  const generations = rotationOf(kind, owner, records);
  if (generations === undefined) return undefined;
  const at = now();
  const against = againstOf(generations, settleMs, at);
  const isPrepared = generations.phase === "prepared";
  const [leaves, marks, clusters, blind] = await Promise.all([
    against === undefined ? [] : state.leavesAgainst(against),
    state.rotationMarks(),
    isPrepared ? seeClusters(toClusters({ kind, owner }, declared), generations.coming.id, state) : [],
    kind === "hub"
      ? lookAtOwn(generations, new Date(+at - settleMs), state)
      : isPrepared
        ? doors.look(kind, owner, new Date(+at - settleMs))
        : [],
  ]);
  const said = marks.filter(({ root }) => root === subjectOf(generations).id);
  return decideRotation(
    {
      kind,
      owner,
      records,
      leaves,
      clusters,
      doors: blind,
      settleMs,
      tenants: new Set(declared.tenants.keys()),
      declared: isDeclared({ kind, owner }, declared),
      held: said.some((mark) => mark.kind === "hold"),
      acknowledged: new Set(said.flatMap((mark: RotationMark) => (mark.kind === "acknowledged" ? [mark.name] : []))),
    },
    at,
  );
}

function isDeclared({ kind, owner }: RootName, { roots, clusters }: Resources): boolean {
  return kind === "hub" || (kind === "root" ? roots.has(owner) : clusters.has(owner));
}

/** The clusters that are told of this root: of a TrustRoot, those of its tenants' rules. */
function toClusters({ kind, owner }: RootName, { tenants, clusters }: Resources): readonly string[] {
  const all = [...clusters.keys()];
  if (kind === "hub") return all;
  if (kind === "serving") return all.filter((name) => name === owner);
  const rules = [...tenants.values()].filter(({ root }) => root === owner).flatMap((tenant) => tenant.rules);
  return all.filter((name) => rules.some((rule) => rule.clusters.includes(name) || rule.clusters.includes("*")));
}

async function seeClusters(names: readonly string[], root: string, state: State): Promise<readonly ClusterSeen[]> {
  const [versions, acknowledgements] = await Promise.all([state.bundlesWith(root), state.acknowledgements()]);
  const holding = new Set(versions);
  return names.map((cluster) => ({
    cluster,
    agents: acknowledgements
      .filter((one) => one.cluster === cluster)
      .map(({ agent, bundles, inForceSince }) => ({
        agent,
        holds: bundles.some((version) => holding.has(version)),
        since: inForceSince,
      })),
  }));
}
