/**
 * How far the rotation of a root is, what it waits for, and the step that is due. Pure: what is measured and a time make the
 * answer, so that it is the same for whoever asks, before a crash and after it.
 *
 *   prepared   the new root is in every bundle and signs nothing      gate: nobody is left who does not trust it
 *   active     it signs, the old one is retiring and still trusted    gate: nothing is left that needs the old one
 *
 * Nothing else is remembered: a rotation is the states of its roots.
 */
import type { Against, AuthorityChange, AuthorityRecord, LeafCount, RootTurn } from "../ledger/state.ts";

export type RootKind = "root" | "serving" | "hub";

export interface RootName {
  readonly kind: RootKind;
  /** The TrustRoot, the MeshCluster or the hub. */
  readonly owner: string;
}

/** A cluster that has to know the new root, and which of its agents say that they do. */
export interface ClusterSeen {
  readonly cluster: string;
  readonly agents: readonly { readonly agent: string; readonly holds: boolean; readonly since: Date }[];
}

/**
 * Certificates came through it whose holders need not have had our bundle: an operator has to say that they know the root. Of the
 * hub root, who has its certificate without our knowing what they trust or show by now: operators, and issuers.
 */
export interface BlindDoor {
  /** As an operator acknowledges it. */
  readonly name: string;
  /** What the operator says by that. */
  readonly says: string;
  /** When it is over by itself. */
  readonly until?: Date;
}

/** Everything that decides. */
export interface RotationSeen extends RootName {
  /** Whether there is such a document; a hub needs none. */
  readonly declared: boolean;
  /** The tenants that are declared: of others nothing is signed. */
  readonly tenants: ReadonlySet<string>;
  /** Of all owners. */
  readonly records: readonly AuthorityRecord[];
  /** What `againstOf` asks for. */
  readonly leaves: readonly LeafCount[];
  readonly clusters: readonly ClusterSeen[];
  readonly doors: readonly BlindDoor[];
  readonly held: boolean;
  /** By name. */
  readonly acknowledged: ReadonlySet<string>;
  readonly settleMs: number;
}

/** What a gate may wait for: what somebody can see to first, what ends by itself last. */
const waits = ["hold", "document", "authority", "door", "agent", "settle", "leaves"] as const;

/** One thing that a gate waits for. */
export interface Waiting {
  readonly kind: (typeof waits)[number];
  /** Those of an agent and of a door can be acknowledged. */
  readonly name: string;
  readonly says: string;
  /** When it is over by itself, at the latest. */
  readonly until?: Date;
}

export interface Gate {
  readonly open: boolean;
  /** By kind, in the order of `waits`. */
  readonly waitingFor: readonly Waiting[];
  /** Missing where something does not end by itself. */
  readonly opensAtLatest?: Date;
}

export interface RotationStep {
  readonly kind: "activate" | "retire";
  /** The root that takes the step. */
  readonly root: AuthorityRecord;
  readonly turn: RootTurn;
}

export interface Rotation {
  readonly phase: "prepared" | "active";
  /** The new root, or after a roll-back the one that stays; and the other. */
  readonly coming: AuthorityRecord;
  readonly leaving: AuthorityRecord;
  readonly gate: Gate;
  /** How many certificates stand against the next step. */
  readonly leaves: readonly LeafCount[];
  readonly step?: RotationStep;
}

type Generations = Pick<Rotation, "phase" | "coming" | "leaving">;

/** The two roots of a rotation; undefined where there is none. */
export function rotationOf(
  kind: RootKind,
  owner: string,
  records: readonly AuthorityRecord[],
): Generations | undefined {
  const own = (state: AuthorityRecord["state"]): AuthorityRecord | undefined =>
    records.find((r) => r.kind === kind && r.owner === owner && r.state === state);
  const [prepared, active, retiring] = [own("prepared"), own("active"), own("retiring")];
  if (active === undefined) return undefined;
  if (prepared !== undefined) return { phase: "prepared", coming: prepared, leaving: active };
  return retiring && { phase: "active", coming: active, leaving: retiring };
}

/** The root that what operators say about a rotation is kept with: the one that the next step is about. */
export function subjectOf({ phase, coming, leaving }: Generations): AuthorityRecord {
  return phase === "prepared" ? coming : leaving;
}

/**
 * The leaves that stand against the next step. They count for `settleMs` after their end: a clock that is ahead by less opens
 * nothing early. Of serving roots and of the hub's nobody learns from a certificate: whom the agents have told is what counts.
 */
export function againstOf(rotation: Generations, settleMs: number, now: Date): Against | undefined {
  const at = new Date(+now - settleMs);
  const { kind } = rotation.coming;
  if (rotation.phase === "active") return { kind: kind === "hub" ? "agents" : "under", root: rotation.leaving.id, at };
  return kind === "root" ? { kind: "without", root: rotation.coming.id, at } : undefined;
}

