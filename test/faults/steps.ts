/** What happens to an issuer in its life: requests, verbs and time. A step takes made state as it finds it, and can be taken again. */
import { askSome, ownCertificate } from "./asking.ts";
import {
  acknowledge,
  decision,
  fetchedKeys,
  joinToken,
  proposal,
  taking,
  useJoinToken,
  withdrawing,
} from "./clusters.ts";
import { type Cell, fates } from "./fate.ts";
import { adopt, end, endOperator, makeOperator, prune, reseal, sequence } from "./keeping.ts";
import { bringCrl, editForge, giveUp, importOne, succeed, withdraw } from "./offline.ts";
import {
  denyOrAllow,
  revokeAuthority,
  revokeCluster,
  revokeSerials,
  revokeWorkload,
  suspendOrResume,
} from "./revoking.ts";
import { bringGuest, hold, makeRoot, renew, rollBack, rotate } from "./roots.ts";
import { dayMs, type Scene } from "./scene.ts";

export interface Step {
  readonly name: string;
  /** How often it is drawn, of the sum. */
  readonly weight: number;
  /** Durable writes that it makes from the template on, where nothing fails; each is named by one step. */
  readonly writes: readonly string[];
  readonly take: (scene: Scene) => Promise<void>;
}

/** What a hub is made by, from an empty disk on. */
export const founding: readonly string[] = [
  "migrate",
  "intend-create-hub-root",
  "create-hub-root",
  "intend-create-serving-root",
  "create-serving-root",
  "intend-prepare-authority",
  "prepare-authority",
  "intend-activate-authority",
  "activate-authority",
];

export const steps: readonly Step[] = [
  { name: "requests", weight: 10, writes: ["intend"], take: askSome },
  { name: "own certificate", weight: 2, writes: [], take: ownCertificate },
  { name: "time", weight: 3, writes: [], take: time },
  { name: "authorities", weight: 3, writes: [], take: renew },
  { name: "sequence", weight: 3, writes: ["place", "head"], take: sequence },
  { name: "end", weight: 1, writes: ["record"], take: end },
  { name: "start", weight: 1, writes: ["epoch"], take: async ({ life }) => life.kill() },

  { name: "suspend or resume", weight: 3, writes: ["suspend-tenant", "resume-tenant"], take: suspendOrResume },
  { name: "deny or allow", weight: 1, writes: ["deny-workload", "allow-workload"], take: denyOrAllow },
  { name: "revoke serials", weight: 1, writes: ["revoke", "issue-crl"], take: revokeSerials },
  { name: "revoke a workload", weight: 1, writes: [], take: revokeWorkload },
  { name: "revoke a cluster", weight: 1, writes: ["suspend-cluster", "resume-cluster"], take: revokeCluster },
  { name: "revoke an authority", weight: 1, writes: ["revoke-authority"], take: revokeAuthority },

  { name: "root", weight: 1, writes: ["key", "intend-create-workload-root", "create-workload-root"], take: makeRoot },
  { name: "brought roots", weight: 1, writes: ["bring-root"], take: bringGuest },
  { name: "rotation", weight: 1, writes: ["continue-rotation", "activate-root", "retire-root"], take: rotate },
  { name: "hold", weight: 1, writes: ["hold-rotation"], take: hold },
  { name: "roll back", weight: 1, writes: ["roll-back-root"], take: rollBack },

  { name: "offline authority", weight: 1, writes: ["request-authority", "take-authority"], take: succeed },
  { name: "withdrawn request", weight: 1, writes: ["withdraw-authority-request"], take: withdraw },
  { name: "answer given up", weight: 1, writes: ["retire-authority"], take: giveUp },
  { name: "former authority", weight: 1, writes: ["import-authority"], take: importOne },
  { name: "brought CRL", weight: 1, writes: ["bring-crl"], take: bringCrl },
  { name: "documents", weight: 1, writes: ["dismiss-authority"], take: editForge },

  { name: "acknowledgement", weight: 1, writes: ["acknowledgement"], take: acknowledge },
  { name: "join token", weight: 1, writes: ["create-join-token"], take: joinToken },
  { name: "use of a join token", weight: 2, writes: ["join"], take: useJoinToken },
  { name: "proposal", weight: 1, writes: ["propose-keys"], take: proposal },
  { name: "decision", weight: 1, writes: ["approve-keys", "remove-keys", "reject-keys"], take: decision },
  { name: "keys taken", weight: 1, writes: ["take-keys"], take: taking },
  { name: "keys withdrawn", weight: 1, writes: ["withdraw-keys"], take: withdrawing },
  { name: "fetched keys", weight: 1, writes: ["fetched keys"], take: fetchedKeys },

  { name: "operator", weight: 1, writes: ["create-operator"], take: makeOperator },
  { name: "operator's end", weight: 1, writes: ["revoke-operator"], take: endOperator },
  { name: "retention", weight: 1, writes: ["prune-bodies", "pruned bodies"], take: prune },
  { name: "adoption", weight: 1, writes: ["adopt-database"], take: adopt },
  { name: "sealed keys", weight: 1, writes: ["sealed key", "reseal-keys"], take: sealAll },
];

/** Only where keys are in the database. */
export const sealing: readonly string[] = ["sealed key", "reseal-keys"];

/** The matrix: every durable write, and whatever can become of it. A key's file is none of the database's, which cannot refuse it. */
export const cells: readonly Cell[] = [...founding, ...steps.flatMap(({ writes }) => writes)].flatMap((write) =>
  fates.flatMap((fate) => (write === "key" && fate === "refused" ? [] : [{ write, fate }])),
);

export function stepOf({ write }: Cell): Step | undefined {
  return steps.find(({ writes }) => writes.includes(write));
}

const sum = steps.reduce((all, { weight }) => all + weight, 0);

export function drawStep({ random }: Scene): Step {
  let drawn = random.below(sum);
  const found = steps.find(({ weight }) => (drawn -= weight) < 0);
  if (found === undefined) throw new Error("no step was drawn");
  return found;
}

/** Hours or months: long enough for authorities to be renewed and to end. */
async function time({ random, clock }: Scene): Promise<void> {
  clock.pass(random.pick([600_000, dayMs, 30 * dayMs, 120 * dayMs]) * random.next());
}

async function sealAll(scene: Scene): Promise<void> {
  await makeRoot(scene);
  await reseal(scene);
}
