/**
 * Doors whose holders need not have had our bundle, as the ledger shows that they were used. What was found is kept until the last
 * of its certificates has ended, so that only newer entries are read.
 */
import type { LivingLeaf, State } from "../ledger/state.ts";
import type { BlindDoor, RootKind } from "./rotation.ts";

export interface BlindDoors {
  /** Those with a certificate that ends after `at`. */
  look(kind: RootKind, owner: string, at: Date): Promise<readonly BlindDoor[]>;
}

interface Found {
  /** Up to here nothing is read again. */
  after: number;
  /** The last entry that was read, and when. */
  last: { readonly entry: number; readonly at: Date };
  readonly lastEnds: Map<string, Date>;
}

/** Beside one another, entries become visible in another order than that of their numbers; after this long all of them are. */
const unorderedMs = 60_000;

export function openBlindDoors(state: Pick<State, "livingLeaves">): BlindDoors {
  const found = new Map<string, Found>();
  return {
    async look(kind, owner, at) {
      const key = `${kind}/${owner}`;
      const known = found.get(key) ?? { after: 0, last: { entry: 0, at }, lastEnds: new Map<string, Date>() };
      found.set(key, known);
      const filter = { ...(kind === "root" ? { trustRoot: owner } : { cluster: owner }), at, after: known.after };
      let { entry } = known.last;
      for await (const leaf of state.livingLeaves(filter)) {
        entry = Math.max(entry, leaf.entry);
        for (const name of namesOf(kind, leaf)) {
          const before = known.lastEnds.get(name);
          if (before === undefined || before < leaf.notAfter) known.lastEnds.set(name, leaf.notAfter);
        }
      }
      if (+at - +known.last.at >= unorderedMs) {
        known.after = known.last.entry;
        known.last = { entry, at };
      }
      for (const [name, end] of known.lastEnds) if (end <= at) known.lastEnds.delete(name);
      return [...known.lastEnds.keys()].sort().map((name) => ({ name, says: toWords(name) }));
    },
  };
}

/** VMs keep copies of roots, and show their certificates to istiod, which reads the roots of clients once, when it starts. */
function namesOf(kind: RootKind, { door, proof, renewable, cluster }: LivingLeaf): readonly string[] {
  const isVm = proof === "certificate" || renewable;
  if (kind === "serving") return isVm ? [`vm:${cluster}`] : [];
  if (door !== "istio") return [`${door}:${cluster}`];
  return isVm ? [`vm:${cluster}`, `istiod:${cluster}`] : [];
}

function toWords(name: string): string {
  const [door = "", cluster = ""] = name.split(":");
  switch (door) {
    case "vm":
      return `VMs of cluster ${cluster} have the new root wherever they keep a copy of one`;
    case "istiod":
      return `every istiod that VMs of cluster ${cluster} connect to was restarted after it had the new root`;
    default:
      return `whoever has certificates by ${door} in cluster ${cluster} trusts the new root`;
  }
}