export function decideRotation(seen: RotationSeen, now: Date): Rotation | undefined {
  const rotation = rotationOf(seen.kind, seen.owner, seen.records);
  if (rotation === undefined) return undefined;
  const waitingFor = [
    ...said(seen),
    ...leavesLeft(rotation, seen),
    ...(rotation.phase === "prepared" ? untold(rotation, seen, now) : signing(rotation, seen)),
  ].toSorted((a, b) => waits.indexOf(a.kind) - waits.indexOf(b.kind));
  const ends = waitingFor.map(({ until }) => until);
  const last = ends.includes(undefined) ? undefined : Math.max(...ends.map(Number));
  const open = waitingFor.length === 0;
  return {
    ...rotation,
    leaves: seen.leaves,
    gate: { open, waitingFor, ...(open || last === undefined ? {} : { opensAtLatest: new Date(last) }) },
    ...(open ? { step: toStep(rotation, seen, now) } : {}),
  };
}

function said({ held, declared, kind, owner }: RotationSeen): readonly Waiting[] {
  const document = kind === "root" ? "TrustRoot" : "MeshCluster";
  return [
    ...(held ? [{ kind: "hold", name: "hold", says: "an operator holds it" } as const] : []),
    ...(declared ? [] : [{ kind: "document", name: owner, says: `no ${document} "${owner}" is declared` } as const]),
  ];
}

function leavesLeft({ phase }: Generations, { leaves, settleMs }: RotationSeen): readonly Waiting[] {
  return leaves.map(({ tenant, cluster, door, count, lastEnd }) => ({
    kind: "leaves",
    name: `${tenant}/${cluster}${door === "" ? "" : `/${door}`}`,
    says: `${count} ${count === 1 ? "certificate" : "certificates"} of ${tenant} in ${cluster} ${
      phase === "prepared" ? "without the new root" : "under the old root"
    }, the last until ${lastEnd.toISOString()}`,
    until: new Date(+lastEnd + settleMs),
  }));
}

/** Who has not been told of the new root, as far as anybody knows. */
function untold({ coming }: Generations, seen: RotationSeen, now: Date): readonly Waiting[] {
  const { clusters, acknowledged, settleMs } = seen;
  const settling = (name: string, what: string, since: Date): readonly Waiting[] => {
    const until = new Date(+since + settleMs);
    return until > now ? [{ kind: "settle", name, says: `${what} since ${since.toISOString()}`, until }] : [];
  };
  const agents = clusters
    .filter(({ cluster }) => !acknowledged.has(`agent:${cluster}`))
    .flatMap(({ cluster, agents }): readonly Waiting[] => {
      if (agents.length === 0) {
        return [
          { kind: "agent", name: `agent:${cluster}`, says: `no agent of cluster ${cluster} has acknowledged it` },
        ];
      }
      return agents.flatMap(({ agent, holds, since }): readonly Waiting[] => {
        const name = `agent:${cluster}/${agent}`;
        if (acknowledged.has(name)) return [];
        if (holds) return settling(name, `agent ${agent} of cluster ${cluster} has it`, since);
        return [{ kind: "agent", name, says: `agent ${agent} of cluster ${cluster} has not acknowledged it` }];
      });
    });
  return [
    // One that was brought may begin later; clocks of those who verify may be behind ours.
    ...(coming.notBefore > now ? settling(coming.id, "it is valid", coming.notBefore) : []),
    ...agents,
    ...doorsLeft(seen),
  ];
}

function doorsLeft({ doors, acknowledged, settleMs }: RotationSeen): readonly Waiting[] {
  return doors
    .filter(({ name }) => !acknowledged.has(name))
    .map(({ name, says, until }) => ({
      kind: "door",
      name,
      says,
      ...(until === undefined ? {} : { until: new Date(+until + settleMs) }),
    }));
}

/** Authorities that would go on making leaves under the old root; of the hub root, who would be cut off without it. */
function signing({ leaving }: Generations, seen: RotationSeen): readonly Waiting[] {
  const { kind, records, tenants } = seen;
  if (kind === "hub") return doorsLeft(seen);
  return records
    .filter((r) => r.parent === leaving.id && (r.state === "active" || r.state === "prepared") && tenants.has(r.owner))
    .map(({ id, owner }) => ({
      kind: "authority",
      name: id,
      says: `tenant ${owner} is still signed for by ${id}, under the old root`,
    }));
}

function toStep(rotation: Generations, { records, settleMs }: RotationSeen, now: Date): RotationStep {
  const { phase, coming, leaving } = rotation;
  const against = againstOf(rotation, settleMs, now);
  const more = { unlessHeld: subjectOf(rotation).id, ...(against === undefined ? {} : { against }) };
  if (phase === "prepared") {
    const changes = [
      { id: leaving.id, from: "active", to: "retiring" },
      { id: coming.id, from: "prepared", to: "active" },
    ] as const;
    return { kind: "activate", root: coming, turn: { changes, ...more } };
  }
  const under = records.filter((r) => r.parent === leaving.id && r.state !== "retired" && r.state !== "revoked");
  const changes = [leaving, ...under].map(({ id, state }): AuthorityChange => ({ id, from: state, to: "retired" }));
  return { kind: "retire", root: leaving, turn: { changes, ...more } };
}

/** The way back: everybody trusts the old root until it is retired, so that going back waits for nothing. */
export function decideRollBack({ phase, coming, leaving }: Generations): readonly AuthorityChange[] {
  // No certificate was ever under it.
  if (phase === "prepared") return [{ id: coming.id, from: "prepared", to: "retired" }];
  return [
    { id: coming.id, from: "active", to: "retiring" },
    { id: leaving.id, from: "retiring", to: "active" },
  ];
}
