/** The rotations that are under way: measured for whoever asks, and taken a step further by the issuer that leads. */

import { openBlindDoors } from "../controller/blind-doors.ts";
import { lookAtRotations, takeStep } from "../controller/rotate.ts";
import type { RootName, Rotation, RotationStep } from "../controller/rotation.ts";
import { Refusal } from "../errors.ts";
import type { State } from "../ledger/state.ts";
import type { Log } from "../ops/log.ts";
import type { Resources } from "../resources/declared.ts";

export interface Rotations {
  look(): Promise<readonly Rotation[]>;
  /** Takes every step that is due, and says whether there was one. */
  advance(): Promise<boolean>;
  /** What was seen last. */
  seen(): readonly Rotation[];
}

export interface RotationsParts {
  readonly state: State;
  readonly declared: () => Resources;
  readonly settleSeconds: number;
  readonly now: () => Date;
  readonly log: Log;
}

export function openRotations({ state, declared, settleSeconds, now, log }: RotationsParts): Rotations {
  const doors = openBlindDoors(state);
  let seen: readonly Rotation[] = [];
  const look = async (): Promise<readonly Rotation[]> => {
    seen = await lookAtRotations(declared(), { state, doors, now, settleMs: settleSeconds * 1000 });
    return seen;
  };
  const take = async (step: RotationStep): Promise<boolean> => {
    try {
      await takeStep(step, { state });
    } catch (error) {
      // Another replica was first, or a certificate has come in between: the next look sees it.
      if (error instanceof Refusal && error.code === "not-ready") return false;
      throw error;
    }
    const { id: root, kind, owner } = step.root;
    if (step.kind === "activate") log.info("root active", { kind, owner, root });
    else log.info("root retired", { kind, owner, root });
    return true;
  };
  return {
    look,
    advance: async () => {
      const steps = (await look()).flatMap(({ step }) => step ?? []);
      let taken = false;
      for (const step of steps) taken = (await take(step)) || taken;
      return taken;
    },
    seen: () => seen,
  };
}

/** How much each rotation waits for, by kind of thing; of leaves, the certificates. */
export function countWaiting(rotations: readonly Rotation[]): readonly [Readonly<Record<string, string>>, number][] {
  return rotations.flatMap(({ phase, coming, leaves, gate }) => {
    const { kind, owner } = coming;
    const certificates = leaves.reduce((sum, { count }) => sum + count, 0);
    const counts = new Map<string, number>([["leaves", certificates]]);
    for (const { kind: what } of gate.waitingFor) if (what !== "leaves") counts.set(what, (counts.get(what) ?? 0) + 1);
    return [...counts].map(([what, count]): [Readonly<Record<string, string>>, number] => [
      { kind, owner, phase, what },
      count,
    ]);
  });
}

export function findRotation(rotations: readonly Rotation[], { kind, owner }: RootName): Rotation | undefined {
  return rotations.find(({ coming }) => coming.kind === kind && coming.owner === owner);
}
