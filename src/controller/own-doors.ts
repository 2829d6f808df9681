/**
 * Who has certificates of the hub's own and is no agent, and so says nothing of what it trusts: operators, by the copy of the hub root
 * in their folders, and issuers. Of the ledger's unexpired certificates, those that are not revoked and whose operator is not.
 */
import { operatorOf } from "../identity.ts";
import type { State } from "../ledger/state.ts";
import type { BlindDoor, Rotation } from "./rotation.ts";

/** Those with a certificate that ends after `at` and stands against the next step. */
export async function lookAtOwn(
  { phase, coming, leaving }: Pick<Rotation, "phase" | "coming" | "leaving">,
  at: Date,
  state: Pick<State, "ownAgainst" | "operators">,
): Promise<readonly BlindDoor[]> {
  const isPrepared = phase === "prepared";
  const [counts, operators] = await Promise.all([
    state.ownAgainst(isPrepared ? { kind: "without", root: coming.id, at } : { kind: "under", root: leaving.id, at }),
    state.operators(),
  ]);
  const gone = new Set(operators.flatMap(({ name, revokedAt }) => (revokedAt === undefined ? [] : [name])));
  const others = counts.filter(({ cluster }) => cluster === "");
  const doors = others.flatMap((count): readonly BlindDoor[] => {
    const name = operatorOf(coming.owner, count.identity);
    if (name === undefined || gone.has(name)) return [];
    const says = isPrepared
      ? `operator ${name} has the new hub root in the hub-root.pem of its folder`
      : `operator ${name} has a certificate under the new hub root`;
    return [{ name: `operator:${name}`, says, until: count.lastEnd }];
  });
  const issuers = others.filter((count) => operatorOf(coming.owner, count.identity) === undefined);
  // They trust what the database says; what each of them serves with, it does not say.
  if (isPrepared || issuers.length === 0) return doors;
  const lastEnd = new Date(Math.max(...issuers.map((count) => +count.lastEnd)));
  return [...doors, { name: "issuer", says: "every issuer serves under the new hub root", until: lastEnd }];
}
